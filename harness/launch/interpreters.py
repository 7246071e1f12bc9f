"""Other Python interpreters, to run our servers on: what they are, and whether they will do."""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Final

from harness.errors import InterpreterError
from harness.record import PROJECT

OLDEST: Final = (3, 11)
LIMIT_S: Final = 30
QUESTION: Final = """
import json, platform, sys, sysconfig
print(json.dumps({
    "name": platform.python_implementation(),
    "version": platform.python_version(),
    "major_minor": sys.version_info[:2],
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs.

    Attributes:
        path: to start it by.
        name: "CPython", "PyPy", ...
        version: in full.
        free_threaded: it was built without the global lock.
    """

    path: str
    name: str
    version: str
    free_threaded: bool

    @property
    def label(self) -> str:
        """A short name: cpython3.13, cpython3.14t, pypy3.11."""
        major, minor, *_ = self.version.split(".")
        return f"{self.name.lower()}{major}.{minor}{'t' if self.free_threaded else ''}"

    def __str__(self) -> str:
        """Name it as a factor."""
        return f"{self.name} {self.version}{', free-threaded' if self.free_threaded else ''}"


@cache
def interpreter(path: str) -> Interpreter:
    """Ask an interpreter what it is; InterpreterError if it does not say, or is too old."""
    try:
        asked = subprocess.run(
            [path, "-c", QUESTION],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LIMIT_S,
            check=True,
        )
        told = json.loads(asked.stdout)
        found = Interpreter(path, told["name"], told["version"], told["free_threaded"])
        major_minor = tuple(told["major_minor"])
    except OSError as error:
        raise InterpreterError(f"{path}: {error.strerror}") from None
    except (subprocess.SubprocessError, ValueError, KeyError, TypeError):
        raise InterpreterError(f"{path}: it does not run Python code") from None
    if major_minor < OLDEST:
        raise InterpreterError(f"{path}: it is {found}, and our servers need Python 3.11 or later")
    return found


@cache
def library_version(found: Interpreter, library: str) -> str:
    """Return the version of a library that can be imported there; InterpreterError if it cannot."""
    question = f"import {library}, importlib.metadata; print(importlib.metadata.version({library!r}))"
    asked = subprocess.run(
        [found.path, "-c", question],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=LIMIT_S,
        check=False,
    )
    if asked.returncode:
        reason = asked.stderr.strip().rpartition("\n")[2]
        raise InterpreterError(f"{found.path} ({found}) cannot use {library}: {reason}")
    return asked.stdout.strip()


@cache
def refusal_of_loop(found: Interpreter, loop: str) -> str:
    """Return why our servers cannot run on an event loop there, as they would say it themselves; "" if they can."""
    question = f"from implementations.event_loop import loop_factory; loop_factory({loop!r})().close()"
    try:
        asked = subprocess.run(
            [found.path, "-c", question],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it is not made within {LIMIT_S} s"
    said = asked.stderr.strip().rpartition("\n")[2]
    return (said or f"exit code {asked.returncode}") if asked.returncode else ""
