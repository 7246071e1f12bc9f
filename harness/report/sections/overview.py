"""The workloads besides the core, in a line each, and the servers that use all cores; every table has its place elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Final

from harness.analyse.analysis import Analysis, RegimeAnalysis
from harness.analyse.rankings import RankedTail, leaders
from harness.analyse.samples.metrics import metric
from harness.analyse.tables import Row, Table
from harness.plan import CLOSED, Workload, by_name
from harness.report.sections.workloads import launches, limits_of, memory_growth
from harness.report.wording import anchor, capital, few, interval, listed, mean_of, quantile_of

MOST_NAMED: Final = 3


def other_workloads(analysis: Analysis, workloads_at: str) -> list[str]:
    """Sum up each workload that is not of the core, with the way to its tables; nothing if there was none."""
    others = {
        by_name(name): table
        for name, table in analysis.one_core.tables.items()
        if not by_name(name).core and not by_name(name).relayed
    }
    closed = {workload: table for workload, table in others.items() if workload.load.arrivals == CLOSED}
    opened = {workload: table for workload, table in others.items() if workload.load.arrivals != CLOSED}
    if not others:
        return []
    growth = [line for workload in closed for line in memory_growth(analysis.one_core, workload)]
    return [
        "## The other workloads",
        "",
        "Who was first and who was last; servers named together were not told apart. The tail is the farthest quantile of "
        f"which enough is known of most servers there, in ms. [Workload by workload]({workloads_at}) has the tables.",
        "",
        *_summary(
            analysis.tails,
            closed,
            workloads_at,
            "throughput_rps",
            "{:,.0f}",
            ("the most requests/s", "the fewest"),
        ),
        *_summary(
            analysis.tails,
            opened,
            workloads_at,
            "cpu_us_per_request",
            "{:.1f}",
            ("the least CPU µs per request", "the most"),
        ),
        *([*growth, ""] if growth else []),
    ]


def _summary(  # noqa: PLR0913 - what, where and how
    tails: Mapping[str, RankedTail],
    tables: Mapping[Workload, Table],
    workloads_at: str,
    name: str,
    form: str,
    titles: tuple[str, str],
) -> Iterator[str]:
    """What an open loop answers is what it was offered: of that, the CPU time is told instead of the throughput."""
    if not tables:
        return
    yield f"| workload | {' | '.join(titles)} | tail | the shortest, ms | the longest, ms |"
    yield "|---|---|---|---|---|---|"
    for workload, table in tables.items():
        title = f"[{capital(workload.title)}]({workloads_at}#{anchor(workload.title)})"
        cells = *_first_and_last(table, name, form), *_tails(tails.get(workload.name))
        yield f"| {title} | {' | '.join(cells)} |"
    yield ""


def _first_and_last(table: Table, name: str, form: str) -> tuple[str, str]:
    rows = sorted(
        (row for row in table.rows if row.estimates[name]),
        key=lambda row: mean_of(row, name).mean,
        reverse=metric(name).higher_is_better,
    )
    if len(rows) < 2:
        return "–", "–"
    best, last = leaders(table, rows, name), rows[-1]
    figures = [form.format(mean_of(row, name).mean) for row in (rows[0], last)]
    if last in best:
        return f"none told apart: {figures[0]} to {figures[1]}", "–"
    return f"{few([row.server for row in best], MOST_NAMED)} {figures[0]}", f"`{last.server}` {figures[1]}"


def _tails(of_tail: RankedTail | None) -> tuple[str, str, str]:
    if of_tail is None:
        return "–", "–", "–"
    tail, found, without = of_tail
    short = f"{tail.short}, without {few(without, MOST_NAMED)}" if without else tail.short
    shortest, longest = (f"{found.mean(server) / 1e3:.2f}" for server in (found.first, found.last))
    if not found.tells_apart:
        return short, f"{shortest} to {longest}, first and last not told apart", "–"
    return short, f"{few(found.leaders, MOST_NAMED)} {shortest}", f"`{found.last}` {longest}"


def all_cores_section(all_cores: RegimeAnalysis) -> list[str]:
    """Show the servers that use every core, apart from all others; nothing if there are none."""
    if not all_cores.tables:
        return []
    return [
        "## On all cores",
        "",
        f"{listed([facts.label for facts in all_cores.servers])}: a regime of its own. Such a server uses every core of "
        "the machine, also the one that its load generator runs on, so that each takes time from the other: nothing here "
        "is comparable with the sections above. CPU time is that of all its processes together. **Limited by machine** "
        "means that server and generator together kept all cores busy.",
        "",
        "| workload | server | requests/s | CPU µs per request | p50 µs | p99 µs | limited by | launches |",
        "|---|---|---:|---:|---:|---:|---|---:|",
        *(
            _row(by_name(name), row)
            for name, table in all_cores.tables.items()
            if not by_name(name).relayed
            for row in table.rows
        ),
        "",
    ]


def _row(workload: Workload, row: Row) -> str:
    return (
        f"| {capital(workload.title)} | `{row.server}` | {interval(row.estimates['throughput_rps'], '{:,.0f}')} "
        f"| {interval(row.estimates['cpu_us_per_request'], '{:.1f}')} "
        f"| {quantile_of(row, 'response_p50_us')} | {quantile_of(row, 'response_p99_us')} | {limits_of(row)} | {launches(row)} |"
    )
