"""`harness compare`: two servers of a run, two runs, or two servers measured now, side by side."""

import json
import secrets
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analyse.blocks import launches_of
from harness.analyse.changes import Broken, Threshold, broken, compare_runs, differences, threshold
from harness.analyse.comparisons import (
    BETTER,
    COMPARED,
    EQUIVALENT,
    WORSE,
    Comparison,
    compare_all,
    compare_servers,
)
from harness.analyse.samples.metrics import METRICS
from harness.analyse.samples.metrics import metric as metric_of
from harness.cli.cluster import fleet_if_asked_for
from harness.cli.exit_codes import FAILED
from harness.cli.finite import FiniteRange
from harness.cli.open_files import check_open_files
from harness.cli.options import cluster_options, json_option, loop_option, server_options, write_to
from harness.cli.terminal import console_for
from harness.errors import MeasureError, ResultsError, UsageError
from harness.launch.candidates import Candidate, all_cores
from harness.launch.selection import check_clients, selected
from harness.plan import Load, Plan
from harness.record import MANIFEST, REFERENCE, read_results, shown
from harness.study.campaign import campaign
from harness.study.fleet import Fleet

NAMES: Final = tuple(each.name for each in METRICS)
OF_MEASURING: Final = {"declarations", "blocks", "duration", "clients", "cluster", "on"}
"""What says how servers are measured now, by the names of its parameters."""
MEASURED_NOW: Final = "is for servers that are measured now: it needs --server or --loop"
WARMUP_S: Final = 0.3
STYLES: Final = {BETTER: "green", WORSE: "red", EQUIVALENT: "cyan"}


@dataclass(frozen=True)
class Sizes:
    """How two servers are measured now."""

    blocks: int
    duration_s: float
    clients: int


@click.command()
@click.argument("given", nargs=-1, metavar="[A B]")
@server_options
@loop_option
@click.option(
    "--in",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The run that A and B are of.  [default: results/reference]",
)
@click.option(
    "--force", is_flag=True, help="Compare two runs even if they were made under unlike conditions."
)
@click.option(
    "--blocks", type=click.IntRange(2, 1000), default=12, show_default=True, help="How many, if measured now."
)
@click.option(
    "--duration",
    type=FiniteRange(0.1, 600),
    default=1.0,
    show_default=True,
    help="Seconds of each launch.",
)
@click.option("--clients", type=click.IntRange(1, 20_000), default=64, show_default=True, help="Connections.")
@cluster_options
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(NAMES),
    metavar="NAME",
    help="Of what, instead of requests/s and CPU.",
)
@click.option(
    "--fail-if",
    "limits",
    multiple=True,
    metavar="CHANGE",
    help="Exit 1 if b has certainly changed so: 'cpu_us_per_request > +5%'.",
)
@json_option("the comparisons")
def compare(  # noqa: PLR0913 - one parameter for each option
    given: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    loops: Sequence[str],
    folder: Path | None,
    force: bool,  # noqa: FBT001 - click passes it by name
    blocks: int,
    duration: float,
    clients: int,
    cluster: str | None,
    on: str | None,
    metrics: Sequence[str],
    limits: Sequence[str],
    json_file: str | None,
) -> int:
    """Compare B with A: two servers of a run, two folders of runs, or, with --server or --loop, two servers measured now.

    Two servers of a run, or measured now, are compared within blocks, and those of a run as one pair among all of it. With --server, names of ours may be given as well; with
    --loop, an asyncio server is compared with itself on that loop. Every reply is compared with the oracle's, but whether they conform is for `harness conform` to say.
    """
    thresholds = [_threshold(text) for text in limits]
    wanted = tuple(dict.fromkeys([*(metrics or COMPARED), *(each.metric for each in thresholds)]))
    console = console_for(to_errors=json_file == "-")
    lost: Sequence[Broken] = ()
    if servers or loops:
        _refuse({"force"}, "is for two runs that were made")
        if folder is not None:
            asked = "--server" if servers else "--loop"
            raise UsageError(f"--in names a run, and {asked} asks for a new measurement: one of the two")
        candidates = selected(given, servers, declarations, loops=loops)
        with fleet_if_asked_for(cluster, on, None) as fleet:
            found = _measured_now(candidates, Sizes(blocks, duration, clients), wanted, console, fleet)
    elif len(given) != 2:
        raise UsageError("two are compared: A and B, or two --server LABEL=COMMAND")
    elif any((Path(each) / MANIFEST).is_file() for each in given) or all("/" in each for each in given):
        _refuse(OF_MEASURING, MEASURED_NOW)
        _refuse({"folder"}, "names the run that two servers are of, and these are two runs: leave it out")
        found, lost = _two_runs(Path(given[0]), Path(given[1]), wanted, console, force=force)
    else:
        _refuse(OF_MEASURING, MEASURED_NOW)
        _refuse({"force"}, "is for two runs that were made, and these are two servers of one")
        found = _two_servers(folder or REFERENCE, given[0], given[1], wanted)
    print_comparisons(found, console)
    write_to(json_file, json.dumps([asdict(each) for each in found], indent=1) + "\n")
    return _judged(found, thresholds, lost)


def _refuse(names: Collection[str], why: str) -> None:
    """Raise UsageError if one of these parameters was given: it would do nothing."""
    context = click.get_current_context()
    for parameter in context.command.params:
        asked = context.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
        if parameter.name in names and asked:
            raise UsageError(f"{parameter.opts[0]} {why}")


def _threshold(text: str) -> Threshold:
    try:
        return threshold(text, NAMES)
    except ValueError as error:
        raise UsageError(f"--fail-if: {error}") from None


def _two_servers(folder: Path, a: str, b: str, metrics: Sequence[str]) -> list[Comparison]:
    results = read_results(folder)
    known = [facts.label for facts in results.manifest.servers]
    for name in (a, b):
        if name not in known:
            raise UsageError(f"{shown(folder)} has no server {name!r}; it has {', '.join(known)}")
    if a == b:
        raise UsageError("a server is always equal to itself: give two")
    _check_regimes({facts.label: facts.regime for facts in results.manifest.servers if facts.label in {a, b}})
    found = compare_servers(results, a, b, metrics)
    if not found:
        raise ResultsError(f"{a} and {b} have no two blocks in common in {shown(folder)}")
    return found


def _two_runs(
    a: Path, b: Path, metrics: Sequence[str], console: Console, *, force: bool
) -> tuple[list[Comparison], Sequence[Broken]]:
    if a.resolve() == b.resolve():
        raise UsageError("a run is always equal to itself: give two")
    runs = read_results(a), read_results(b)
    found = differences(runs[0].manifest, runs[1].manifest)
    if found.conditions and not force:
        raise UsageError(
            f"made under unlike conditions (--force compares them all the same): {'; '.join(found.conditions)}"
        )
    for each in (*found.conditions, *found.versions):
        console.print(f"differs: {each}", markup=False, highlight=False, soft_wrap=True)
    names = (a.name, b.name) if a.name != b.name else (str(a), str(b))
    compared = compare_runs(*runs, names, metrics)
    if not compared:
        raise ResultsError(f"{a} and {b} have no server and workload in common, with two launches in each")
    console.print(
        "What changed in the machine between the runs is in these ratios, and not in their intervals."
    )
    return compared, broken(*runs)


def _measured_now(
    candidates: Sequence[Candidate],
    sizes: Sizes,
    metrics: Sequence[str],
    console: Console,
    fleet: Fleet | None,
) -> list[Comparison]:
    if len(candidates) != 2:
        raise UsageError(f"two servers are compared, and {len(candidates)} are given")
    if fleet is None:
        check_open_files(sizes.clients, f"{sizes.clients:,} clients")
    for candidate in candidates:
        check_clients(candidate, sizes.clients)
    _check_regimes({candidate.label: candidate.regime for candidate in candidates})
    labels = tuple(candidate.label for candidate in candidates)
    workload = f"clients_{sizes.clients}"
    plan = Plan(
        servers=labels,
        workloads=(workload,),
        most_clients={},
        blocks={workload: sizes.blocks},
        warmup_s=WARMUP_S,
        duration_s=sizes.duration_s,
        seed=secrets.randbelow(2**32),
        all_cores=all_cores(candidates),
    )
    load = Load(clients=sizes.clients, warmup_s=plan.warmup_s, duration_s=plan.duration_s)
    with campaign(candidates, plan, console, loads={workload: load}, fleet=fleet) as measuring:
        measuring.measure_blocks(plan.blocks)
    # One pair in the order given, whatever order they were launched in.
    in_order = sorted(measuring.samples, key=lambda sample: labels.index(sample.cell.server))
    launches = launches_of(in_order)
    found = [each for name in metrics for each in compare_all(launches, workload, metric_of(name))]
    if not found and measuring.unmeasured:
        raise MeasureError(measuring.unmeasured[0].reason)
    if not found:
        raise ResultsError("fewer than two blocks have a valid launch of both servers")
    return found


def _check_regimes(regimes: Mapping[str, str]) -> None:
    """Refuse to hold what a server does on one core against what another does on all."""
    if len(set(regimes.values())) > 1:
        told = " and ".join(f"{label} uses {regime}" for label, regime in regimes.items())
        raise UsageError(f"{told}: their figures are not compared")


def print_comparisons(found: Sequence[Comparison], console: Console) -> None:
    """Print comparisons as a person reads them: one pair by workload, or each workload's pairs."""
    adjusted = " or ".join(dict.fromkeys(each.adjustment.capitalize() for each in found))
    console.print(f"95 % for all pairs of a workload together ({adjusted})", style="dim", highlight=False)
    if len({(each.a, each.b) for each in found}) == 1:
        heading = f"{found[0].b} against {found[0].a}"
        console.print(heading, _table("workload", [(each.workload, each) for each in found]), highlight=False)
        return
    runs = f"{found[0].b.rpartition(':')[0]} against {found[0].a.rpartition(':')[0]}"
    for workload in dict.fromkeys(each.workload for each in found):
        rows = [(each.b.rpartition(":")[2], each) for each in found if each.workload == workload]
        rows.sort(key=lambda row: row[0])
        console.print(f"{runs}: {workload}", _table("server", rows), "", highlight=False)


def _table(first: str, rows: Sequence[tuple[str, Comparison]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in (first, "metric"):
        table.add_column(column, no_wrap=True)
    for column in ("ratio", "95 %", "n"):
        table.add_column(column, no_wrap=True, justify="right")
    table.add_column("verdict", no_wrap=True)
    for name, each in rows:
        table.add_row(
            name,
            each.metric,
            f"{each.ratio:.3f}",
            f"{each.ci_low:.3f}–{each.ci_high:.3f}",
            str(each.blocks),
            Text(each.verdict, STYLES.get(each.verdict, "")),
        )
    return table


def _judged(found: Sequence[Comparison], thresholds: Sequence[Threshold], lost: Sequence[Broken]) -> int:
    """Say what went beyond a threshold, and who has no figures any more to go beyond one; the latter is no error if nothing was to be judged."""
    for gone in lost:
        print(f"harness: {gone.server} answered under {gone.workload} in A, and failed in B", file=sys.stderr)
    exceeded = [(limit, each) for limit in thresholds for each in found if limit.exceeded_by(each)]
    for limit, each in exceeded:
        print(
            f"harness: {limit.text}: {each.b} against {each.a}, {each.workload}: "
            f"{each.ratio - 1:+.1%} ({each.ci_low - 1:+.1%} to {each.ci_high - 1:+.1%})",
            file=sys.stderr,
        )
    _check_judged(found, thresholds)
    return FAILED if exceeded or (thresholds and lost) else 0


def _check_judged(found: Sequence[Comparison], thresholds: Sequence[Threshold]) -> None:
    """Raise ResultsError if a metric with a threshold could be compared nowhere: nothing is known of it, so nothing is in order."""
    known = {each.metric for each in found}
    for limit in thresholds:
        if limit.metric not in known:
            raise ResultsError(
                f"--fail-if: {limit.metric} could not be judged: under no workload do both sides have two valid launches "
                "that tell it, and are above 0"
            )
