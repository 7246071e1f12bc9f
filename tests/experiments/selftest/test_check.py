"""The self-test: that its servers are what they are said to be, and its judgement."""

import json
import math
import sys
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.app import main
from harness.experiments.selftest.basics import load, mean_ns
from harness.experiments.selftest.check import CheckOutcome
from harness.experiments.selftest.known_effect import BASE, BLOCKS, judgement
from harness.experiments.selftest.null_server import null
from harness.experiments.selftest.queueing import waits
from harness.experiments.selftest.stall import expected_share
from harness.experiments.selftest.trials import EQUALS, instrument_hash, read_runs, run_of, verdict_on
from harness.record import ResolutionRun, Sample, Told
from harness.record.buckets import histogram
from harness.study.cell import VISITORS, measure
from tests.makers import changed

TURNS = {"plus_5": 50, "plus_6": 60, "plus_10": 100, "plus_100": 1000}


def samples_of(make_sample: Callable[..., Sample], noise: float, error: float = 0.0) -> list[Sample]:
    """Make up launches of servers whose extra work costs what it should, times an error."""
    rng = np.random.default_rng(8)
    costs = {BASE: 0.0, "null_again": error} | {name: count / 1000 for name, count in TURNS.items()}
    return [
        make_sample(label, block, rps=1000, cpu_us=10 * (1 + cost) * math.exp(rng.normal(0, noise)))
        for block in range(BLOCKS)
        for label, cost in costs.items()
    ]


def test_a_machine_of_little_noise_tells_the_known_work_apart(make_sample: Callable[..., Sample]) -> None:
    result = judgement(samples_of(make_sample, 0.005), "clients_64", TURNS)
    assert result.outcome is CheckOutcome.PASSED
    assert result.figures["plus_6_truth"] == pytest.approx(1.06, abs=0.002)
    assert result.figures["plus_6_ratio"] == pytest.approx(1.06, abs=0.01)
    assert result.figures["plus_5_verdict"] == result.figures["plus_6_verdict"] == "worse"
    assert result.figures["null_again_verdict"] == "equivalent"
    assert "tells differences from 5.0% in 12 blocks of 1 s" in result.line


def test_the_order_in_which_servers_came_makes_no_difference(make_sample: Callable[..., Sample]) -> None:
    samples = samples_of(make_sample, 0.005)
    turned = judgement(samples[::-1], "clients_64", TURNS)
    assert turned.figures["plus_6_ratio"] == judgement(samples, "clients_64", TURNS).figures["plus_6_ratio"]


def test_a_machine_of_much_noise_does_not_pass(make_sample: Callable[..., Sample]) -> None:
    result = judgement(samples_of(make_sample, 0.3), "clients_64", TURNS)
    assert result.outcome is CheckOutcome.FAILED
    assert isinstance(result.figures["resolvable"], float)
    assert result.figures["resolvable"] > 0.2


def test_equal_servers_that_are_told_apart_are_a_failure(make_sample: Callable[..., Sample]) -> None:
    assert (
        judgement(samples_of(make_sample, 0.005, error=0.08), "clients_64", TURNS).outcome
        is CheckOutcome.FAILED
    )


def test_too_few_launches_are_a_failure(make_sample: Callable[..., Sample]) -> None:
    assert judgement([make_sample(BASE, 0)], "clients_64", TURNS).outcome is CheckOutcome.FAILED


def test_the_mean_of_a_histogram() -> None:
    values = np.array([10, 20, 100_000], dtype=np.int64)
    assert mean_ns(histogram(values, np.ones(3, dtype=np.int64))) == pytest.approx(values.mean(), rel=0.02)


@pytest.mark.parametrize("pipeline", [1, 16])
def test_the_null_server_answers_rightly_and_counts(tmp_path: Path, pipeline: int) -> None:
    file = tmp_path / "lines.json"
    sample = measure(null("null", count_file=str(file)), load(8, pipeline, duration_s=0.2))
    assert (sample.requests.wrong, sample.requests.error) == (0, 0)
    _, *counted = json.loads(file.read_text())
    visitors, clients = counted[:-8], counted[-8:]
    assert sum(clients) == sample.requests.sent == sample.requests.ok
    assert visitors == [1] * VISITORS


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [(["nothing"], 2, "no check is called 'nothing'"), (["simulation", "archive"], 0, None)],
)
def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int, reason: str | None
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["harness", "selftest", *words, "--json", "-"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == code
    if reason is not None:
        assert reason in said.err
        assert said.out == ""
        return
    found = json.loads(said.out)
    assert [each["check"] for each in found] == ["archive", "simulation"]
    assert {each["outcome"] for each in found} == {"passed"}
    assert all(set(each) == {"check", "purpose", "outcome", "line", "figures"} for each in found)


@given(st.floats(0.0, 0.8), st.floats(0.5, 2.0), st.floats(0.1, 0.9))
def test_the_stall_formula_is_what_a_queue_on_a_virtual_clock_does(
    utilisation: float, stall_s: float, share: float
) -> None:
    """One server, one queue, evenly spaced requests, and a stall in the middle of the window."""
    window_s, gap_s = 30.0, 0.002
    free_at_s, responses_s = 0.0, []
    for number in range(int(window_s / gap_s)):
        intended_s = number * gap_s
        begin_s = max(intended_s, free_at_s)
        if 5.0 <= begin_s < 5.0 + stall_s:
            begin_s = 5.0 + stall_s
        free_at_s = begin_s + utilisation * gap_s
        responses_s.append(free_at_s - intended_s)
    longer_s = share * stall_s
    found = sum(response > longer_s for response in responses_s) / len(responses_s)
    assert found == pytest.approx(expected_share(longer_s, stall_s, utilisation, window_s), abs=0.002)


def test_waits_are_those_of_a_queue() -> None:
    assert waits([0.0, 1.0, 1.5, 10.0], 2.0) == [0.0, 1.0, 2.5, 0.0]


def made_up_run(
    verdict: str = "equivalent", found: str = "worse", half: float = 0.02, crowd: str = "undecided"
) -> ResolutionRun:
    equal = Told(1.0, 1 / (1 + half), 1 + half, verdict)
    more = Told(1.1, 1.08, 1.12, found)
    calm = Told(1.0, 0.95, 1.05, "undecided")
    in_crowd = Told(1.0, 0.95, 1.05, crowd)
    return ResolutionRun(
        instrument_hash(), "2026-01-01 00:00", (equal,) * 4, more, 1.1, (calm, calm, calm, in_crowd)
    )


@pytest.mark.parametrize(
    ("runs", "outcome"),
    [
        ([made_up_run()] * 10, CheckOutcome.PASSED),
        ([made_up_run()] * 9 + [made_up_run("worse", "undecided")], CheckOutcome.PASSED),
        ([made_up_run()] * 7 + [made_up_run("worse")] * 3, CheckOutcome.FAILED),
        ([made_up_run()] * 9 + [made_up_run(crowd="better")], CheckOutcome.PASSED),
        ([made_up_run()] * 8 + [made_up_run(crowd="better")] * 2, CheckOutcome.FAILED),
        ([made_up_run()] * 8 + [made_up_run(found="undecided")] * 2, CheckOutcome.FAILED),
    ],
)
def test_the_instrument_is_judged_by_its_runs(runs: list[ResolutionRun], outcome: CheckOutcome) -> None:
    assert verdict_on(runs).outcome is outcome


def test_a_run_is_judged_from_its_launches(make_sample: Callable[..., Sample]) -> None:
    others = [
        changed(sample, server=other)
        for sample in samples_of(make_sample, 0.005)
        for name, other in zip((BASE, "null_again") * 3, chain(*EQUALS[1:]), strict=True)
        if sample.cell.server == name
    ]
    run = run_of([*samples_of(make_sample, 0.005), *others], TURNS, "2026-01-01 00:00")
    assert run is not None
    assert run.truth == pytest.approx(1.1, abs=0.002)
    assert [told.verdict for told in run.equals] == ["equivalent"] * 4
    assert [told.verdict for told in run.crowd] == ["equivalent"] * 4
    assert all(told.low < 1 < told.high for told in run.crowd)
    assert run.more.verdict == "worse"
    assert run_of(samples_of(make_sample, 0.005), TURNS, "") is None, "a pair is missing"
    assert run_of([make_sample(BASE, 0)], TURNS, "") is None


def test_runs_of_another_instrument_and_half_written_ones_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    lines = [
        msgspec.json.encode(run).decode()
        for run in (made_up_run(), changed(made_up_run(), instrument="another"))
    ]
    log.write_text("\n".join([*lines, lines[0][:40]]))
    assert read_runs(log) == [made_up_run()]
