"""All workloads, in a line each."""

from collections.abc import Mapping
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.rankings import RankedTail, leaders, not_ranked, ranked_rows
from harness.analyse.tables import Table
from harness.plan import CLOSED, Workload, by_name, is_as_usual
from harness.report.blocks import Blocks, Text, grid, words
from harness.report.wording import all_quantiles, anchor, capital, few, mean_of

MOST_NAMED: Final = 3


def overview(analysis: Analysis) -> Blocks:
    """Sum up each workload of servers of one core, with the way to its tables; nothing if there was none."""
    tables = {
        by_name(name): table
        for name, table in analysis.one_core.tables.items()
        if table.rows and not by_name(name).relayed
    }
    closed = {workload: table for workload, table in tables.items() if workload.load.arrivals == CLOSED}
    opened = {workload: table for workload, table in tables.items() if workload.load.arrivals != CLOSED}
    if not tables:
        return []
    return [
        Text(
            "Who was first and who was last of the servers as usual; servers named together were not told apart. Tails are ranked by the farthest "
            "quantile of which enough is known of most servers there; all quantiles stand beside it."
        ),
        *_summary(analysis.tails, closed, "throughput_rps", "{:,.0f}", ("the most requests/s", "the fewest")),
        *_summary(
            analysis.tails,
            opened,
            "cpu_us_per_request",
            "{:.1f}",
            ("the least CPU µs per request", "the most"),
        ),
    ]


def _summary(
    tails: Mapping[str, RankedTail],
    tables: Mapping[Workload, Table],
    name: str,
    form: str,
    titles: tuple[str, str],
) -> Blocks:
    """What an open loop answers is what it was offered: of that, the CPU time is told instead of the throughput."""
    if not tables:
        return []
    rows = (
        (
            f"[{capital(workload.title)}](workloads.md#{anchor(workload.title)})",
            *_first_and_last(table, name, form),
            *_tails(table, tails.get(workload.name)),
        )
        for workload, table in tables.items()
    )
    return [grid(words("workload", *titles, "tail", "the shortest", "the longest"), rows)]


def _first_and_last(table: Table, name: str, form: str) -> tuple[str, str]:
    usual = [row for row in table.rows if is_as_usual(row.server)]
    rows, missing = ranked_rows(usual, name), not_ranked(usual, name)
    if len(rows) < 2:
        return "–", "–"
    best, last = leaders(table, rows, name), rows[-1]
    figures = [form.format(mean_of(row, name).mean) for row in (best[0], last)]
    without = f", without {few(missing, MOST_NAMED)}" if missing else ""
    if last in best:
        return f"none told apart: {figures[0]} to {figures[1]}{without}", "–"
    return (
        f"{few([row.server for row in best], MOST_NAMED)} {figures[0]}{without}",
        f"`{last.server}` {figures[1]}",
    )


def _tails(table: Table, of_tail: RankedTail | None) -> tuple[str, str, str]:
    """Say who has the shortest tail and who the longest, with all quantiles: none stands for the others."""
    if of_tail is None:
        return "–", "–", "–"
    tail, found, without = of_tail
    short = f"{tail.short}, without {few(without, MOST_NAMED)}" if without else tail.short
    first, last = (all_quantiles(table.row(server)) for server in (found.first, found.last))
    if not found.tells_apart:
        return short, f"first and last not told apart: `{found.first}` {first}", f"`{found.last}` {last}"
    return short, f"{few(found.leaders, MOST_NAMED)}: {first}", f"`{found.last}` {last}"
