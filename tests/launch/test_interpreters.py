"""Other interpreters: what they are, and which of them will not do."""

import io
import json
import sys
import sysconfig
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from harness.errors import InterpreterError
from harness.launch.facts import facts, interpreter_facts
from harness.launch.interpreters import (
    QUESTION,
    Interpreter,
    how_it_ended,
    interpreter,
    refusal_of_loop,
    tried,
)
from harness.launch.selection import ours, selected
from harness.plan import ALL_CORES, FREE, ONE_CORE
from tests.launch.pretended import pretend


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"version": "3.13.1"}, "cpython3.13"),
        ({"free_threaded": True}, "cpython3.14t"),
        ({"name": "PyPy", "version": "3.11.13"}, "pypy3.11"),
    ],
)
def test_an_interpreter_has_a_short_name(changes: dict[str, str], label: str, tmp_path: Path) -> None:
    path = pretend(tmp_path / "python", **changes)
    assert interpreter(path).label == label
    candidate = ours(f"threaded@{path}")
    assert candidate.label == f"threaded@{label}"
    assert candidate.command[:3] == (path, "-m", "implementations.threaded")
    assert candidate.name == f"threaded@{path}"  # selects the same again
    (described,) = facts([candidate])
    assert described.factors["interpreter"].startswith(changes.get("name", "CPython"))


def test_our_own_interpreter_is_known() -> None:
    found = interpreter(sys.executable)
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.free_threaded == (not getattr(sys, "_is_gil_enabled", lambda: True)())
    version, refusal = tried(found, "trio")
    assert (bool(version), refusal) == (True, "")
    assert "no_such" in refusal_of_loop(found, "no_such:loop")


def test_without_a_global_lock_threads_are_parallel(tmp_path: Path) -> None:
    path = pretend(tmp_path / "python", free_threaded=True)
    for name, parallel in (("threaded", True), ("thread_pool", True), ("blocking", False)):
        assert ours(f"{name}@{path}").parallel == parallel


def test_they_are_measured_beside_those_with_the_lock_pinned_or_free(tmp_path: Path) -> None:
    """What the lock costs, and what its absence gains, are ratios: of servers that shared a block."""
    path = pretend(tmp_path / "python", free_threaded=True)
    threads = ours(f"threaded@{path}")
    assert (threads.regime, threads.measured(FREE).regime) == (ONE_CORE, ONE_CORE)
    processes = ours("processes")
    assert (processes.regime, processes.measured(FREE).regime) == (ALL_CORES, ONE_CORE)


def test_ours_run_on_each_interpreter_that_is_given_unless_they_name_one(tmp_path: Path) -> None:
    one, other = pretend(tmp_path / "one"), pretend(tmp_path / "two", version="3.13.0")
    labels = [each.label for each in selected(["threaded", f"blocking@{other}"], pythons=[one])]
    assert labels == ["threaded@cpython3.14", "blocking@cpython3.13"]
    both = [each.label for each in selected(["threaded"], pythons=[one, other])]
    assert both == ["threaded@cpython3.14", "threaded@cpython3.13"]
    assert [each.label for each in selected([], ["mine=x"], pythons=[one])] == ["mine"]


def test_the_interpreters_of_a_run_are_recorded_with_how_they_were_built(tmp_path: Path) -> None:
    path = pretend(tmp_path / "python", free_threaded=True, profile_guided=True)
    candidates = selected(["threaded", "blocking"], pythons=[path])
    (found,) = interpreter_facts([*candidates, ours("threaded")])
    assert (found.label, found.python) == ("cpython3.14t", "CPython 3.14.0, free-threaded")
    assert found.build.features == "with PGO, without LTO, without the lock"
    assert found.libraries["trio"] == "no such"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("", "No such file or directory"),
        ("#!/bin/cat", "does not run Python code"),
        ("#!/bin/sh\nkill -SEGV $$", "does not run Python code: it is ended by a signal: Segmentation fault"),
        ("#!/bin/sh\necho broken >&2; exit 1", "does not run Python code: broken"),
        ("#!/bin/sh\necho '[1]'", "does not run Python code"),
        ("old", "3.10.2, and our servers need Python 3.11 or later"),
    ],
)
def test_what_is_no_interpreter_of_ours_is_named(script: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "python"
    if script == "old":
        pretend(path, version="3.10.2")
    elif script:
        path.write_text(script)
        path.chmod(0o755)
    with pytest.raises(InterpreterError, match=reason) as refused:
        ours(f"threaded@{path}")
    assert str(path) in str(refused.value)


def test_a_library_that_is_not_there_is_named_with_what_would_help(tmp_path: Path) -> None:
    path = pretend(tmp_path / "python")
    ours(f"threaded@{path}")
    for name, library in (("trio_nursery", "trio"), ("asyncio_streams+uvloop", "uvloop")):
        with pytest.raises(InterpreterError, match=f"cannot use {library}: no such; `harness python add"):
            ours(f"{name}@{path}")


def test_a_library_that_turns_the_lock_on_makes_a_server_not_applicable(tmp_path: Path) -> None:
    path = pretend(tmp_path / "python", imports="echo 26.9 True", free_threaded=True)
    assert ours(f"gevent_greenlets@{path}").refusal == "importing gevent 26.9 turns the global lock on"
    stays_off = pretend(tmp_path / "other", imports="echo 26.9 False", free_threaded=True)
    assert ours(f"gevent_greenlets@{stays_off}").refusal == ""


def test_how_a_process_failed_is_a_line() -> None:
    assert how_it_ended(0, ["whatever"]) == ""
    assert how_it_ended(1, ["first", " last "]) == "last"
    assert how_it_ended(1, []) == "exit code 1"


def test_an_interpreter_is_a_value(tmp_path: Path) -> None:
    found = interpreter(pretend(tmp_path / "python", free_threaded=True))
    assert str(found) == "CPython 3.14.0, free-threaded"
    assert found == Interpreter(found.path, "CPython", "3.14.0", found.build)
    assert found.full_version == "3.14.0t"
    assert (
        interpreter(pretend(tmp_path / "pypy", name="PyPy", version="3.11.13+")).full_version == "pypy3.11.13"
    )


@pytest.mark.parametrize(
    ("configured", "profile_guided", "link_time", "jit"),
    [
        ("'--enable-optimizations' '--with-lto' 'CFLAGS=-O3 -g'", True, True, False),
        ("--with-lto=thin", False, True, False),
        ("--with-lto=no --prefix=/--enable-optimizations", False, False, False),
        ("--enable-experimental-jit", False, False, True),
        ("--enable-experimental-jit=no", False, False, False),
        (None, False, False, False),
    ],
)
def test_how_python_was_built_is_read_from_how_it_was_configured(
    configured: str | None,
    *,
    profile_guided: bool,
    link_time: bool,
    jit: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {"CONFIG_ARGS": configured, "Py_DEBUG": 1}
    monkeypatch.setattr(sysconfig, "get_config_var", told.get)
    said = io.StringIO()
    with redirect_stdout(said):
        exec(QUESTION, {})  # noqa: S102 - as an interpreter is told to
    build = json.loads(said.getvalue())["build"]
    assert (build["profile_guided"], build["link_time"], build["jit"]) == (profile_guided, link_time, jit)
    assert build["debug"]
    assert not build["free_threaded"]
    assert build["compiler"]
