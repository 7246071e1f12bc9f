"""The tables of one workload; and the file of all of them, too long for the report."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from harness.analyse.analysis import Analysis, RegimeAnalysis
from harness.analyse.comparisons import COMPARED, EQUIVALENT, UNDECIDED, Comparison
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import Estimate
from harness.analyse.tables import Row, Table
from harness.plan import CLOSED, Workload, by_name, why_not
from harness.record import Results, ServerFacts
from harness.report.wording import capital, interval, listed, quantile_of

MOST_NAMED: Final = 3
"""So many undecided pairs are named in a sentence; of more, the letters and the file of all pairs tell."""
SOMETIMES: Final = {
    "system_share": "{:.0%}",
    "fairness_jain": "{:.3f}",
    "worst_client_share": "{:.2f}",
    "connect_p50_us": "{:,.0f}",
    "connect_p99_us": "{:,.0f}",
    "recovery_s": "{:.2f}",
    "memory_slope_kib_per_s": "{:+,.1f}",
}
"""The figures that not every workload has, and their forms."""
TITLES: Final = {"system_share": "CPU in the kernel"}
POSSIBLE: Final = {
    "fairness_jain": (0.0, 1.0),
    "worst_client_share": (0.0, 1.0),
    "recovery_s": (0.0, math.inf),
}
"""What a figure cannot leave, and an interval around its mean might."""


def workloads_text(analysis: Analysis) -> str:
    """Return the file: the tables of every workload that has not got its own section in the report."""
    lines = [
        "# Workload by workload",
        "",
        "The report says what was measured and how; it shows the tables of the core workloads itself, and sums these up.",
        "",
    ]
    for name in analysis.one_core.tables:
        if not by_name(name).core and not by_name(name).relayed:
            lines += workload_section(by_name(name), analysis.one_core, analysis)
    if analysis.all_cores.tables:
        lines += ["# Workload by workload, on all cores", ""]
    for name in analysis.all_cores.tables:
        if not by_name(name).relayed:
            lines += workload_section(by_name(name), analysis.all_cores, analysis)
    return "\n".join(lines).rstrip() + "\n"


def workload_section(workload: Workload, regime: RegimeAnalysis, analysis: Analysis) -> list[str]:
    """Show what was measured of each server of a regime."""
    table = regime.tables[workload.name]
    lines = [
        f"## {capital(workload.title)}",
        "",
        f"`{workload.name}`: {workload.purpose}. What should show: {workload.separates}.",
        "",
    ]
    if not table.rows:
        return [*lines, "Nothing was measured.", ""]
    lines += [
        "| server | requests/s | | CPU µs per request | | limited by | launches |",
        "|---|---:|---|---:|---|---|---:|",
    ]
    for row in table.rows:
        bound = "≥ " if row.generator_bound else ""
        lines.append(
            f"| `{row.server}` | {bound}{interval(row.estimates['throughput_rps'], '{:,.0f}')} "
            f"| {row.letters['throughput_rps']} | {interval(row.estimates['cpu_us_per_request'], '{:.1f}')} "
            f"| {row.letters['cpu_us_per_request']} | {limits_of(row)} | {launches(row)} |"
        )
    lines += [
        "",
        "| server | p50 µs | p90 µs | p99 µs | p99.9 µs | max ms | switches | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in table.rows:
        quantiles = " | ".join(quantile_of(row, f"response_{q}_us") for q in ("p50", "p90", "p99", "p999"))
        switches, peak = row.estimates["switches_per_request"], row.estimates["peak_mib"]
        lines.append(
            f"| `{row.server}` | {quantiles} | {row.response_max_ms:,.1f} "
            f"| {'–' if switches is None else f'{switches.mean:.2f}'} | {'–' if peak is None else f'{peak.mean:.0f}'} |"
        )
    lines.append("")
    lines += _more_figures(table)
    lines += _idle_memory(table)
    lines += memory_growth(regime, workload)
    for name in COMPARED:
        is_given = name == "throughput_rps" and workload.load.arrivals != CLOSED
        lines += [] if is_given else _verdicts(name, table.comparisons[name])
    absent = [facts for facts in regime.servers if facts.label not in {row.server for row in table.rows}]
    lines += _why_absent(absent, workload, regime, analysis.results)
    lines += [f"- Not used: `{row.server}`: {reasons}." for row in table.rows for reasons in why_invalid(row)]
    return [*lines, ""]


def _more_figures(table: Table) -> list[str]:
    """Show the figures that not every workload has, in a table of their own."""
    shown = [name for name in SOMETIMES if any(row.estimates[name] is not None for row in table.rows)]
    if not shown:
        return []
    return [
        f"| server | {' | '.join(TITLES.get(name, metric(name).title) for name in shown)} |",
        f"|---|{'---:|' * len(shown)}",
        *(
            f"| `{row.server}` | {' | '.join(interval(_clipped(row, name), SOMETIMES[name]) for name in shown)} |"
            for row in table.rows
        ),
        "",
    ]


def _clipped(row: Row, name: str) -> Estimate | None:
    """Return an estimate whose interval keeps to what is possible."""
    found = row.estimates[name]
    if found is None or found.low is None or found.high is None or name not in POSSIBLE:
        return found
    least, most = POSSIBLE[name]
    return replace(found, low=max(found.low, least), high=min(found.high, most))


def memory_growth(regime: RegimeAnalysis, workload: Workload) -> list[str]:
    """Say by how much servers still grew in the second half of a long window."""
    found = regime.growth.get(workload.name)
    if found is None:
        return []
    return [
        f"- Memory, {workload.title}: in the second half of the window none grew by more than "
        f"{found.kib_per_s:.1f} KiB/s (`{found.server}`; medians of the launches)."
    ]


def _idle_memory(table: Table) -> list[str]:
    known = [(row.server, row.estimates["idle_kib_per_connection"]) for row in table.rows]
    shown = ", ".join(f"`{server}` {found.mean:.1f}" for server, found in known if found is not None)
    return [f"- Memory per idle connection, in KiB of the server's process: {shown}."] if shown else []


def _verdicts(name: str, comparisons: Iterable[Comparison]) -> list[str]:
    """Name the pairs that were not told apart: ties that are known to be ties, and questions left open."""
    title = metric(name).title
    all_pairs = tuple(comparisons)
    equal = [each for each in all_pairs if each.verdict == EQUIVALENT]
    undecided = [each for each in all_pairs if each.verdict == UNDECIDED]
    lines = []
    if equal:
        named = "; ".join(
            f"`{each.a}` and `{each.b}` (ratio {each.ratio:.3f}, {each.ci_low:.3f} to {each.ci_high:.3f})"
            for each in equal
        )
        lines.append(f"- Equivalent in {title}: {named}.")
    if undecided:
        named = ", ".join(f"`{each.a}` and `{each.b}`" for each in undecided)
        pairs = f": {named}" if len(undecided) <= MOST_NAMED else ""
        lines.append(f"- Undecided in {title}: {len(undecided)} of {len(all_pairs)} pairs{pairs}.")
    return lines


def launches(row: Row) -> str:
    """Count the launches, and the valid ones if not all are."""
    return str(row.launches) if row.valid == row.launches else f"{row.valid} of {row.launches}"


def why_invalid(row: Row) -> list[str]:
    """Give each kind of reason once, with how often it came and the first of its details."""
    kinds: dict[str, list[str]] = {}
    for reason in row.invalid:
        kinds.setdefault(reason.partition(":")[0], []).append(reason)
    return [
        reasons[0] if len(reasons) == 1 else f"{len(reasons)} launches, the first for {reasons[0]}"
        for reasons in kinds.values()
    ]


def _why_absent(
    servers: Iterable[ServerFacts],
    workload: Workload,
    regime: RegimeAnalysis,
    results: Results,
) -> list[str]:
    """Give each reason once, with all to whom it applies."""
    failed = {verdict.server for verdict in results.conformance if verdict.verdict.failed}
    impossible = {
        each.cell.server: f"could not be measured: {each.reason}"
        for each in results.unmeasured
        if each.cell.workload == workload.name
    }
    named: dict[str, list[str]] = {}
    for facts in servers:
        if facts.label in failed:
            reason = "did not pass the conformance gate, and gets no figures"
        else:
            measured = regime.is_measured(facts.label)
            otherwise = "measured under other workloads only" if measured else "not measured"
            reason = why_not(facts.most_clients, workload) or impossible.get(facts.label, otherwise)
        named.setdefault(reason, []).append(facts.label)
    return [f"- {listed(those)}: {reason}." for reason, those in named.items()]


def limits_of(row: Row) -> str:
    """Name what limited a server, with counts if that was not the same in all launches."""
    return ", ".join(
        limit if count == sum(row.limits.values()) else f"{limit} ({count})"
        for limit, count in sorted(row.limits.items())
    )
