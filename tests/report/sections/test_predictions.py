"""Predicted against measured, in words: what came true, what a constant cost would say, and where it fails."""

from collections.abc import Callable

import pytest

from harness.analyse.analysis import analyse
from harness.analyse.prediction.cost import CostCurve
from harness.analyse.prediction.held_out import right_of
from harness.record import Results, Sample
from harness.report.markdown import PREDICTIONS, REPORT, render
from harness.report.sections.predictions import predictions_section, predictions_text
from tests.analyse.prediction.relays import measured, sample_of
from tests.makers import changed, undrawn

HEADING = "## Predicted against measured"


@pytest.fixture(scope="module")
def run(make_results: Callable[..., Results], make_relayed: Callable[..., Sample]) -> Results:
    """Make up a run of two relays, of which one costs more in a crowd than it should."""
    cells = [*measured("threaded"), *measured("trio_nursery", CostCurve(80.0, 60.0))]
    samples = tuple(sample_of(cell, make_relayed) for cell in cells)
    return changed(make_results(), samples=samples)


def test_every_prediction_stands_beside_what_was_measured(run: Results) -> None:
    analysis = analyse(run)
    found = analysis.predictions
    assert found is not None
    text = "\n".join(predictions_section(analysis, "predictions.md"))
    right, of = right_of(found.judged), len(found.judged)
    assert f"**{right} of {of} predictions are right**" in text
    assert text.count("**wrong**") == of - right
    assert predictions_text(found).count("\n| `") == of
    assert "[Every prediction](predictions.md)" in text


def test_what_is_wrong_is_shown(run: Results) -> None:
    """One server costs three times as much in all that was drawn."""
    judged = analyse(run).predictions
    assert judged is not None
    drawn = {each.place for each in judged.judged}
    waiting = {(server, setting.clients, setting.wait_s, setting.pool) for server, setting in drawn}
    altered = tuple(
        changed(sample, server_cpu_ns=3 * sample.server.cpu_ns)
        if sample.load.upstream
        and (sample.cell.server, sample.load.clients, sample.load.upstream.wait_s, sample.load.upstream.pool)
        in waiting
        else sample
        for sample in run.samples
    )
    text = "\n".join(predictions_section(analyse(changed(run, samples=altered)), ""))
    assert "Where it fails" in text
    assert "| CPU µs per request | 0 of 6 |" in text


def test_a_run_without_relays_says_nothing(make_results: Callable[..., Results]) -> None:
    analysis = analyse(make_results())
    assert analysis.predictions is None
    assert predictions_section(analysis, "") == []
    with undrawn():
        files = render(analysis)
    assert HEADING not in files[REPORT]
    assert PREDICTIONS not in files


def test_the_report_has_the_section_and_its_file(run: Results) -> None:
    with undrawn():
        files = render(analyse(run))
    assert HEADING in files[REPORT]
    assert files[PREDICTIONS].startswith("# Every prediction\n")
