"""The short answer: sentences made from the figures."""

from collections.abc import Mapping, Sequence

from harness.conformance.case import Verdict
from harness.plan import by_name
from harness.record import Results
from harness.report.wording import capital, interval, leaders, listed, mean_of, names_of
from harness.tables import Row, Table


def short_answer(results: Results, tables: Mapping[str, Table]) -> list[str]:
    """Say what the figures say, in a few sentences made from them."""
    lines = ["## Short answer", ""]
    for name, table in tables.items():
        workload = by_name(name)
        rows = [row for row in table.rows if row.estimates["throughput_rps"]]
        if len(rows) < 2 or not workload.core:
            continue
        if all("latency" in row.limits and len(row.limits) == 1 for row in rows):
            lines.append(f"- **{capital(workload.title)}**: {_latency_bound(rows)}")
        else:
            lines.append(f"- **{capital(workload.title)}**: {throughput_sentence(table, rows)}")
            if workload.pipeline == 1:
                lines.append(f"- There {cpu_sentence(table, rows)}")
                lines.append(f"- There {tail_sentence(rows)}")
    lines += _memory_sentence(tables)
    lines += _conformance_sentence(results)
    return [*lines, ""]


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


def tail_sentence(rows: Sequence[Row]) -> str:
    """Say who has the shortest tail, and who the longest."""
    ranked = sorted(
        (row for row in rows if row.estimates["response_p99_us"]),
        key=lambda row: mean_of(row, "response_p99_us").mean,
    )
    if len(ranked) < 2:
        return "too few requests were answered to speak of the tail."
    best, last = ranked[0], ranked[-1]
    return (
        f"99 % of the responses came within {mean_of(best, 'response_p99_us').mean / 1e3:.1f} ms "
        f"from `{best.server}`, and within {mean_of(last, 'response_p99_us').mean / 1e3:.1f} ms from `{last.server}`."
    )


def _latency_bound(rows: Sequence[Row]) -> str:
    means = [mean_of(row, "throughput_rps").mean for row in rows]
    return (
        f"from {min(means):,.0f} to {max(means):,.0f} requests/s, and neither the server's core nor the generator's was "
        "busy: this is the time that the machine takes to wake a process, more than the model."
    )


def _memory_sentence(tables: Mapping[str, Table]) -> list[str]:
    costs = {
        row.server: found.mean
        for table in tables.values()
        for row in table.rows
        if (found := row.estimates["idle_kib_per_connection"])
    }
    if len(costs) < 2:
        return []
    least, most = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
    return [
        f"- **Memory**: a connected, silent client takes {costs[least]:.1f} KiB of `{least}` "
        f"and {costs[most]:.1f} KiB of `{most}`, kernel buffers not counted."
    ]


def _conformance_sentence(results: Results) -> list[str]:
    if not results.conformance:
        return []
    servers = list(dict.fromkeys(verdict.server for verdict in results.conformance))
    failed = sorted({v.server for v in results.conformance if Verdict(v.verdict).failed})
    cases = len({verdict.case for verdict in results.conformance})
    if failed:
        return [
            f"- **Conformance**: of {cases} cases, {listed(failed)} failed at least one, and got no figures."
        ]
    return [
        f"- **Conformance**: all {len(servers)} servers passed the gate, {cases} cases each, before they were measured."
    ]
