"""Figures in which servers stand below each other: who belongs there."""

from collections.abc import Callable, Collection, Mapping

import matplotlib as mpl

from harness.analyse.analysis import analyse
from harness.record import Results
from harness.report.figures.panels import CPU, dots, side_by_side
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


def test_who_was_not_measured_is_not_said_to_be_unable(make_results: Callable[..., Results]) -> None:
    both = {"threaded", "trio_nursery"}
    drawn = _drawn(_measured(make_results(), {"clients_64": both, "clients_500": {"threaded"}}))
    assert drawn.count("not measured</text>") == 1
    assert "cannot serve it" not in drawn


def test_a_row_of_panels_names_only_who_was_measured_there(make_results: Callable[..., Results]) -> None:
    both = {"threaded", "trio_nursery"}
    below = {"clients_64_pipeline_16": {"threaded"}}
    drawn = _drawn(_measured(make_results(), {"clients_64": both, "clients_500": both, **below}))
    assert drawn.count(">threaded</text>") == 2
    assert drawn.count(">trio_nursery</text>") == 1
    assert "not measured" not in drawn


def test_a_scale_over_thousands_has_ticks_at_powers_of_ten_alone(
    make_results: Callable[..., Results],
) -> None:
    near = make_results(factor=0.2)
    samples = tuple(
        changed(sample, server_cpu_ns=1000 * sample.server.cpu_ns)
        if sample.cell.server == "trio_nursery"
        else sample
        for sample in near.samples
    )
    assert ">100</text>" in _drawn(near)
    assert ">200</text>" in _drawn(near)
    far = _drawn(changed(near, samples=samples))
    assert ">100</text>" in far
    assert ">200</text>" not in far


def _measured(run: Results, who: Mapping[str, Collection[str]]) -> Results:
    """Give a run that measured these servers under these workloads."""
    samples = tuple(
        changed(sample, workload=workload)
        for workload, servers in who.items()
        for sample in run.samples
        if sample.cell.server in servers
    )
    design = changed(run.manifest.design, workloads=tuple(who))
    return changed(run, manifest=changed(run.manifest, design=design), samples=samples)


def _drawn(run: Results) -> str:
    found = analyse(run).one_core
    with mpl.rc_context(STYLE):
        return dots(found, list(found.tables), CPU)
