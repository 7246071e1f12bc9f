"""Handlers that wait: the maps, and a table for each wait, number of clients and pool."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from harness.analyse.advice import Advice, SmallPool, ThreadsThatWait, WaitingHandlers
from harness.analyse.analysis import Analysis
from harness.analyse.rankings import Ranking
from harness.analyse.relays import BEHIND, MOST, Divide, MapField, RelayMap, TimerError
from harness.analyse.samples.validity import LATE_LIMIT
from harness.analyse.tables import Row
from harness.plan import RELAY, Load, by_name
from harness.record import ServerFacts
from harness.report.names import figure_of
from harness.report.sections.choice import in_words
from harness.report.sections.workloads import launches, limits_of, why_invalid
from harness.report.wording import capital, clients_in_words, few, interval

MOST_SHOWN: Final = 6
"""Of so many cells the report shows the tables itself."""
MOST_NAMED: Final = 3


class Column(NamedTuple):
    """Of a figure that not every relay has: its title, what it is divided by, and its form."""

    title: str
    unit: float
    form: str


SOMETIMES: Final = {
    "prompt_p50_us": Column("no wait: p50 ms", 1e3, "{:,.2f}"),
    "prompt_p99_us": Column("no wait: p99 ms", 1e3, "{:,.2f}"),
    "recovery_s": Column("recovered after s", 1.0, "{:.2f}"),
}
FEWEST_TO_COMPARE: Final = 2
SENTENCES: Final = (WaitingHandlers, ThreadsThatWait, SmallPool)


def relays_section(
    analysis: Analysis, drawn: Mapping[str, str], figures_at: str, relays_at: str
) -> list[str]:
    """Tell of relays: what was measured, the maps, the tables, and how good the clock was; nothing if none were."""
    found = analysis.relays
    if not found.workloads:
        return []
    lines = [
        "## Handlers that wait",
        "",
        "Each request is asked of an upstream, and answered when that has answered. Generator and upstream are one process, with one loop and one "
        "clock, so that all four times of a request are known: sent, asked, answered, received. **Ceiling**: what wait, clients and pool allow, "
        "however fast a server is: min(clients it serves, pool) / wait. **Share**: how many questions were under way on average, of as many as can be. "
        "**Own part**: what is left of a response when the upstream's is taken away, waiting for the pool included. A server for fewer clients "
        "was given as many as it serves.",
        "",
    ]
    lines += _mistakes(analysis.results.manifest.servers)
    for each in found.maps:
        lines += _map(each, drawn, figures_at)
    lines += _sentences(analysis.advice)
    shown = [name for name in found.workloads if by_name(name) == RELAY or len(found.workloads) <= MOST_SHOWN]
    for name in shown:
        lines += relay_table(name, analysis)
    if len(shown) < len(found.workloads):
        lines += [f"[Relay by relay]({relays_at}) has the tables of all {len(found.workloads)}.", ""]
    return [*lines, *_timer(found.errors)]


def relays_text(analysis: Analysis) -> str:
    """Return the file: the tables of all relays."""
    lines = [
        "# Relay by relay",
        "",
        "What the columns mean, and how this was measured, is said in the report.",
        "",
    ]
    for name in analysis.relays.workloads:
        lines += relay_table(name, analysis)
    return "\n".join(lines).rstrip() + "\n"


def relay_table(workload: str, analysis: Analysis) -> list[str]:
    """Show what was measured of each server under one wait, number of clients and pool."""
    load = by_name(workload).load
    tables = [
        regime.tables[workload]
        for regime in (analysis.one_core, analysis.all_cores)
        if workload in regime.tables
    ]
    lines = [f"### {capital(by_name(workload).title)}", ""]
    if not any(table.rows for table in tables):
        return [*lines, "Nothing was measured.", ""]
    sometimes = [
        name for name in SOMETIMES if any(row.estimates[name] for table in tables for row in table.rows)
    ]
    lines += [
        f"`{workload}`: at most {load.ceiling_rps:,.0f} requests/s for who serves all.{_of_a_stall(load)}",
        "",
        "| server | requests/s | | ceiling | share | CPU µs per request | | core | p50 ms | p99 ms | own part p50 ms | under way | peak MiB "
        f"|{''.join(f' {SOMETIMES[name].title} |' for name in sometimes)} limited by | launches |",
        f"|---|---:|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|{'---:|' * len(sometimes)}---|---:|",
    ]
    for regime, mark in ((analysis.one_core, ""), (analysis.all_cores, ", all cores")):
        table = regime.tables.get(workload)
        lines += [_row(row, mark, sometimes) for row in table.rows] if table else []
    invalid = [
        f"- Not used: `{row.server}`: {reason}."
        for regime in (analysis.one_core, analysis.all_cores)
        if workload in regime.tables
        for row in regime.tables[workload].rows
        for reason in why_invalid(row)
    ]
    absent = dict.fromkeys(
        f"- `{each.cell.server}` could not be measured: {each.reason}."
        for each in analysis.results.unmeasured
        if each.cell.workload == workload
    )
    return [*lines, "", *invalid, *absent, *([""] if invalid or absent else [])]


def _of_a_stall(load: Load) -> str:
    """Say how soon a stall can be over."""
    if not (load.upstream and load.upstream.stall_s):
        return ""
    return (
        f" For the last {load.upstream.stall_s:g} s of the window the upstream answers nothing. Who is no limit himself has worked off "
        f"what has piled up {load.worked_off_s:.1f} s later."
    )


def _row(row: Row, mark: str, sometimes: Sequence[str]) -> str:
    cells = (
        interval(row.estimates["throughput_rps"], "{:,.0f}"),
        row.letters["throughput_rps"],
        _mean(row, "ceiling_rps", "{:,.0f}"),
        interval(row.estimates["ceiling_share"], "{:.2f}"),
        interval(row.estimates["cpu_us_per_request"], "{:.0f}"),
        row.letters["cpu_us_per_request"],
        _mean(row, "core_share", "{:.0%}"),
        _mean(row, "response_p50_us", "{:,.1f}", 1e3),
        _mean(row, "response_p99_us", "{:,.1f}", 1e3),
        _mean(row, "own_p50_us", "{:,.2f}", 1e3),
        _mean(row, "mean_under_way", "{:,.1f}"),
        _mean(row, "peak_mib", "{:,.0f}"),
        *(_mean(row, name, SOMETIMES[name].form, SOMETIMES[name].unit) for name in sometimes),
        limits_of(row),
        launches(row),
    )
    return f"| `{row.server}`{mark} | {' | '.join(cells)} |"


def _mean(row: Row, name: str, form: str, unit: float = 1.0) -> str:
    found = row.estimates[name]
    return "–" if found is None else form.format(found.mean / unit)


def _mistakes(servers: Sequence[ServerFacts]) -> Iterator[str]:
    """Name who is there to show what a mistake costs."""
    for facts in servers:
        if facts.mistake:
            yield f"**`{facts.label}` is a mistake, made on purpose**: {facts.mistake}."
            yield ""


def _sentences(advice: Sequence[Advice]) -> Iterator[str]:
    """Say when threads are as good, when not, and what the pool does."""
    said = [each for each in advice if isinstance(each, SENTENCES)]
    for each in said:
        situation, why = in_words(each)
        yield f"- **{situation}**: {few(each.servers, MOST_NAMED)}; {why}."
    if said:
        yield ""


def _map(found: RelayMap, drawn: Mapping[str, str], figures_at: str) -> Iterator[str]:
    """Show who is first in each field."""
    name = figure_of(found.pool)
    pool = "a pool as large as the clients are many" if found.pool is None else f"a pool of {found.pool}"
    if name in drawn:
        yield f"![Who answers most, and at the least CPU, by wait and clients: {pool}]({figures_at}/{name})"
        yield ""
    yield f"With {pool}; servers named together were not told apart from the first:"
    yield ""
    yield "| wait | clients | answer the most | of the ceiling | the least CPU per request | the least memory |"
    yield "|---:|---:|---|---:|---|---|"
    for (wait_s, clients), each in sorted(found.fields.items()):
        yield (
            f"| {wait_s * 1e3:g} ms | {clients:,} | {_leaders(each.most, '{:,.0f}')}/s | {_of_ceiling(each):.0%} "
            f"| {_leaders_or_none(each.cheapest, ' µs')} | {_leaders_or_none(each.memory, ' MiB')} |"
        )
    yield ""
    yield from _divides(found.divides)
    yield from _behind(found)


def _divides(found: Sequence[Divide]) -> Iterator[str]:
    """Say where the answer changes."""
    if not found:
        return
    yield "Where the answer changes: of those who lead on the one side nobody leads on the other. Both firsts are equal at, with the 95 % interval:"
    yield ""
    yield "| | from | to | equal at |"
    yield "|---|---|---|---|"
    for each in found:
        what = "requests/s" if each.metric == MOST else "CPU per request"
        here, there = (f"{many:,} clients, {wait_s * 1e3:g} ms" for wait_s, many in (each.before, each.after))
        yield f"| {what} | `{each.overtaken}` ({here}) | `{each.overtaking}` ({there}) | {_equal_at(each)} |"
    yield ""


def _behind(found: RelayMap) -> Iterator[str]:
    """Say of each server up to how many clients it is as good as any."""
    servers = dict.fromkeys(server for server, _ in found.behind)
    if len(found.clients) < FEWEST_TO_COMPARE:
        return
    yield (
        f"From how many clients on a server answers less than the best by more than {BEHIND - 1:.0%}, with the 95 % interval: a server is as good as any "
        "up to there."
    )
    yield ""
    yield f"| server | {' | '.join(f'{wait_s * 1e3:g} ms' for wait_s in found.waits_s)} |"
    yield f"|---|{'---|' * len(found.waits_s)}"
    for server in sorted(servers):
        waits = (found.behind.get((server, wait_s)) for wait_s in found.waits_s)
        cells = ("–" if each is None else clients_in_words(each, found.clients) for each in waits)
        yield f"| `{server}` | {' | '.join(cells)} |"
    yield ""


def _equal_at(divide: Divide) -> str:
    if divide.crossing is None:
        return "–"
    low, at, high = divide.crossing.low, divide.crossing.at, divide.crossing.high
    if divide.by_clients:
        return f"{at:,.0f} clients ({low:,.0f} to {high:,.0f})"
    return f"{at * 1e3:.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def _leaders_or_none(found: Ranking | None, unit: str) -> str:
    return "–" if found is None else _leaders(found, "{:.0f}") + unit


def _leaders(found: Ranking, form: str) -> str:
    return f"{few(found.leaders, MOST_NAMED)} {form.format(found.mean(found.first))}"


def _of_ceiling(field: MapField) -> float:
    return field.most.mean(field.most.first) / by_name(field.workload).load.ceiling_rps


def _timer(errors: Sequence[TimerError]) -> list[str]:
    """Say how late the upstream answered."""
    if not errors:
        return []
    worst = max(errors, key=lambda each: each.p90_share)
    over = sum(each.p90_share > LATE_LIMIT for each in errors)
    return [
        f"**The clock**: the upstream's answers were {min(each.median_us for each in errors):,.0f} to "
        f"{max(each.median_us for each in errors):,.0f} µs late (medians, by workload); nine in ten were late by less than "
        f"{worst.p90_share:.1%} of the wait in the worst, `{worst.workload}` ({worst.p90_us:,.0f} µs). "
        + (
            f"In {over} of {len(errors)} that is above {LATE_LIMIT:.0%}."
            if over
            else f"Up to {LATE_LIMIT:.0%} is allowed."
        ),
        "",
    ]
