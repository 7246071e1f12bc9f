"""Other interpreters: what they are, and which of them will not do."""

import json
import sys
from pathlib import Path

import pytest

from harness.errors import InterpreterError
from harness.launch.facts import facts
from harness.launch.interpreters import Interpreter, interpreter, library_version
from harness.launch.selection import ours, selected


def pretend(path: Path, **changes: object) -> str:
    """Make a program that says what an interpreter would say, and can import nothing."""
    told = {"name": "CPython", "version": "3.14.0", "major_minor": [3, 14], "free_threaded": False} | changes
    path.write_text(
        f"#!/bin/sh\ncase \"$2\" in *platform*) echo '{json.dumps(told)}';; *) echo no such >&2; exit 1;; esac\n"
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"version": "3.13.1", "major_minor": [3, 13]}, "cpython3.13"),
        ({"free_threaded": True}, "cpython3.14t"),
        ({"name": "PyPy", "version": "3.11.13", "major_minor": [3, 11]}, "pypy3.11"),
    ],
)
def test_an_interpreter_has_a_short_name(changes: dict[str, object], label: str, tmp_path: Path) -> None:
    path = pretend(tmp_path / "python", **changes)
    assert interpreter(path).label == label
    candidate = ours(f"threaded@{path}")
    assert candidate.label == f"threaded@{label}"
    assert candidate.command[:3] == (path, "-m", "implementations.threaded")
    assert candidate.name == f"threaded@{path}"  # selects the same again
    (described,) = facts([candidate])
    assert described.factors["interpreter"].startswith(str(changes.get("name", "CPython")))


def test_our_own_interpreter_is_known() -> None:
    found = interpreter(sys.executable)
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert library_version(found, "trio")


def test_without_a_global_lock_threads_are_parallel(tmp_path: Path) -> None:
    path = pretend(tmp_path / "python", free_threaded=True)
    for name, parallel in (("threaded", True), ("thread_pool", True), ("blocking", False)):
        assert ("parallel" in (ours(f"{name}@{path}").declares or ())) == parallel


def test_ours_run_on_the_interpreter_that_is_given_unless_they_name_one(tmp_path: Path) -> None:
    one, other = pretend(tmp_path / "one"), pretend(tmp_path / "two", version="3.13.0", major_minor=[3, 13])
    labels = [each.label for each in selected(["threaded", f"blocking@{other}"], python=one)]
    assert labels == ["threaded@cpython3.14", "blocking@cpython3.13"]
    assert [each.label for each in selected([], ["mine=x"], python=one)] == ["mine"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nowhere/python", "No such file or directory"),
        ("/bin/cat", "does not run Python code"),
        ("{old}", "need Python 3.11 or later"),
    ],
)
def test_what_is_no_interpreter_of_ours_is_named(path: str, reason: str, tmp_path: Path) -> None:
    old = pretend(tmp_path / "old", version="3.10.2", major_minor=[3, 10])
    with pytest.raises(InterpreterError, match=reason):
        ours(f"threaded@{path.replace('{old}', old)}")


def test_a_library_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = pretend(tmp_path / "python")
    ours(f"threaded@{path}")
    for name, library in (("trio_nursery", "trio"), ("asyncio_streams+uvloop", "uvloop")):
        with pytest.raises(InterpreterError, match=f"cannot use {library}: no such"):
            ours(f"{name}@{path}")


def test_an_interpreter_is_a_value() -> None:
    assert str(Interpreter("p", "CPython", "3.14.0", free_threaded=True)) == "CPython 3.14.0, free-threaded"
