"""The tables of every workload."""

import math
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from harness.analyse.analysis import Analysis, RegimeAnalysis
from harness.analyse.comparisons import COMPARED, EQUIVALENT, UNDECIDED, Comparison
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import Estimate
from harness.analyse.tables import Row, Table
from harness.plan import CLOSED, Workload, by_name, in_slices, why_not
from harness.record import Results, ServerFacts
from harness.report.blocks import Blocks, Grid, Heading, Picture, Text, grid, numbers, points, words
from harness.report.sections.overview import overview
from harness.report.sections.sentences import sentences
from harness.report.wording import capital, counted, interval, listed, quantile_of, rate_of

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
    "ceiling_share": (0.0, 1.0),
}
"""What a figure cannot leave, and an interval around its mean might."""


SHOWN: Final = {
    "throughput.svg": "Requests per second, by workload and server",
    "cpu.svg": "CPU time per request, by workload and server",
    "latency.svg": "Response time against percentile, by workload and server",
}
ON_ALL_CORES: Final = (
    "A regime of its own. Such a server uses every core of the machine, also the one that its load generator runs on, so that each "
    "takes time from the other: nothing here is comparable with the tables above. CPU time is that of all its processes together. "
    "**Limited by machine** means that server and generator together kept all cores busy."
)


def workloads_page(analysis: Analysis, drawn: Collection[str]) -> Blocks:
    """Show the tables of every workload; who uses all cores comes last."""
    return [
        Heading("Workload by workload", 1),
        Text("What the columns mean, and how this was measured: [method](method.md)."),
        *overview(analysis),
        *(Picture(name, title) for name, title in SHOWN.items() if name in drawn),
        *_of_regime(analysis.one_core, analysis),
        *_of_regime(analysis.all_cores, analysis),
    ]


def _of_regime(regime: RegimeAnalysis, analysis: Analysis) -> Blocks:
    names = [name for name in regime.tables if not by_name(name).relayed]
    if regime is analysis.one_core or not names:
        head, where = Blocks(), ""
    else:
        head, where = [Heading("On all cores"), Text(ON_ALL_CORES)], ", on all cores"
    sections = (workload_section(by_name(name), regime, analysis, where) for name in names)
    return [*head, *(block for section in sections for block in section)]


def workload_section(
    workload: Workload, regime: RegimeAnalysis, analysis: Analysis, where: str = ""
) -> Blocks:
    """Show what was measured of each server of a regime."""
    table = regime.tables[workload.name]
    head: Blocks = [
        Heading(capital(workload.title) + where),
        Text(f"`{workload.name}`: {workload.purpose}. What should show: {workload.separates}."),
    ]
    if not table.rows:
        return [
            *head,
            Text("Nothing was measured."),
            *points(_why_absent(regime.servers, workload, regime, analysis.results)),
        ]
    absent = [facts for facts in regime.servers if facts.label not in {row.server for row in table.rows}]
    is_given = workload.load.arrivals != CLOSED
    return [
        *head,
        *points(sentences(table, analysis.tails.get(workload.name) if regime is analysis.one_core else None)),
        _rates(table),
        _responses(table),
        *_more_figures(table),
        *points(
            [
                *_idle_memory(table),
                *memory_growth(regime, workload),
                *(
                    line
                    for name in COMPARED
                    if not (name == "throughput_rps" and is_given)
                    for line in _verdicts(name, table.comparisons[name])
                ),
                *_why_absent(absent, workload, regime, analysis.results),
                *not_used(table),
                *_not_made(table, analysis.results),
            ]
        ),
    ]


def _rates(table: Table) -> Grid:
    columns = (
        *words("server"),
        *numbers("requests/s"),
        *words(""),
        *numbers("CPU µs per request"),
        *words("", "limited by"),
        *numbers("launches"),
    )
    rows = (
        (
            f"`{row.server}`",
            rate_of(row, interval(row.estimates["throughput_rps"], "{:,.0f}")),
            row.letters["throughput_rps"],
            interval(row.estimates["cpu_us_per_request"], "{:.1f}"),
            row.letters["cpu_us_per_request"],
            limits_of(row),
            launches(row),
        )
        for row in table.rows
    )
    return grid(columns, rows)


def _responses(table: Table) -> Grid:
    columns = ("p50 µs", "p90 µs", "p99 µs", "p99.9 µs", "max ms", "switches", "peak MiB")
    rows = (
        (
            f"`{row.server}`",
            *(quantile_of(row, f"response_{q}_us") for q in ("p50", "p90", "p99", "p999")),
            f"{row.response_max_ms:,.1f}",
            mean_in_words(row, "switches_per_request", "{:.2f}"),
            mean_in_words(row, "peak_mib", "{:.0f}"),
        )
        for row in table.rows
    )
    return grid((*words("server"), *numbers(*columns)), rows)


def not_used(table: Table) -> list[str]:
    """Say why launches are not used."""
    return [f"Not used: `{row.server}`: {reasons}." for row in table.rows for reasons in _why_invalid(row)]


def _not_made(table: Table, results: Results) -> list[str]:
    """Say of whom launches are missing: those that have figures may be the lucky ones."""
    reasons: dict[str, list[str]] = {}
    for each in results.unmeasured:
        if each.cell.workload == table.workload:
            reasons.setdefault(each.cell.server, []).append(each.reason)
    return [
        f"Could not be made: {counted(len(found), 'launch')} of `{row.server}`: {found[0]}."
        for row in table.rows
        if (found := reasons.get(row.server))
    ]


def mean_in_words(row: Row, name: str, form: str, unit: float = 1.0) -> str:
    """Write a mean, without its interval."""
    found = row.estimates[name]
    return "–" if found is None else form.format(found.mean / unit)


def _more_figures(table: Table) -> Blocks:
    """Show the figures that not every workload has, in a table of their own."""
    # In slices memory is read when a server's turn comes, and that is not every second.
    told = SOMETIMES.keys() - ({"memory_slope_kib_per_s"} if in_slices(table.workload) else set())
    shown = [name for name in SOMETIMES if name in told and any(row.estimates[name] for row in table.rows)]
    if not shown:
        return []
    rows = (
        (f"`{row.server}`", *(interval(clipped(row, name), SOMETIMES[name]) for name in shown))
        for row in table.rows
    )
    return [
        grid((*words("server"), *numbers(*(TITLES.get(name, metric(name).title) for name in shown))), rows)
    ]


def clipped(row: Row, name: str) -> Estimate | None:
    """Return an estimate whose interval keeps to what is possible."""
    found = row.estimates[name]
    if found is None or found.low is None or found.high is None or name not in POSSIBLE:
        return found
    least, most = POSSIBLE[name]
    return replace(found, low=max(found.low, least), high=min(found.high, most))


def memory_growth(regime: RegimeAnalysis, workload: Workload) -> list[str]:
    """Say by how much servers grew over a long window, and in its second half."""
    found = regime.growth.get(workload.name)
    if found is None:
        return []
    return [
        f"Memory, {workload.title}: over the whole window `{found.server}` grew most, by {found.kib_per_s:.1f} KiB/s; in its "
        f"second half none by more than {found.later_kib_per_s:.1f} (`{found.later_server}`; medians of the launches)."
    ]


def _idle_memory(table: Table) -> list[str]:
    known = [(row.server, row.estimates["idle_kib_per_connection"]) for row in table.rows]
    shown = ", ".join(f"`{server}` {found.mean:.1f}" for server, found in known if found is not None)
    return [f"Memory per idle connection, in KiB of the server's process: {shown}."] if shown else []


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
        lines.append(f"Equivalent in {title}: {named}.")
    if undecided:
        named = ", ".join(f"`{each.a}` and `{each.b}`" for each in undecided)
        pairs = f": {named}" if len(undecided) <= MOST_NAMED else ""
        lines.append(f"Undecided in {title}: {len(undecided)} of {len(all_pairs)} pairs{pairs}.")
    return lines


def launches(row: Row) -> str:
    """Count the launches, and the valid ones if not all are."""
    return str(row.launches) if row.valid == row.launches else f"{row.valid} of {row.launches}"


def _why_invalid(row: Row) -> list[str]:
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
    return [f"{listed(those)}: {reason}." for reason, those in named.items()]


def limits_of(row: Row) -> str:
    """Name what limited a server, with counts if that was not the same in all launches."""
    return ", ".join(
        limit if count == sum(row.limits.values()) else f"{limit} ({count})"
        for limit, count in sorted(row.limits.items())
    )
