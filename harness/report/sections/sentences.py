"""What one workload's table says, in sentences made from its figures."""

from collections.abc import Iterator, Sequence
from typing import Final

from harness.analyse.rankings import RankedTail, leaders, not_ranked, ranked_rows
from harness.analyse.tables import Row, Table
from harness.plan import CLOSED, by_name, is_as_usual
from harness.report.wording import all_quantiles, few, interval, listed, mean_of, rate_of

MOST_NAMED: Final = 4
THROUGHPUT, CPU, SWITCHES = "throughput_rps", "cpu_us_per_request", "switches_per_request"
SLEEPS: Final = 0.9
"""Who waits less than so often for each request of one client finds some of them there without being woken."""


def sentences(table: Table, of_tail: RankedTail | None) -> Iterator[str]:
    """Say who answered most, who at the least CPU, and who has the shortest tail, of the servers as usual."""
    rows = [row for row in table.rows if row.estimates[THROUGHPUT] and is_as_usual(row.server)]
    if len(ranked_rows(rows, THROUGHPUT)) < 2:
        return
    workload = by_name(table.workload)
    if workload.load.arrivals == CLOSED:
        yield throughput_sentence(table, rows)
        if all(row.limits.keys() == {"latency"} for row in rows):
            yield latency_sentence(rows)
    if len(ranked_rows(rows, CPU)) > 1:
        yield cpu_sentence(table, rows)
    if of_tail is not None:
        yield tail_sentence(table, of_tail)


def throughput_sentence(table: Table, rows: Sequence[Row]) -> str:
    """Say who answered the most, and who the fewest."""
    best, last = _first_and_last(table, rows, THROUGHPUT)
    most, fewest = mean_of(best[0], THROUGHPUT), mean_of(last, THROUGHPUT)
    if last in best:
        apart = "the first and the last were not told apart"
        return (
            f"From {fewest.mean:,.0f} to {most.mean:,.0f} requests/s; {apart}{_without(table, THROUGHPUT)}."
        )
    return (
        f"{_named(best)} answered the most: {rate_of(best[0], interval(most, '{:,.0f}'))} requests/s; "
        f"`{last.server}` the fewest, {interval(fewest, '{:,.0f}')}{_without(table, THROUGHPUT)}."
    )


def latency_sentence(rows: Sequence[Row]) -> str:
    """Say what limits those that no core limits; who seldom sleeps is named."""
    awake = [
        row.server for row in rows if (found := row.estimates[SWITCHES]) is not None and found.mean < SLEEPS
    ]
    waits = "each request waits for the kernel to wake the server, and then the client"
    if not awake:
        return f"No core was busy all the time: {waits}."
    return (
        f"No core was busy all the time: {waits}. Not so at {listed(awake)}: less than once for each request."
    )


def cpu_sentence(table: Table, rows: Sequence[Row]) -> str:
    """Say where a request costs the least CPU, and where the most; never without the load at which it does."""
    best, last = _first_and_last(table, rows, CPU)
    cheapest, dearest = mean_of(best[0], CPU), mean_of(last, CPU)
    under = f"under this load ({by_name(table.workload).title})"
    if last in best:
        return f"A request cost {cheapest.mean:.1f} to {dearest.mean:.1f} µs of CPU {under}, with no servers told apart{_without(table, CPU)}."
    return (
        f"A request cost the least CPU {under} in {_named(best)}: {interval(cheapest, '{:.1f}')} µs; the most in "
        f"`{last.server}`, {interval(dearest, '{:.1f}')} µs, {dearest.mean / cheapest.mean:.1f} times as much{_without(table, CPU)}."
    )


def tail_sentence(table: Table, of_tail: RankedTail) -> str:
    """Say who has the shortest tail, and who the longest, by the farthest quantile that most have; with all other quantiles."""
    tail, found, without = of_tail
    unknown = f"; too little is known of {listed(without)}" if without else ""
    first, last = (f"`{server}` {all_quantiles(table.row(server))}" for server in (found.first, found.last))
    if not found.tells_apart:
        return f"Ranked by {tail.short}, first and last were not told apart: {first}; {last}{unknown}."
    others = [server for server in found.leaders if server != found.first]
    tied = f" (not told apart from {few(others, MOST_NAMED)})" if others else ""
    return f"Ranked by {tail.short}, the shortest tail: {first}{tied}; the longest: {last}{unknown}."


def _first_and_last(table: Table, rows: Sequence[Row], name: str) -> tuple[list[Row], Row]:
    """Return those who share the first place, and the last."""
    ranked = ranked_rows(rows, name)
    return leaders(table, ranked, name), ranked[-1]


def _without(table: Table, name: str) -> str:
    """Name who is not ranked, so that nobody takes the first and the last for those of all."""
    missing = not_ranked((row for row in table.rows if is_as_usual(row.server)), name)
    return f"; too little is known of {listed(missing)}" if missing else ""


def _named(rows: Sequence[Row]) -> str:
    names = few([row.server for row in rows], MOST_NAMED)
    return names if len(rows) == 1 else f"{names} (not told apart)"
