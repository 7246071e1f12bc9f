"""Predicted against measured, in words: what came true, what a constant cost would say, and where it fails."""

from collections.abc import Callable

import pytest

from harness.analyse.analysis import analyse
from harness.analyse.prediction.cost import CostCurve
from harness.analyse.prediction.held_out import near_of, right_of
from harness.record import Results, Sample
from harness.report.pages import PREDICTIONS
from harness.report.render import render
from harness.report.sections.predictions import predictions_page
from tests.analyse.prediction.relays import measured, sample_of
from tests.makers import as_markdown, changed, undrawn

HEADING = "# Predicted against measured"


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
    text, _, every = as_markdown(predictions_page(analysis)).partition("## Every prediction\n")
    right, of = right_of(found.judged), len(found.judged)
    assert f"**{near_of(found.judged)} of {of} predictions are near**" in text
    assert f"**{right} are right**" in text
    assert text.count("**wrong**") == of - right
    assert every.count("\n| `") == of


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
    text = as_markdown(predictions_page(analyse(changed(run, samples=altered))))
    assert "Where it fails" in text
    assert "| CPU µs per request | 0 of 6 |" in text


def test_a_run_without_relays_says_nothing(make_results: Callable[..., Results]) -> None:
    analysis = analyse(make_results())
    assert analysis.predictions is None
    assert predictions_page(analysis) == []
    with undrawn():
        files = render(analysis)
    assert PREDICTIONS not in files


def test_they_have_a_page(run: Results) -> None:
    with undrawn():
        files = render(analyse(run))
    assert files[PREDICTIONS].startswith(f"{HEADING}\n")
