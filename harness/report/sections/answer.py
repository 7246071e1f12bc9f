"""The short answer: sentences made from the figures."""

from collections.abc import Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import BETTER, WORSE, inverse
from harness.analyse.rankings import RankedTail, leaders
from harness.analyse.tables import Row, Table
from harness.plan import FREE, FRESH, ONE_CORE, by_name, is_as_usual
from harness.record import Results, Verdict
from harness.report.blocks import Blocks, Heading, points
from harness.report.wording import capital, few, interval, listed, mean_of, names_of

KIB: Final = 1024
MOST_NAMED: Final = 4
CPU: Final = "cpu_us_per_request"
TIMES: Final = {
    CPU: "took {:.1f} times the CPU per request",
    "throughput_rps": "answered {:.2f} times as much",
}


def short_answer(analysis: Analysis) -> Blocks:
    """Say what the figures say, in a few sentences made from them."""
    lines: list[str] = []
    for name, table in analysis.one_core.tables.items():
        workload = by_name(name)
        rows = [row for row in table.rows if row.estimates["throughput_rps"] and is_as_usual(row.server)]
        if len(rows) < 2 or not workload.core:
            continue
        if all("latency" in row.limits and len(row.limits) == 1 for row in rows):
            lines.append(f"**{capital(workload.title)}**: {_latency_bound(rows)}")
            lines.append(f"There {cpu_sentence(table, rows)}")
        else:
            lines.append(f"**{capital(workload.title)}**: {throughput_sentence(table, rows)}")
            if workload.load.pipeline == 1:
                lines.append(f"There {cpu_sentence(table, rows)}")
                lines.append(f"There {tail_sentence(analysis.tails.get(name))}")
    lines += _ways_sentences(analysis)
    lines += _memory_sentence(analysis)
    lines += _conformance_sentence(analysis.results)
    return [Heading("Short answer"), *points(lines)]


def _ways_sentences(analysis: Analysis) -> list[str]:
    """Say what it makes of servers to be free on all cores, or fresh, where that is known to make a difference."""
    lines = []
    for way, title, said in (
        (FREE, "Free on all cores", "instead of pinned to one"),
        (FRESH, "Before the first client has left", "instead of in service"),
    ):
        for name, table in analysis.one_core.tables.items():
            told: dict[str, list[str]] = {}
            for metric, of_metric in table.comparisons.items():
                for found in of_metric:
                    for each in (found, inverse(found)):
                        if (
                            each.b == f"{each.a}+{way}"
                            and each.verdict in {BETTER, WORSE}
                            and metric in TIMES
                        ):
                            told.setdefault(each.a, []).append(TIMES[metric].format(each.ratio))
            servers = [f"`{server}` {' and '.join(parts)}" for server, parts in told.items()]
            if servers:
                lines.append(f"**{title}**, {said}, {by_name(name).title}: {'; '.join(servers)}.")
    return lines


def throughput_sentence(table: Table, rows: Sequence[Row]) -> str:
    """Say who answered the most, and who the fewest; the rows are in that order."""
    best = leaders(table, rows, "throughput_rps")
    last = rows[-1]
    if last in best:
        least, most = mean_of(last, "throughput_rps"), mean_of(rows[0], "throughput_rps")
        return f"from {least.mean:,.0f} to {most.mean:,.0f} requests/s; the first and the last were not told apart."
    return (
        f"{names_of(best)} answered the most: {interval(mean_of(best[0], 'throughput_rps'), '{:,.0f}')} requests/s; "
        f"`{last.server}` the fewest, {interval(mean_of(last, 'throughput_rps'), '{:,.0f}')}."
    )


def cpu_sentence(table: Table, rows: Sequence[Row]) -> str:
    """Say where a request costs the least CPU, and where the most."""
    ranked = sorted(
        (row for row in rows if row.estimates["cpu_us_per_request"]),
        key=lambda row: mean_of(row, "cpu_us_per_request").mean,
    )
    best = leaders(table, ranked, "cpu_us_per_request")
    last = ranked[-1]
    cheapest, dearest = mean_of(best[0], "cpu_us_per_request"), mean_of(last, "cpu_us_per_request")
    if last in best:
        return (
            f"a request cost {cheapest.mean:.1f} to {dearest.mean:.1f} µs of CPU, with no servers told apart."
        )
    return (
        f"a request cost the least CPU in {names_of(best)}: {interval(cheapest, '{:.1f}')} µs; "
        f"the most in `{last.server}`, {interval(dearest, '{:.1f}')} µs, {dearest.mean / cheapest.mean:.1f} times as much."
    )


def tail_sentence(of_tail: RankedTail | None) -> str:
    """Say who has the shortest tail, and who the longest, by the farthest quantile that most have."""
    if of_tail is None:
        return "too few requests were answered to speak of the tail."
    tail, found, without = of_tail
    unknown = f" (too little is known of {listed(without)})" if without else ""
    shortest, longest = (f"{found.mean(server) / 1e3:.1f}" for server in (found.first, found.last))
    if not found.tells_apart:
        return f"{tail.share} of the responses came within {shortest} to {longest} ms{unknown}, first and last not told apart."
    tied = " (not told apart)" if len(found.leaders) > 1 else ""
    return (
        f"{tail.share} of the responses came within {shortest} ms from {few(found.leaders, MOST_NAMED)}{tied}, and within "
        f"{longest} ms from `{found.last}`{unknown}."
    )


def _latency_bound(rows: Sequence[Row]) -> str:
    means = [mean_of(row, "throughput_rps").mean for row in rows]
    return (
        f"from {min(means):,.0f} to {max(means):,.0f} requests/s, with no core busy all the time: each request waits for the "
        "kernel to wake the server, and then the client."
    )


def _memory_sentence(analysis: Analysis) -> list[str]:
    slopes = {
        each.server: (found, kernel)
        for each in analysis.results.costs
        if each.regime == ONE_CORE
        and (found := analysis.slopes[each.server, "rss_bytes"])
        and (kernel := analysis.slopes[each.server, "kernel_stack_bytes"])
    }
    if len(slopes) < 2:
        return []
    ranked = sorted(slopes, key=lambda server: slopes[server][0].value)
    (least, _), (most, stack) = (slopes[server] for server in (ranked[0], ranked[-1]))
    own_stack = (
        f", besides {stack.value / KIB:.0f} KiB in the kernel for a stack" if stack.value > KIB else ""
    )
    return [
        f"**Memory**: a connected, silent client takes {least.value / KIB:.1f} KiB of the process of `{ranked[0]}`, and "
        f"{most.value / KIB:.1f} KiB of that of `{ranked[-1]}`{own_stack}."
    ]


def _conformance_sentence(results: Results) -> list[str]:
    if not results.conformance:
        return []
    servers = list(dict.fromkeys(verdict.server for verdict in results.conformance))
    failed = sorted({v.server for v in results.conformance if v.verdict.failed})
    cases = len({verdict.case for verdict in results.conformance})
    if failed:
        return [
            f"**Conformance**: of {cases} cases, {listed(failed)} failed at least one, and got no figures."
        ]
    lacking = sum(verdict.verdict == Verdict.BY_DESIGN for verdict in results.conformance)
    return [
        f"**Conformance**: all {len(servers)} servers passed the suite, {cases} cases each, with the very sources that were measured; in "
        f"{lacking} of these {len(results.conformance):,} verdicts a server lacks a capability, says so, and behaves so."
    ]
