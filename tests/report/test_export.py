"""Figures for other programs: every one of the summary is there, and percentiles end at all requests."""

import csv
import io
from collections.abc import Callable

import pytest

from harness.analyse.analysis import analyse
from harness.record import Results
from harness.report.export import as_csv, as_hgrm
from harness.report.summary import summary_of


def test_each_figure_of_the_summary_has_its_line(make_results: Callable[..., Results]) -> None:
    summary = summary_of(analyse(make_results()))
    lines = list(csv.DictReader(io.StringIO(as_csv(summary))))
    (workload,) = summary.workloads
    assert len(lines) == sum(len(each.metrics) for each in workload.servers)
    for line in lines:
        server = next(each for each in workload.servers if each.server == line["server"])
        found = server.metrics[line["metric"]]
        assert (float(line["mean"]), line["letters"]) == (found.mean, found.letters)
        assert line["low"] == ("" if found.low is None else str(found.low))


def test_percentiles_rise_to_all_requests() -> None:
    text = as_hgrm({1000: 90, 1100: 9, 1200: 1})
    rows = [line.split() for line in text.splitlines() if line and not line.startswith(("#", " " * 7 + "V"))]
    assert [row[2] for row in rows] == ["90", "99", "100"]
    assert [float(row[1]) for row in rows] == [0.9, 0.99, 1.0]
    assert [float(row[3]) for row in rows[:-1]] == pytest.approx([10, 100])
    assert len(rows[-1]) == 3
    assert "Total count    =          100]" in text
