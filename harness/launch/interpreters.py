"""Other Python interpreters, to run our servers on: what they are, and whether they will do."""

import json
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from msgspec import convert

from harness.errors import InterpreterError
from harness.record import PROJECT, PythonBuild

OLDEST: Final = (3, 11)
TOO_OLD: Final = "our servers need Python 3.11 or later"
LIMIT_S: Final = 30
QUESTION: Final = """
import json, platform, shlex, sys, sysconfig
configured = shlex.split(sysconfig.get_config_var("CONFIG_ARGS") or "")
jit = [word.partition("=")[2] for word in configured if word.startswith("--enable-experimental-jit")]
print(json.dumps({
    "name": platform.python_implementation(),
    "version": platform.python_version(),
    "major_minor": sys.version_info[:2],
    "build": {
        "profile_guided": "--enable-optimizations" in configured,
        "link_time": bool({"--with-lto", "--with-lto=full", "--with-lto=thin"} & set(configured)),
        "debug": bool(sysconfig.get_config_var("Py_DEBUG")),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "jit": jit[-1:] in (["yes"], [""]) or "pypyjit" in sys.builtin_module_names,
        "compiler": platform.python_compiler(),
    },
}))
"""
"""It is put to whatever is given: Python 2 understands it, too."""
IMPORT: Final = """
import importlib.metadata, sys
import {library}
print(importlib.metadata.version({library!r}), getattr(sys, "_is_gil_enabled", lambda: True)())
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs.

    Attributes:
        path: to start it by.
        name: "CPython", "PyPy", ...
        version: in full.
        build: how it was built, as far as that decides how fast it is.
        called: the version, or the name, by which it was chosen; "" if that was a path.
    """

    path: str
    name: str
    version: str
    build: PythonBuild
    called: str = ""

    @property
    def free_threaded(self) -> bool:
        """Tell whether it was built without the global lock."""
        return self.build.free_threaded

    @property
    def full_version(self) -> str:
        """Its version as it is called by: 3.13.5, 3.13.5t without the lock, pypy3.11.13."""
        other = "" if self.name == "CPython" else self.name.lower()
        return f"{other}{self.version.rstrip('+')}{'t' * self.free_threaded}"

    @property
    def label(self) -> str:
        """A short name: as it was called, or else cpython3.13, cpython3.14t, pypy3.11."""
        major, minor, *_ = self.version.split(".")
        return self.called or f"{self.name.lower()}{major}.{minor}{'t' * self.free_threaded}"

    @property
    def choice(self) -> str:
        """What chooses it again."""
        return self.called or self.path

    def __str__(self) -> str:
        """Name it as a factor."""
        return f"{self.name} {self.version}{', free-threaded' * self.free_threaded}"


class Imported(NamedTuple):
    """What came of importing a library: its version if it loads, and why it will not do, or ""."""

    version: str = ""
    refusal: str = ""


@cache
def interpreter(path: str) -> Interpreter:
    """Ask an interpreter what it is; InterpreterError if it does not say, or is too old."""
    try:
        said, trouble = _asked(path, QUESTION)
    except OSError as error:
        raise InterpreterError(f"{path}: {error.strerror}") from None
    try:
        told = json.loads(said)
        found = Interpreter(path, told["name"], told["version"], convert(told["build"], PythonBuild))
        major_minor = tuple(told["major_minor"])
    except (ValueError, KeyError, TypeError):
        raise InterpreterError(f"{path}: it does not run Python code{trouble and ': '}{trouble}") from None
    if major_minor < OLDEST:
        raise InterpreterError(f"{path}: it is {found}, and {TOO_OLD}")
    return found


@cache
def tried(found: Interpreter, library: str) -> Imported:
    """Import a library there, and say what came of it: whatever turns the global lock on will not do without it."""
    said, trouble = _asked(found.path, IMPORT.format(library=library))
    if trouble:
        return Imported(refusal=trouble)
    *_, version, lock = ("", "", *said.split())
    if found.free_threaded and lock == str(True):
        return Imported(version, f"importing {library} {version} turns the global lock on")
    return Imported(version)


@cache
def refusal_of_loop(found: Interpreter, loop: str) -> str:
    """Return why our servers cannot run on an event loop there, as they would say it themselves; "" if they can."""
    question = f"from implementations.event_loop import loop_factory; loop_factory({loop!r})().close()"
    return _asked(found.path, question)[1]


def _asked(path: str, question: str) -> tuple[str, str]:
    """Let an interpreter run code in the project; return what it printed, and in a line what went wrong, or ""."""
    try:
        asked = subprocess.run(
            [path, "-c", question],
            cwd=PROJECT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"it is not done within {LIMIT_S} s"
    return asked.stdout, how_it_ended(asked.returncode, asked.stderr.splitlines())


def how_it_ended(code: int, said: Sequence[str]) -> str:
    """Say in a line how a process failed; "" if it did not."""
    last = said[-1].strip() if said else ""
    if code < 0:
        return f"it is ended by a signal: {signal.strsignal(-code)}"
    return (last or f"exit code {code}") if code else ""
