"""Environments of other interpreters: each has the servers' libraries, and nothing else; the harness stays on its own.

They are kept in a cache folder, by name, until somebody deletes them there. What cannot be had for an interpreter is left
out, with the reason.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness.errors import InterpreterError, ResultsError, UsageError
from harness.launch.interpreters import Interpreter, how_it_ended
from harness.plan import Record
from harness.record import PROJECT, as_json, decode, write_whole

LOCK: Final = PROJECT / "implementations" / "requirements.lock"
NOTE: Final = "added.json"
"""It is written last: a folder without it is no environment."""
NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")
PYTHON: Final = ("bin", "python")
INSTALL: Final = (
    *("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"),
    *("--only-binary", ":all:", "--require-hashes", "--requirement"),
)
INSTALL_LIMIT_S: Final = 600
ERROR: Final = "ERROR: "


class AddedPython(Record, frozen=True):
    """An interpreter that has an environment.

    Attributes:
        name: by which it is chosen.
        base: where the interpreter itself is.
        refused: the libraries that could not be installed, and why.
    """

    name: str
    base: str
    refused: dict[str, str]

    @property
    def python(self) -> str:
        """What to start it by."""
        return str(folder().joinpath(self.name, *PYTHON))


def folder() -> Path:
    """Return where environments lie."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "concurrency-study" / "pythons"


def added() -> tuple[AddedPython, ...]:
    """Return the interpreters that have an environment; a folder that cannot be read is none."""
    return tuple(_readable(sorted(folder().glob(f"*/{NOTE}"))))


def _readable(notes: list[Path]) -> Iterator[AddedPython]:
    for note in notes:
        try:
            found = decode(AddedPython, str(note), note.read_bytes())
        except (ResultsError, OSError):
            continue
        if Path(found.python).exists() and Path(found.base).exists():
            yield found


def added_at(path: str) -> AddedPython | None:
    """Return the environment of the interpreter at a path, or the one whose own that is."""
    return next((each for each in added() if path in {each.base, each.python}), None)


def add(found: Interpreter, name: str) -> AddedPython:
    """Make an environment for an interpreter, in the place of one that it had under the same name.

    Raises:
        UsageError: the name is no name, or another interpreter's.
        InterpreterError: it cannot make an environment.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"a name begins with a letter or a digit, and has no more than these and . - _: not {name!r}"
        )
    environment = added_at(found.path)
    base = environment.base if environment else found.path
    for other in added():
        if other.name == name and other.base != base:
            raise UsageError(f"{name} is {other.base} already: give {base} another name with --as")
    made = AddedPython(name, base, {})
    place = folder() / name
    (place / NOTE).unlink(missing_ok=True)
    if trouble := _run(base, "-m", "venv", "--clear", str(place)):
        raise InterpreterError(f"{base} makes no environment: {trouble}")
    refused = {
        requirement.partition("==")[0]: trouble
        for requirement in requirements(LOCK.read_text(encoding="utf-8"))
        if (trouble := _installed(made.python, requirement))
    }
    made = AddedPython(name, base, refused)
    write_whole(place / NOTE, as_json(made))
    return made


def requirements(lock: str) -> list[str]:
    """Divide a lock file into its libraries, each with its version and its hashes."""
    return re.split(r"\n(?=\w)", lock.strip())


def _installed(python: str, requirement: str) -> str:
    """Install a library, from a wheel alone: nothing is compiled; return why that cannot be, or ""."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(requirement)
        file.flush()
        return _run(python, *INSTALL, file.name)


def _run(*command: str) -> str:
    """Run a command; say in a line how it failed, or ""."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=INSTALL_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it is not done within {INSTALL_LIMIT_S} s"
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    errors = [line.removeprefix(ERROR) for line in said if line.startswith(ERROR)]
    return how_it_ended(done.returncode, errors or said)
