"""Runs that look for false alarms are counted, resumed, and kept apart by the state of the suite."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.conformance.proof import false_alarms as alarms
from harness.conformance.proof.false_alarms import (
    WHOLE,
    read_alarm_runs,
    run_stale,
    run_until,
    shared_out,
    standing_runs,
)
from harness.conformance.proof.states import suite_state
from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.record import AlarmRun, SuiteState, append_to_log


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


@pytest.fixture
def other_suite(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes the suite another, in which some cases are not what they were."""

    def change(*cases: str) -> None:
        now = suite_state()
        others = SuiteState("another", now.cases | dict.fromkeys(cases, "changed"))
        monkeypatch.setattr(alarms, "suite_state", lambda: others)

    return change


def test_runs_of_another_suite_do_not_count(log: Path, other_suite: Callable[..., None]) -> None:
    run_until(1, [ours("blocking")], log)
    other_suite()
    assert len(run_until(1, [ours("blocking")], log)) == 1
    assert {run.suite for run in read_alarm_runs(log)} == {suite_state().suite, "another"}


def runs_of(*cases: str, log: Path) -> list[int]:
    found = {each.case: each.runs for each in standing_runs(log)[1]}
    return [found[case] for case in cases]


def test_only_cases_that_have_changed_are_run_again(log: Path, other_suite: Callable[..., None]) -> None:
    append_to_log(suite_state(), log.with_name(alarms.STATES))
    for number in range(3):
        append_to_log(AlarmRun(suite_state().suite, f"server {number}", WHOLE, (), 1.0, 2.0), log)
    assert runs_of("F02", "A01", "L18", log=log) == [3, 3, 3]
    other_suite("F02", "A01")
    assert runs_of("F02", "A01", "L18", log=log) == [0, 0, 3]
    said: list[AlarmRun] = []
    found = run_stale(3, [ours("blocking"), ours("threaded")], log, progress=said.append)
    assert {each.runs for each in found} == {3}
    assert not any(each.alarms for each in found)
    assert {run.only for run in said} == {("F02", "A01")}
    assert {run.server for run in said} == {"blocking", "threaded"}
    assert run_stale(3, [ours("blocking")], log) == found


def test_runs_of_some_cases_are_no_runs_of_the_suite(log: Path) -> None:
    append_to_log(AlarmRun(suite_state().suite, "one", 1, (), 1.0, 2.0, only=("F02",)), log)
    assert [run.server for run in run_until(1, [ours("blocking")], log)] == ["blocking"]


def test_an_alarm_counts_for_its_case(log: Path, other_suite: Callable[..., None]) -> None:
    append_to_log(suite_state(), log.with_name(alarms.STATES))
    run = AlarmRun(suite_state().suite, "one", WHOLE, ("FAIL A01: sums", "TIMEOUT C09: spins"), 1.0, 2.0)
    append_to_log(run, log)
    other_suite("C09")
    used, found = standing_runs(log)
    assert used == [run]
    assert {each.case: each.alarms for each in found if each.alarms} == {"A01": 1}


@given(st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(1, 400)), st.integers(1, 14))
def test_every_missing_run_is_shared_out_and_no_server_gets_more_than_its_part(
    missing: dict[str, int], count: int
) -> None:
    candidates = [Candidate(str(number)) for number in range(count)]
    runs, served = Counter[str](), Counter[tuple[str, str]]()
    for candidate, cases, times in shared_out(missing, candidates):
        assert times == 1 or times * len(cases) <= WHOLE
        for case in cases:
            runs[case] += times
            served[case, candidate.label] += times
    assert runs == Counter(missing)
    for case, total in missing.items():
        shares = [served[case, candidate.label] for candidate in candidates]
        assert max(shares) - min(shares) <= 1
        assert sum(shares) == total


def test_what_a_server_does_wrong_is_an_alarm(log: Path, faulty: Callable[..., Candidate]) -> None:
    (run,) = run_until(1, [faulty("greets_wrongly")], log)
    assert run.cases == 1
    (alarm,) = run.alarms
    assert alarm.startswith("FAIL F02: ")


def test_a_suite_that_cannot_be_run_is_told(log: Path) -> None:
    with pytest.raises(LaunchError, match="no server is called 'nobody'"):
        run_until(1, [Candidate("nobody", announces=True)], log)
    assert not log.exists()
