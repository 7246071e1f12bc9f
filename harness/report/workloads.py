"""The tables of one workload."""

from collections.abc import Iterable

from harness.analyse import COMPARED, EQUIVALENT, UNDECIDED, Comparison, Row, Table, metric
from harness.conformance.case import Verdict
from harness.plan import Workload
from harness.record import Results
from harness.report.wording import capital, interval, with_error


def workload_section(workload: Workload, table: Table, results: Results) -> list[str]:
    """Show what was measured of each server."""
    manifest = results.manifest
    lines = [f"## {capital(workload.title)}", "", f"`{workload.name}`: {workload.purpose}.", ""]
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
            f"| {row.letters['cpu_us_per_request']} | {_limits_of(row)} | {row.launches} |"
        )
    lines += [
        "",
        "| server | p50 µs | p90 µs | p99 µs | p99.9 µs | max ms | switches | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in table.rows:
        quantiles = " | ".join(
            with_error(row.estimates[f"response_{q}_us"], "{:,.0f}") for q in ("p50", "p90", "p99", "p999")
        )
        switches, peak = row.estimates["switches_per_request"], row.estimates["peak_mib"]
        lines.append(
            f"| `{row.server}` | {quantiles} | {row.response_max_ms:,.1f} "
            f"| {'–' if switches is None else f'{switches.mean:.2f}'} | {'–' if peak is None else f'{peak.mean:.0f}'} |"
        )
    lines.append("")
    lines += _idle_memory(table)
    for name in COMPARED:
        lines += _verdicts(name, table.comparisons[name])
    absent = [
        facts.label for facts in manifest.servers if facts.label not in {row.server for row in table.rows}
    ]
    lines += [f"- {_why_absent(label, workload, results)}" for label in absent]
    lines += [f"- Not used: `{row.server}`: {reason}." for row in table.rows for reason in row.invalid]
    return [*lines, ""]


def _idle_memory(table: Table) -> list[str]:
    known = [(row.server, row.estimates["idle_kib_per_connection"]) for row in table.rows]
    shown = ", ".join(f"`{server}` {found.mean:.1f}" for server, found in known if found is not None)
    return [f"- Memory per idle connection, in KiB of the server's process: {shown}."] if shown else []


def _verdicts(name: str, comparisons: Iterable[Comparison]) -> list[str]:
    title = metric(name).title
    equal = [c for c in comparisons if c.verdict == EQUIVALENT]
    open_ones = [c for c in comparisons if c.verdict == UNDECIDED]
    lines = []
    if equal:
        ties = "; ".join(
            f"`{c.a}` and `{c.b}` (ratio {c.ratio:.3f}, {c.ci_low:.3f} to {c.ci_high:.3f})" for c in equal
        )
        lines.append(f"- Equivalent in {title}: {ties}.")
    if open_ones:
        pairs = "; ".join(
            f"`{c.a}` and `{c.b}` (ratio {c.ratio:.2f}, {c.ci_low:.2f} to {c.ci_high:.2f})" for c in open_ones
        )
        lines.append(f"- Undecided in {title}: {pairs}.")
    return lines


def _why_absent(label: str, workload: Workload, results: Results) -> str:
    if any(v.server == label and Verdict(v.verdict).failed for v in results.conformance):
        return f"`{label}` did not pass the conformance gate, and gets no figures."
    facts = next(each for each in results.manifest.servers if each.label == label)
    if workload.clients > 1 and "concurrent" not in facts.declares:
        return f"`{label}` serves one client at a time, and cannot be given {workload.clients}."
    return f"`{label}` was not measured."


def _limits_of(row: Row) -> str:
    return ", ".join(
        limit if count == sum(row.limits.values()) else f"{limit} ({count})"
        for limit, count in sorted(row.limits.items())
    )
