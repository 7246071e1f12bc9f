"""Interpreters that are there already, chosen by a path, a name or a version: those that were added, on PATH, of pyenv, of uv."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from harness.errors import InterpreterError
from harness.launch.environments import added, added_at
from harness.launch.interpreters import OLDEST, TOO_OLD, Interpreter, interpreter

VERSION: Final = re.compile(r"(?P<name>pypy)?(?P<number>\d+\.\d+(?:\.\d+)?)(?P<unlocked>t?)")
SHIMS: Final = "shims"
"""pyenv's scripts: what they lead to is found without them."""


class Wanted(NamedTuple):
    """A version as it is written: pypy3.11, 3.13, 3.13.5t."""

    name: str
    number: tuple[int, ...]
    free_threaded: bool

    @property
    def program(self) -> str:
        """What it is called on PATH."""
        name = "pypy" if self.name == "pypy" else "python"
        return f"{name}{self.number[0]}.{self.number[1]}{'t' * self.free_threaded}"

    def is_met_by(self, found: Interpreter) -> bool:
        """Tell whether an interpreter is of this version, or of one that begins with it."""
        begins = ".".join(map(str, self.number))
        return (
            found.name.lower() == self.name
            and f"{found.version}.".startswith(f"{begins}.")
            and found.free_threaded == self.free_threaded
        )


def chosen(text: str) -> Interpreter:
    """Return the interpreter that is meant, in its environment if it has one.

    Args:
        text: a path, the name of one that was added, a version, or a program on PATH.

    Raises:
        InterpreterError: there is none, it does not run, or it is too old.
    """
    if "/" in text:
        path = str(Path(text).absolute())
        environment = added_at(path)
        return interpreter(environment.python if environment else path)
    named = next((each for each in added() if each.name == text), None)
    if named is not None:
        return replace(interpreter(named.python), called=text)
    version = VERSION.fullmatch(text)
    return replace(_of_version(text, version), called=text) if version else interpreter(text)


def _of_version(text: str, version: re.Match[str]) -> Interpreter:
    number = tuple(map(int, version["number"].split(".")))
    if number[:2] < OLDEST:
        raise InterpreterError(f"{text}: {TOO_OLD}")
    wanted = Wanted(version["name"] or "cpython", number, bool(version["unlocked"]))
    for program in _programs(wanted):
        with suppress(InterpreterError):
            if wanted.is_met_by(found := chosen(str(program))):
                return found
    raise InterpreterError(
        f"no Python {text} is found among those that were added, on PATH, of pyenv or of uv"
    )


def _programs(wanted: Wanted) -> Iterator[Path]:
    """Yield what may be a version: first what was added, then what others know, the newest first."""
    yield from (Path(each.base) for each in added())
    for folder in map(Path, os.environ.get("PATH", "").split(os.pathsep)):
        if folder.name != SHIMS and (program := folder / wanted.program).exists():
            yield program
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    of_pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    of_uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    for folder in (of_pyenv, of_uv):
        major, minor, *_ = wanted.number
        yield from sorted(folder.glob(f"*{major}.{minor}*/bin/python"), key=_numbers_in, reverse=True)


def _numbers_in(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.parent.parent.name)]
