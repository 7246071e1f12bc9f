"""From a run's results to report.md and its figures. Pure: the same results give the same bytes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from harness.analyse import (
    BETTER,
    COMPARED,
    EQUIVALENCE,
    EQUIVALENT,
    STEAL_LIMIT,
    UNDECIDED,
    WORSE,
    Comparison,
    Estimate,
    Row,
    Table,
    metric,
    tabulate,
)
from harness.conformance.case import Verdict
from harness.conformance.judge import GROUPS
from harness.conformance.matrix import short_names
from harness.figures import figures
from harness.plan import WORKLOADS, Workload, by_name
from harness.record import Manifest, Results, ServerFacts

REPORT: Final = "report.md"
FIGURES: Final = "figures"


def render(results: Results, figures_at: str = FIGURES) -> dict[str, str]:
    """Return the files of a report, by their names: the text, and the figures in a folder.

    Args:
        results: a run.
        figures_at: where the figures are, seen from the report.
    """
    tables = {
        workload.name: tabulate(results.samples, workload.name)
        for workload in WORKLOADS
        if workload.name in results.manifest.workloads
    }
    drawn = figures(results, tables)
    text = "\n".join(
        [
            *_heading(results),
            *_short_answer(results, tables),
            *_what_was_measured(results.manifest),
            *_figure(drawn, figures_at, "throughput.svg", "Requests per second, by workload and server"),
            *_figure(drawn, figures_at, "cpu.svg", "CPU time per request, by workload and server"),
            *_figure(
                drawn, figures_at, "latency.svg", "Response time against percentile, by workload and server"
            ),
            *(line for name, table in tables.items() for line in _workload(by_name(name), table, results)),
            *_conformance(results),
            *_code(results.manifest.servers),
            *_limits(results),
            *_reproduce(results.manifest),
        ]
    )
    return {REPORT: text.rstrip() + "\n"} | {f"{FIGURES}/{name}": svg for name, svg in drawn.items()}


def _heading(results: Results) -> list[str]:
    lines = ["# What each concurrency model costs", ""]
    measured = len(results.samples)
    if not results.manifest.complete:
        lines += [
            f"> **Incomplete**: {measured} of {results.manifest.planned_cells} launches were measured.",
            "",
        ]
    return lines


def _short_answer(results: Results, tables: Mapping[str, Table]) -> list[str]:
    """Say what the figures say, in a few sentences made from them."""
    lines = ["## Short answer", ""]
    for name, table in tables.items():
        workload = by_name(name)
        rows = [row for row in table.rows if row.estimates["throughput_rps"]]
        if len(rows) < 2:
            continue
        if all("latency" in row.limits and len(row.limits) == 1 for row in rows):
            lines.append(_latency_bound_sentence(workload, rows))
        else:
            lines.append(_throughput_sentence(workload, table, rows))
            if workload.pipeline == 1:
                lines.append(_cpu_sentence(table, rows))
                lines.append(_tail_sentence(workload, rows))
    lines += _memory_sentence(tables)
    lines += _conformance_sentence(results)
    return [*lines, ""]


def _throughput_sentence(workload: Workload, table: Table, rows: Sequence[Row]) -> str:
    best = _leaders(table, rows, "throughput_rps")
    last = rows[-1]
    if last in best:
        least, most = _mean_of(last, "throughput_rps"), _mean_of(rows[0], "throughput_rps")
        return (
            f"- **{_capital(workload.title)}**: from {least.mean:,.0f} to {most.mean:,.0f} requests/s; "
            "the first and the last were not told apart."
        )
    return (
        f"- **{_capital(workload.title)}**: {_names(best)} answered the most: "
        f"{_interval(_mean_of(best[0], 'throughput_rps'), '{:,.0f}')} requests/s; "
        f"`{last.server}` the fewest, {_interval(_mean_of(last, 'throughput_rps'), '{:,.0f}')}."
    )


def _cpu_sentence(table: Table, rows: Sequence[Row]) -> str:
    ranked = sorted(
        (row for row in rows if row.estimates["cpu_us_per_request"]),
        key=lambda row: _mean_of(row, "cpu_us_per_request").mean,
    )
    best = _leaders(table, ranked, "cpu_us_per_request")
    last = ranked[-1]
    cheapest, dearest = _mean_of(best[0], "cpu_us_per_request"), _mean_of(last, "cpu_us_per_request")
    if last in best:
        return f"- There a request cost {cheapest.mean:.1f} to {dearest.mean:.1f} µs of CPU, with no servers told apart."
    return (
        f"- There a request cost the least CPU in {_names(best)}: {_interval(cheapest, '{:.1f}')} µs; "
        f"the most in `{last.server}`, {_interval(dearest, '{:.1f}')} µs, {dearest.mean / cheapest.mean:.1f} times as much."
    )


def _tail_sentence(workload: Workload, rows: Sequence[Row]) -> str:
    ranked = sorted(
        (row for row in rows if row.estimates["response_p99_us"]),
        key=lambda row: _mean_of(row, "response_p99_us").mean,
    )
    if len(ranked) < 2:
        return f"- Too few requests were answered with {workload.title} to speak of the tail."
    best, last = ranked[0], ranked[-1]
    return (
        f"- There 99 % of the responses came within {_mean_of(best, 'response_p99_us').mean / 1e3:.1f} ms "
        f"from `{best.server}`, and within {_mean_of(last, 'response_p99_us').mean / 1e3:.1f} ms from `{last.server}`."
    )


def _latency_bound_sentence(workload: Workload, rows: Sequence[Row]) -> str:
    means = [_mean_of(row, "throughput_rps").mean for row in rows]
    return (
        f"- **{_capital(workload.title)}**: from {min(means):,.0f} to {max(means):,.0f} requests/s, and neither the "
        "server's core nor the generator's was busy: this is the time that the machine takes to wake a process, "
        "more than the model."
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
            f"- **Conformance**: of {cases} cases, {_listed(failed)} failed at least one, and got no figures."
        ]
    return [
        f"- **Conformance**: all {len(servers)} servers passed the gate, {cases} cases each, before they were measured."
    ]


def _what_was_measured(manifest: Manifest) -> list[str]:
    environment = manifest.environment
    pinning = (
        f"The server ran on core {_cores(environment.server_cores)}, the load generator on core "
        f"{_cores(environment.generator_cores)}."
        if environment.server_cores
        else "There was but one core: server and generator shared it, so that no figure is to be trusted."
    )
    names = ", ".join(
        f"{name} {environment.libraries[name]}"
        for name in ("gevent", "trio", "uvloop")
        if name in environment.libraries
    )
    return [
        "## What was measured, and how",
        "",
        f"On {manifest.started} (UTC), on {environment.cores} cores of {environment.cpu} "
        f"with {environment.memory_bytes / 2**30:.0f} GiB, {environment.kernel}, {environment.python}, {names}. "
        f"{pinning} Revision `{manifest.revision}`, seed {manifest.seed}, {manifest.seconds / 60:.1f} minutes.",
        "",
        f"In each of {manifest.blocks} blocks every server met every workload that it can serve, in a shuffled order, "
        "freshly launched each time and checked by a short conversation; before that, every server had to pass the "
        f"whole conformance suite. A launch ran {manifest.warmup_s:g} s to warm up, then {manifest.duration_s:g} s "
        "were measured. The load is a closed loop: each client sends its next request when a reply has come. Every "
        "reply was compared byte for byte with what an independent oracle says.",
        "",
        "- **requests/s**: answered in the measuring window. **CPU µs per request**: of the server's process, user and "
        "system, all threads, from its CPU clock. **p50 … p99.9**: response time, from the moment the request could be "
        "sent to its reply; a quantile with fewer than 100 observations beyond it is not printed. **max**: the largest "
        "of all launches, a record and no quantile. **switches**: context switches of the server per request.",
        "- A figure is the geometric mean over launches, with its 95 % interval (Student's t on logarithms). "
        "**Letters**: two servers that share one were not told apart (paired by block, Holm-adjusted, 5 %). "
        f"**Equivalent** means that the ratio lies within {EQUIVALENCE - 1:.0%} for certain (90 % interval); it is "
        "more than “not told apart”.",
        "",
    ]  # fmt: skip


def _figure(drawn: Mapping[str, str], figures_at: str, name: str, title: str) -> list[str]:
    return [f"![{title}]({figures_at}/{name})", ""] if name in drawn else []


def _workload(workload: Workload, table: Table, results: Results) -> list[str]:
    manifest = results.manifest
    lines = [f"## {_capital(workload.title)}", "", f"`{workload.name}`: {workload.purpose}.", ""]
    if not table.rows:
        return [*lines, "Nothing was measured.", ""]
    lines += [
        "| server | requests/s | | CPU µs per request | | limited by | launches |",
        "|---|---:|---|---:|---|---|---:|",
    ]
    for row in table.rows:
        bound = "≥ " if row.generator_bound else ""
        lines.append(
            f"| `{row.server}` | {bound}{_interval(row.estimates['throughput_rps'], '{:,.0f}')} "
            f"| {row.letters['throughput_rps']} | {_interval(row.estimates['cpu_us_per_request'], '{:.1f}')} "
            f"| {row.letters['cpu_us_per_request']} | {_limits_of(row)} | {row.launches} |"
        )
    lines += [
        "",
        "| server | p50 µs | p90 µs | p99 µs | p99.9 µs | max ms | switches | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in table.rows:
        quantiles = " | ".join(
            _with_error(row.estimates[f"response_{q}_us"], "{:,.0f}") for q in ("p50", "p90", "p99", "p999")
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


def _conformance(results: Results) -> list[str]:
    verdicts = {(v.case, v.server): Verdict(v.verdict) for v in results.conformance}
    labels = list(dict.fromkeys(v.server for v in results.conformance))
    titles = {v.case: v.title for v in results.conformance}
    lines = ["## Conformance", ""]
    if not labels:
        return [*lines, "The suite was not run.", ""]
    names = short_names(labels)
    lines += [
        "Cases passed, by group; BY-DESIGN counts, since the contract of the absence was checked.",
        "",
        "| group | " + " | ".join(names[label] for label in labels) + " |",
        "|---|" + "---:|" * len(labels),
    ]
    for group in GROUPS:
        mine = [case for case in titles if case[0] == group.letter]
        counts = [
            f"{sum(not verdicts[case, label].failed for case in mine if (case, label) in verdicts)}/{len(mine)}"
            for label in labels
        ]
        if mine:
            lines.append(f"| {group.letter} {group.title} | " + " | ".join(counts) + " |")
    lines += [
        "",
        "<details><summary>Case by case</summary>",
        "",
        "| case | promise | " + " | ".join(names[label] for label in labels) + " |",
        "|---|---|" + "---|" * len(labels),
    ]
    for case, title in titles.items():
        cells = [_shown(verdicts.get((case, label))) for label in labels]
        lines.append(f"| {case} | {title.replace('|', '¦')} | " + " | ".join(cells) + " |")
    seen = [verdict for verdict in Verdict if verdict in verdicts.values()]
    lines += ["", *(f"- {verdict}: {verdict.meaning}" for verdict in seen), "", "</details>", ""]
    for v in results.conformance:
        if Verdict(v.verdict).failed:
            lines.append(f"- **{v.verdict}** {v.case} `{v.server}`: {v.detail}")
    return [*lines, ""]


def _code(servers: Sequence[ServerFacts]) -> list[str]:
    ours = [facts for facts in servers if facts.file]
    if not ours:
        return []
    return [
        "## Size of the code",
        "",
        "Lines of code without blank lines, comments and docstrings; what all share (`protocol.py`, `server.py`) "
        "does not count.",
        "",
        "| server | model | lines |",
        "|---|---|---:|",
        *(f"| `{facts.label}` | {facts.model} | {facts.code_lines} |" for facts in ours),
        "",
    ]


def _limits(results: Results) -> list[str]:
    samples = results.samples
    stolen = [sample.steal_share for sample in samples]
    lines = ["## Limits of this measurement", ""]
    if stolen:
        over = sum(share > STEAL_LIMIT for share in stolen)
        lines.append(
            f"- The machine is a virtual one, and shared: in {over} of {len(stolen)} launches the hypervisor gave more "
            f"than {STEAL_LIMIT:.0%} of its time to others (at most {max(stolen):.1%}). Such launches are used: the "
            "intervals are as wide as they make them."
        )
    lines += [
        "- Server and generator talk over the loopback interface: there is no network in these figures.",
        "- A closed loop slows down with its server: its response times say what so many clients see, not what a "
        "service sees whose users do not wait for each other.",
        "- A reply counts as received when the generator reads it; with many clients it may have lain there while the "
        "generator served the others. That is the same for all servers.",
        "- One machine, one kernel, one interpreter: ratios travel better than absolute figures.",
        "",
    ]
    return lines


def _reproduce(manifest: Manifest) -> list[str]:
    return [
        "## How to reproduce",
        "",
        "`make report` measures on your own machine. These figures came from",
        "",
        f"    {' '.join(manifest.command)}",
        "",
        "The folder with the results holds every launch, with its histograms; `results/README.md` tells how to read it.",
        "",
    ]


def _leaders(table: Table, ranked: Sequence[Row], name: str) -> list[Row]:
    """Return the first, and all that were not told apart from it."""
    first = ranked[0]
    apart = {
        frozenset((comparison.a, comparison.b))
        for comparison in table.comparisons[name]
        if comparison.verdict in {BETTER, WORSE}
    }
    return [row for row in ranked if row is first or frozenset((first.server, row.server)) not in apart]


def _names(rows: Sequence[Row]) -> str:
    listed = _listed([row.server for row in rows])
    return listed if len(rows) == 1 else f"{listed} (not told apart)"


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _mean_of(row: Row, name: str) -> Estimate:
    found = row.estimates[name]
    assert found is not None  # noqa: S101 - callers have looked
    return found


def _interval(found: Estimate | None, form: str) -> str:
    if found is None:
        return "–"
    mean = form.format(found.mean)
    if found.low is None or found.high is None:
        return mean
    return f"{mean} ({form.format(found.low)}–{form.format(found.high)})"


def _with_error(found: Estimate | None, form: str) -> str:
    if found is None:
        return "–"
    error = "" if found.high is None else f" ±{found.high / found.mean - 1:.0%}"
    return form.format(found.mean) + error


def _limits_of(row: Row) -> str:
    return ", ".join(
        limit if count == sum(row.limits.values()) else f"{limit} ({count})"
        for limit, count in sorted(row.limits.items())
    )


def _shown(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    return (
        f"**{verdict}**"
        if verdict.failed
        else verdict.value.lower()
        if verdict is Verdict.PASS
        else verdict.value
    )


def _cores(cores: Sequence[int]) -> str:
    return ", ".join(map(str, cores))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
