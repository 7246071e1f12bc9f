"""What the report says of the suite itself follows from what was recorded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ResultsError
from harness.record import (
    PROOF,
    AlarmRun,
    CaseAlarms,
    Proof,
    Results,
    SpecimenVerdict,
    Trial,
    as_json,
    read_results,
    write_manifest,
)
from harness.report.sections.proof import proof_page
from tests.makers import as_markdown, changed

TRIAL = Trial(
    "F02",
    "expects CR LF",
    "threaded",
    "-a\n+b",
    "FAIL",
    "sent",
    caught=True,
    passed=("A01",),
    also_caught_by=(),
)
FINDINGS = (
    SpecimenVerdict("naive", "F01", "The greeting", "PASS", ""),
    SpecimenVerdict("naive", "F02", "LF", "CRASH", "died"),
)
RUNS = (AlarmRun("abc", "threaded", 78, (), 12.0, 2.5),) * 200
WHOLE = Proof("abc", (TRIAL,), (), FINDINGS, RUNS)


def text_of(proof: Proof | None) -> str:
    return as_markdown(proof_page(proof))


def test_nothing_is_said_of_what_was_not_tried() -> None:
    assert proof_page(None) == []
    assert "no runs of this state of the suite are on record" in text_of(changed(WHOLE, alarm_runs=()))


def test_the_bound_on_false_alarms_follows_from_the_runs() -> None:
    assert "of 200 runs" in text_of(WHOLE)
    assert "none had a failure. With 95 % confidence, fewer than 1.5% of runs do." in text_of(WHOLE)
    alarmed = changed(RUNS[0], alarms=("FAIL C09: spins",))
    assert "1 had a failure" in text_of(changed(WHOLE, alarm_runs=(*RUNS[1:], alarmed)))


def test_the_bound_on_false_alarms_of_cases_follows_from_their_runs() -> None:
    cases = (CaseAlarms("F01", "a", 200, 0), CaseAlarms("F02", "b", 215, 0))
    text = text_of(changed(WHOLE, case_alarms=cases))
    assert "at least 200 times" in text
    assert "Of these 415 verdicts, none was a failure." in text
    assert "with 95 % confidence, fewer than 1.5%." in text
    alarmed = (*cases, CaseAlarms("C09", "c", 200, 1), CaseAlarms("S15", "d", 0, 0))
    text = text_of(changed(WHOLE, case_alarms=alarmed))
    assert "Of these 615 verdicts, 1 was a failure." in text
    assert "fewer than 2.3%. Not yet: S15." in text


def test_survivors_and_untested_cases_are_published() -> None:
    assert "all 1 were caught by that very case. Every case caught at least one." in text_of(WHOLE)
    survivor = changed(TRIAL, verdict="PASS", caught=False)
    whole = changed(WHOLE, trials=(TRIAL, survivor), untested=("S09",))
    text = text_of(whole)
    assert "1 of 2 were caught by that very case. No mutant was tried on S09." in text
    assert "**PASS: survives**" in text


def test_a_specimens_failures_are_shown_case_by_case() -> None:
    assert "Of 2 cases they fail: `naive` 1." in text_of(WHOLE)
    text = text_of(WHOLE)
    assert "| F02 | LF | **CRASH** |" in text
    assert "| F01 |" not in text


def test_evidence_is_read_as_it_was_written(tmp_path: Path, make_results: Callable[..., Results]) -> None:
    write_manifest(tmp_path, make_results().manifest)
    (tmp_path / PROOF).write_text(as_json(WHOLE))
    assert read_results(tmp_path).proof == WHOLE
    (tmp_path / PROOF).write_text('{"suite": "abc"}')
    with pytest.raises(ResultsError, match=r"suite\.json is not of schema 3: .*`trials`"):
        read_results(tmp_path)
