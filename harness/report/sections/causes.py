"""Where a request's time goes, and why: sentences that follow from figures alone."""

from collections.abc import Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.causes.evidence import Cause
from harness.plan import WORKLOADS, by_name
from harness.record import LoadCosts, ServerCosts
from harness.report.blocks import Blocks, Heading, Text, grid, points, words
from harness.report.sections.costs import calls_in_words
from harness.report.wording import capital

DESCRIBED: Final = ("clients_64", "ping_pong")
"""A request is described under the first of these loads that a server can be given."""
MOSTLY: Final = 0.6
REMARKABLE: Final = 0.1


def causes_page(analysis: Analysis) -> Blocks:
    """Say where each server's time goes, and what explains it; nothing if no costs are known."""
    if not analysis.results.costs:
        return []
    return [
        Heading("Where a request's time goes", 1),
        Text(
            "Each paragraph is made from what a request costs, and each cause is found by a rule that looks at figures and does not "
            "know which server they are of."
        ),
        *(block for costs in analysis.results.costs for block in _server(costs, analysis.causes)),
        *_sources(analysis.causes),
    ]


def _server(costs: ServerCosts, found: Sequence[Cause]) -> Blocks:
    mine = [cause for cause in found if cause.servers[0] == costs.server]
    return [
        Text(paragraph(costs)),
        *points(f"**{capital(cause.effect)}** ({_workload(cause)}): {cause.sentence}." for cause in mine),
    ]


def paragraph(costs: ServerCosts) -> str:
    """Say where the time of one server's request goes."""
    load = next((load for name in DESCRIBED if (load := costs.load(name)) is not None), None)
    if load is None:
        return f"**`{costs.server}`** could not be given any of these loads."
    return (
        f"**`{costs.server}`**, {by_name(load.workload).title}: a request takes {load.cpu_us:.1f} µs of CPU, "
        f"{_where(load)}. {_calls(load)} {_switches(load)}"
    )


def _where(load: LoadCosts) -> str:
    user_us, system_us = load.cpu_us * load.user_share, load.cpu_us * (1 - load.user_share)
    split = f"about {user_us:.1f} µs in user mode and {system_us:.1f} µs in the kernel"
    if load.user_share > MOSTLY:
        return f"most of it in the interpreter and the library: {split}"
    if load.user_share < 1 - MOSTLY:
        return f"most of it in the kernel: {split}"
    return split


def _calls(load: LoadCosts) -> str:
    if not load.syscalls:
        return "Its syscalls were not counted."
    besides = ", those for locks not counted" if load.lock_calls >= REMARKABLE else ""
    return f"It makes {load.other_than_lock_calls:.2f} syscalls ({calls_in_words(load)}{besides})."


def _switches(load: LoadCosts) -> str:
    waits, preempted = load.switches_voluntary, load.switches_involuntary
    if waits + preempted < REMARKABLE:
        return "It hardly ever gives its core up: there is always another client to serve."
    said = f"Its threads wait {waits:.2f} times"
    return f"{said}, and are preempted {preempted:.2f} times." if preempted >= REMARKABLE else f"{said}."


def _sources(found: Sequence[Cause]) -> Blocks:
    """Say who else knows these causes, and how to see them; each once."""
    if not found:
        return []
    rows = (
        (capital(cause.effect), cause.source, f"`{cause.command}`")
        for cause in {cause.effect: cause for cause in reversed(found)}.values()
    )
    return [grid(words("cause", "source", "shown by"), rows)]


def _workload(cause: Cause) -> str:
    """Say under what it was seen: a workload, or else what its figures are about."""
    titles = {workload.name: workload.title for workload in WORKLOADS}
    return titles.get(cause.workload, cause.workload)
