"""The whole report, and what frames it: what was measured and how, and what limits it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from harness.analyse import metric, of_regime, repetition
from harness.figures import figures
from harness.inference import BOOTSTRAP_FROM, EQUIVALENCE
from harness.plan import MOST_ATTEMPTS, REPEATED_SHARE, WORKLOADS, by_name
from harness.precision import Target, reach, sentence
from harness.record import Manifest, Results, Sample, ServerFacts
from harness.report.answer import short_answer
from harness.report.causes import causes_section
from harness.report.choice import choice_section
from harness.report.connections import connections_section
from harness.report.costs import costs_section
from harness.report.faults import faults_section
from harness.report.instrument import instrument_section
from harness.report.pairs import pairs_text
from harness.report.promises import conformance_section
from harness.report.proof import proof_section
from harness.report.wording import listed
from harness.report.workloads import workload_section
from harness.tables import Table, tabulate
from harness.validity import STEAL_LIMIT
from implementations import ALL_CORES, ONE_CORE

REPORT: Final = "report.md"
FIGURES: Final = "figures"
PAIRS: Final = "pairs.md"


def render(results: Results, figures_at: str = FIGURES) -> dict[str, str]:
    """Return the files of a report, by their names: the text, and the figures in a folder.

    Args:
        results: a run.
        figures_at: where the figures are, seen from the report.
    """
    on_one_core = only(results, ONE_CORE)
    on_all_cores = only(results, ALL_CORES)
    tables, all_cores_tables = tables_of(on_one_core, ONE_CORE), tables_of(on_all_cores, ALL_CORES)
    drawn = figures(on_one_core, tables)
    text = "\n".join(
        [
            *heading(results),
            *short_answer(results, tables),
            *choice_section(results),
            *what_was_measured(results.manifest, figures_at.removesuffix(FIGURES) + PAIRS),
            *figure(drawn, figures_at, "throughput.svg", "Requests per second, by workload and server"),
            *figure(drawn, figures_at, "cpu.svg", "CPU time per request, by workload and server"),
            *figure(
                drawn, figures_at, "latency.svg", "Response time against percentile, by workload and server"
            ),
            *figure(drawn, figures_at, "clients.svg", "CPU time and tail of the responses against clients"),
            *figure(drawn, figures_at, "beside.svg", "Tail of the responses beside other clients"),
            *(
                line
                for name, table in tables.items()
                for line in workload_section(by_name(name), table, on_one_core)
            ),
            *all_cores_section(on_all_cores, all_cores_tables),
            *costs_section(results),
            *causes_section(results),
            *instrument_section(results),
            *conformance_section(results),
            *proof_section(results.proof),
            *faults_section(results),
            *connections_section(results),
            *code_section(results.manifest.servers),
            *factors_section(results.manifest.servers),
            *limits(results),
            *reproduce(results.manifest),
        ]
    )
    files = {REPORT: text.rstrip() + "\n", PAIRS: pairs_text([tables, all_cores_tables])}
    return files | {f"{FIGURES}/{name}": svg for name, svg in drawn.items()}


def only(results: Results, regime: str) -> Results:
    """Return what a run says of the servers of one regime."""
    servers = tuple(facts for facts in results.manifest.servers if facts.regime == regime)
    manifest = replace(results.manifest, servers=servers)
    return replace(results, manifest=manifest, samples=tuple(of_regime(results.samples, regime)))


def tables_of(results: Results, regime: str) -> dict[str, Table]:
    """Work out the tables of one regime by workload; none if it has no servers."""
    if not results.manifest.servers:
        return {}
    return {
        workload.name: tabulate(results.samples, workload.name, regime)
        for workload in WORKLOADS
        if workload.name in results.manifest.workloads
    }


def all_cores_section(results: Results, tables: Mapping[str, Table]) -> list[str]:
    """Show the servers that use every core, apart from all others; nothing if there are none."""
    if not tables:
        return []
    return [
        "## On all cores",
        "",
        f"{listed([facts.label for facts in results.manifest.servers])}: a regime of its own. Such a server uses every core of "
        "the machine, also the one that its load generator runs on, so that each takes time from the other: nothing here "
        "is comparable with the sections above. CPU time is that of all its processes together. **Limited by machine** "
        "means that server and generator together kept all cores busy.",
        "",
        *(
            line
            for name, table in tables.items()
            for line in workload_section(by_name(name), table, results, "###")
        ),
    ]


def heading(results: Results) -> list[str]:
    """Open the report; say so if the run was not finished."""
    lines = ["# What each concurrency model costs", ""]
    if not results.manifest.complete:
        lines += [
            f"> **Incomplete**: {results.measured_cells} of {results.manifest.planned_cells} launches were measured.",
            "",
        ]
    if results.manifest.resumed:
        times = "once" if results.manifest.resumed == 1 else f"{results.manifest.resumed} times"
        lines += [f"> The run was interrupted and resumed {times}, on the same machine.", ""]
    if results.manifest.precision is not None:
        lines += _precision(results, results.manifest.precision, 60 * (results.manifest.within_minutes or 0))
    return lines


def _precision(results: Results, wanted: float, within_s: float) -> list[str]:
    target = Target(wanted, results.manifest.precision_of, within_s)
    title = metric(target.metric).title
    found = [reach(results.samples, workload, target) for workload in results.manifest.workloads]
    return [
        f"> **Precision {'reached' if one.reached else 'not reached'}**, of ratios in {title}: {sentence(one, target)}.\n"
        for one in found
        if one is not None
    ]


def what_was_measured(manifest: Manifest, pairs_at: str) -> list[str]:
    """Tell when, where and how; and where the ratios of all pairs are."""
    environment = manifest.environment
    pinning = (
        f"The server ran on core {listed_cores(environment.server_cores)}, the load generator on core "
        f"{listed_cores(environment.generator_cores)}."
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
        f"In each {blocks_in_words(manifest)} every server met every workload that it can serve, in a shuffled order, "
        "freshly launched each time and checked by a short conversation; before that, every server had to pass the "
        f"whole conformance suite. A launch ran {manifest.warmup_s:g} s to warm up, then {manifest.duration_s:g} s "
        "were measured, unless a workload says otherwise. Where requests are not said to come by themselves, the load is a "
        "closed loop: each client sends its next request when a reply has come. Clients in the background had a process "
        "of their own, on the load generator's core. Every reply, to them too, was compared byte for byte with what an "
        "independent oracle says.",
        "",
        "- **requests/s**: answered in the measuring window. **CPU µs per request**: of the server's process, user and "
        "system, all threads, from its CPU clock. **p50 … p99.9**: response time, from the moment the request could be "
        "sent to its reply; a quantile with fewer than 100 observations beyond it is not printed, all who waited through the same "
        "stall being one. **max**: the largest "
        "of all launches, a record and no quantile. **switches**: context switches of the server per request.",
        "- A figure is the geometric mean over launches, with its 95 % interval (Student's t on logarithms). "
        "**Letters**: two servers that share one were not told apart (paired by block, Holm-adjusted, 5 %). "
        f"**Equivalent** means that the ratio lies within {EQUIVALENCE - 1:.0%} for certain (90 % interval); it is "
        f"more than “not told apart”. [Pair by pair]({pairs_at}) holds every ratio with the interval of the test that decided "
        f"on it, and from {BOOTSTRAP_FROM} blocks on a bootstrap beside it.",
        f"- When a launch is invalid, all servers of its block meet that workload again, at most {MOST_ATTEMPTS - 1} times, "
        f"while such launches are at most {REPEATED_SHARE:.0%} of those planned. Of a block the attempt with the most "
        "valid launches counts, the first of equals; an invalid launch is never used.",
        "",
    ]  # fmt: skip


def blocks_in_words(manifest: Manifest) -> str:
    """Say how many blocks there were of which workload."""
    counts = sorted(set(manifest.blocks_of.values()), reverse=True)
    if len(counts) < 2:
        return f"of {manifest.blocks} blocks"
    fewer = [
        f"{count} of {', '.join(f'`{name}`' for name, blocks in manifest.blocks_of.items() if blocks == count)}"
        for count in counts[1:]
    ]
    return f"of {counts[0]} blocks ({'; '.join(fewer)})"


def figure(drawn: Mapping[str, str], figures_at: str, name: str, title: str) -> list[str]:
    """Show a figure, if it was drawn."""
    return [f"![{title}]({figures_at}/{name})", ""] if name in drawn else []


def code_section(servers: Sequence[ServerFacts]) -> list[str]:
    """Count the lines of each of our servers, and where its code branches."""
    ours = [facts for facts in servers if facts.file]
    if not ours:
        return []
    counted = any(facts.code_branches for facts in ours)
    return [
        "## Size of the code",
        "",
        "Lines of code without blank lines, comments and docstrings; what all share (`protocol.py`, `server.py`) "
        "does not count.",
        "",
        f"| server | model | lines |{' branches |' if counted else ''}",
        f"|---|---|---:|{'---:|' if counted else ''}",
        *(
            f"| `{facts.label}` | {facts.model} | {facts.code_lines} |"
            + (f" {facts.code_branches} |" if counted else "")
            for facts in ours
        ),
        "",
    ]


def factors_section(servers: Sequence[ServerFacts]) -> list[str]:
    """List what besides its model has a share in a server's figures; nothing if that was not recorded."""
    names = list(dict.fromkeys(name for facts in servers if facts.file for name in facts.factors))
    if not names:
        return []
    return [
        "## Factors besides the model",
        "",
        "Socket options are those that a library sets by itself; what all share is in `server.py`.",
        "",
        f"| server | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
        *(
            f"| `{facts.label}` | {' | '.join(facts.factors.get(name, '') for name in names)} |"
            for facts in servers
        ),
        "",
    ]


def limits(results: Results) -> list[str]:
    """Tell what these figures cannot say."""
    samples = results.samples
    stolen = [sample.steal_share for sample in samples]
    lines = ["## Limits of this measurement", ""]
    if stolen:
        over = sum(share > STEAL_LIMIT for share in stolen)
        lines.append(
            f"- The machine is a virtual one, and shared: in {over} of {len(stolen)} launches the hypervisor gave more "
            f"than {STEAL_LIMIT:.0%} of its time to others (at most {max(stolen):.1%}). Such launches are invalid."
        )
    lines += [_repetition_sentence(samples)] if samples else []
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


def _repetition_sentence(samples: Sequence[Sample]) -> str:
    found = repetition(samples)
    if not found.invalid:
        return f"- All {len(samples)} launches were valid; nothing was measured again."
    return (
        f"- {found.invalid} of {len(samples)} launches were invalid; {found.repeated} of {found.blocks} blocks were "
        f"measured again, in {found.launches} launches; {found.left} cells stayed invalid, and are not used."
    )


def reproduce(manifest: Manifest) -> list[str]:
    """Give the command that was run."""
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


def listed_cores(cores: Sequence[int]) -> str:
    """List core numbers."""
    return ", ".join(map(str, cores))
