"""Figures in which servers stand below each other: who belongs there."""

from collections.abc import Callable

import matplotlib as mpl

from harness.analyse.analysis import analyse
from harness.record import Results
from harness.report.figures.panels import CPU, side_by_side
from harness.report.figures.style import STYLE
from tests.makers import changed


def test_who_serves_too_few_is_said_to_be_unable_once_and_not_in_each_of_its_ways(
    make_results: Callable[..., Results],
) -> None:
    run = make_results()
    few = changed(run.manifest.servers[0], label="blocking", most_clients=1)
    servers = (*run.manifest.servers, few, changed(few, label="blocking+free"))
    found = analyse(changed(run, manifest=changed(run.manifest, servers=servers)))
    with mpl.rc_context(STYLE):
        drawn = side_by_side(found.one_core, "clients_64", [CPU])
    assert drawn.count(">blocking</text>") == drawn.count("cannot serve it</text>") == 1
    assert "blocking+free" not in drawn
    assert all(f">{facts.label}</text>" in drawn for facts in run.manifest.servers)
