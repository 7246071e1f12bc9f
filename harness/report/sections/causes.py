"""Where a request's time goes, and why: sentences and tables that follow from figures alone."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.causes.evidence import Cause
from harness.plan import WORKLOADS, by_name
from harness.record import Arm, EffectResult, LoadCosts, ServerCosts
from harness.report.sections.costs import calls_in_words
from harness.report.wording import capital

DESCRIBED: Final = ("clients_64", "ping_pong")
"""A request is described under the first of these loads that a server can be given."""
MOSTLY: Final = 0.6
REMARKABLE: Final = 0.1


def causes_section(analysis: Analysis) -> list[str]:
    """Say where each server's time goes, what explains it, and which known effects were seen on this machine."""
    return [*_servers(analysis.results.costs, analysis.causes), *_effects(analysis.results.effects)]


def _servers(all_costs: Sequence[ServerCosts], found: Sequence[Cause]) -> Iterator[str]:
    if not all_costs:
        return
    yield "## Where a request's time goes"
    yield ""
    yield (
        "Each paragraph is made from the costs above, and each cause is found by a rule that looks at figures and does not "
        "know which server they are of."
    )
    yield ""
    for costs in all_costs:
        yield paragraph(costs)
        yield ""
        mine = [cause for cause in found if cause.servers[0] == costs.server]
        yield from (
            f"- **{capital(cause.effect)}** ({_workload(cause)}): {cause.sentence}." for cause in mine
        )
        if mine:
            yield ""
    yield from _sources(found)


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


def _sources(found: Sequence[Cause]) -> Iterator[str]:
    """Say who else knows these causes, and how to see them; each once."""
    if not found:
        return
    yield "| cause | source | shown by |"
    yield "|---|---|---|"
    for cause in {cause.effect: cause for cause in reversed(found)}.values():
        yield f"| {capital(cause.effect)} | {cause.source} | `{cause.command}` |"
    yield ""


def _workload(cause: Cause) -> str:
    """Say under what it was seen: a workload, or else what its figures are about."""
    titles = {workload.name: workload.title for workload in WORKLOADS}
    return titles.get(cause.workload, cause.workload)


def _effects(effects: Sequence[EffectResult]) -> Iterator[str]:
    if not effects:
        return
    yield "## Known effects"
    yield ""
    yield (
        "Each was made to happen on this machine, and then its cause was taken away. A rule that looks at the figures alone "
        "had to name it on the first side, and not to name it on the second."
    )
    yield ""
    yield "| effect | figure | with it | without it | named | cause | source | shown by |"
    yield "|---|---|---:|---:|---|---|---|---|"
    for each in effects:
        yield (
            f"| {each.title} | {each.unit} | {each.present.label}: {_figure(each, each.present)} "
            f"| {each.absent.label}: {_figure(each, each.absent)} | {_named(each)} | {capital(each.because) or '–'} "
            f"| {each.source or '–'} | `{each.command}` |"
        )
    yield ""
    for each in effects:
        if each.others:
            yield from _sides(each)


def _sides(result: EffectResult) -> Iterator[str]:
    """List all sides of an experiment that had more than two."""
    yield f"**{result.title}**: all sides of `{result.command}`."
    yield ""
    yield f"| side | {' | '.join(result.columns.values())} | named |"
    yield f"|---|{'---:|' * len(result.columns)}---|"
    for each in result.arms:
        figures = (f"{each.arm.figures.get(name, 0.0):,.2f}" for name in result.columns)
        named = "yes" if each.named else "no"
        wrong = "" if each.as_it_should else ", **wrongly**"
        yield f"| {each.arm.label} | {' | '.join(figures)} | {named}{wrong} |"
    yield ""


def _figure(result: EffectResult, arm: Arm) -> str:
    value = arm.figures.get(result.metric)
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def _named(result: EffectResult) -> str:
    if result.shown:
        return "yes, and not without it"
    return "**not by the rule**" if not result.named_present else "**also where its cause was taken away**"
