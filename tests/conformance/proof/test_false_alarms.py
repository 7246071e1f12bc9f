"""Runs that look for false alarms are counted, resumed, and kept apart by the state of the suite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conformance.proof import false_alarms as alarms
from harness.conformance.proof.false_alarms import read_alarm_runs, run_until, suite_hash
from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.launch.selection import ours


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a log; a run is of one case, to be quick."""
    monkeypatch.setattr(alarms, "OPTIONS", ("--case", "F02"))
    return tmp_path / "alarms.jsonl"


def test_runs_are_resumed_and_servers_take_turns(log: Path) -> None:
    both = [ours("blocking"), ours("threaded")]
    assert len(run_until(1, both, log)) == 1
    with log.open("a") as file:
        file.write('{"suite": "cut off')
    done = run_until(2, both, log)
    assert {run.server for run in done} == {"blocking", "threaded"}
    assert not any(run.alarms for run in done)
    assert run_until(2, both, log) == done


def test_runs_of_another_suite_do_not_count(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_until(1, [ours("blocking")], log)
    monkeypatch.setattr(alarms, "suite_hash", lambda: "another")
    assert len(run_until(1, [ours("blocking")], log)) == 1
    assert {run.suite for run in read_alarm_runs(log)} == {suite_hash(), "another"}


def test_what_a_server_does_wrong_is_an_alarm(log: Path, faulty: Callable[..., Candidate]) -> None:
    (run,) = run_until(1, [faulty("greets_wrongly")], log)
    assert run.cases == 1
    (alarm,) = run.alarms
    assert alarm.startswith("FAIL F02: ")


def test_a_suite_that_cannot_be_run_is_told(log: Path) -> None:
    with pytest.raises(LaunchError, match="no server is called 'nobody'"):
        run_until(1, [Candidate("nobody", announces=True)], log)
    assert not log.exists()
