"""`harness bench`: the study."""

import re
import secrets
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource
from msgspec import structs
from rich.console import Console

from harness.analyse.comparisons import COMPARED
from harness.analyse.precision import PILOT_BLOCKS
from harness.cli.cluster import fleet_if_asked_for
from harness.cli.exit_codes import FAILED
from harness.cli.finite import FiniteRange
from harness.cli.freshness import effect_states, present_states
from harness.cli.load_options import check_generators
from harness.cli.options import (
    PLACEMENTS,
    cluster_options,
    loop_option,
    measured_so,
    pythons_option,
    server_options,
    ways_options,
)
from harness.cli.told import report_and_tell
from harness.errors import InterpreterError, UsageError
from harness.launch.candidates import Candidate, all_cores
from harness.launch.selection import selected
from harness.plan import (
    CORE,
    FAMILY_OF_RELAYS,
    FREE,
    FRESH,
    ONE_CORE,
    PROFILES,
    QUICK_MAP_S,
    QUICK_RELAYS,
    RELAY,
    RELAY_BLOCKS,
    RELAY_CASES,
    RELAYS,
    SLICING,
    WORKLOADS,
    Plan,
    Profile,
    Slicing,
    Workload,
    by_name,
)
from harness.record import (
    REFERENCE,
    Manifest,
    PrecisionGoal,
    Results,
    drop_half_written_sample,
    held,
    new_folder,
    read_results,
    take,
)
from harness.study.bench import Extras
from harness.study.bench import bench as run_bench
from harness.study.parts import Part, listed, older_parts
from implementations.catalogue import CATALOGUE, VARIANTS
from implementations.catalogue import RELAYS as RELAY_VARIANTS

WITHIN_MINUTES: Final = 20
OF_TIME: Final = "--within"
EVERYTHING: Final = tuple(each.name for each in (*CATALOGUE, *VARIANTS, *RELAY_VARIANTS) if not each.mistake)
"""What a full run measures that is told nothing else. A named mistake does not pass the gate."""
QUICK_WAYS: Final = {
    FREE: ("threaded", "asyncio_streams", "gevent_greenlets"),
    FRESH: ("asyncio_streams", "asyncio_protocol"),
}
"""What a quick run has time for: free, those between whom people choose; fresh, those whose state is known to matter."""
QUICK_SLICING: Final = structs.replace(SLICING, cycles=8, slice_s=0.075, finer=3, window_s=0.5)
"""Blocks of half the usual length: with two or three of them an interval is wide for want of blocks.

And fewer turns with many clients: with 500 of them each turn of threads takes 0.7 s besides, until every client has had a reply.
"""
QUICK_COSTS: Final = 0.2
"""Of the requests and connections of a full look at costs."""


@click.command()
@click.argument("names", nargs=-1)
@server_options
@pythons_option
@click.option(
    "--also",
    "others",
    multiple=True,
    metavar="NAME",
    help="Of ours, besides these, under the core workloads alone, or those that are named: NAME@3.13t, NAME+free, a variant.",
)
@ways_options
@click.option(
    "--generators",
    type=click.IntRange(1, 1000),
    help="Processes that load each server, a core each.  [default: 1; with --cluster, one on each worker]",
)
@cluster_options
@loop_option
@click.option(
    "--quick",
    "profile",
    flag_value="quick",
    help="64 and 500 clients, and one relay: as many blocks as fit into six minutes, all else included.",
)
@click.option(
    "--full",
    "profile",
    flag_value="full",
    help="Besides what is measured by default, the variants under the core workloads, the map of relays, and the self-test: "
    "about an hour and a half.",
)
@click.option(
    "--torture/--no-torture",
    default=None,
    help="Let faults happen to the servers after measuring.  [default: unless --quick]",
)
@click.option(
    "--limits/--no-limits",
    default=None,
    help="Find out how many connections each server holds.  [default: unless --quick]",
)
@click.option(
    "--costs/--no-costs",
    default=None,
    help="Find out after measuring what requests and connections cost, and why.  [default: unless --quick]",
)
@click.option(
    "--workload",
    "workloads",
    multiple=True,
    metavar="NAME",
    help="Only these (harness list --workloads); relays is the map of handlers that wait, three minutes with --quick, else 25.",
)
@click.option("--blocks", type=click.IntRange(1, 1000), help="How many, instead of the profile's.")
@click.option(
    "--precision", metavar="N%", help="As many blocks as it takes for ratios to be known to ±N %, instead."
)
@click.option(
    "--precision-of",
    type=click.Choice(COMPARED),
    default="cpu_us_per_request",
    show_default=True,
    help="Of what.",
)
@click.option(
    OF_TIME,
    "within_minutes",
    type=FiniteRange(0.1, 10_000),
    metavar="MINUTES",
    help=f"How long --precision may measure, {WITHIN_MINUTES} if not given; or else how long the whole takes, of which as many blocks "
    "are measured as fit: 6 with --quick and 90 with --full if not given, otherwise as long as the blocks take.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Decides on the order; random if not given.")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="A new folder; under results/ if not given."
)
@click.option(
    "--prove/--no-prove",
    default=None,
    help="Try the suite on its mutants, too (two minutes).  [default: unless --quick, or just this suite was tried for the reference]",
)
@click.option(
    "--selftest/--no-selftest",
    default=None,
    help="Let the instrument test itself before measuring (eight minutes).  [default: with --full]",
)
@click.option(
    "--twin/--no-twin",
    default=True,
    help="Measure one server under two names: what the instrument says of equals.",
)
@click.option(
    "--resume",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Go on with a run that was interrupted; --within gives it another time in all, and nothing else may be given.",
)
@click.option(
    "--stale",
    is_flag=True,
    help="Make anew what is older than its sources in the run of --out, the reference run if not given; nothing else.",
)
@click.pass_context
def bench(context: click.Context, /, resume: Path | None, *, stale: bool, **asked: object) -> int:
    """Measure servers side by side and write a report: NAMES of ours, or any by --server; all of ours by default."""
    given = {name for name in asked if context.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if resume is None and not stale:
        if "precision_of" in given and asked["precision"] is None:
            raise UsageError("--precision-of says of what --precision is: give that, too")
        return _bench(BenchOptions(**asked))  # type: ignore[arg-type] # click has checked them
    if resume is not None:
        if given - {"within_minutes"} or stale:
            raise UsageError(
                "--resume takes everything but --within from the run that it goes on with: leave out the rest"
            )
    elif given - {"out"}:
        raise UsageError("--stale takes everything from the run that it renews: leave out all but --out")
    folder = resume or context.params["out"] or REFERENCE
    context.with_resource(held(folder))
    return _done_again(folder, context.params["within_minutes"], stale=stale)


def _done_again(folder: Path, within_minutes: float | None, *, stale: bool) -> int:
    """Carry out again the command that a run was begun with, and leave out what it has recorded, unless that is stale."""
    recorded = read_results(folder, interrupted=True)
    if within_minutes is not None:
        recorded = structs.replace(recorded, manifest=given_time(recorded.manifest, within_minutes))
    manifest = recorded.manifest
    if manifest.command[:2] != ("harness", "bench"):
        raise UsageError(f"{folder} was not made by `harness bench`: it cannot be resumed")
    if manifest.goal is not None:
        raise UsageError(f"{folder} was to reach a precision within a time: begin it anew")
    parts = older_parts(recorded, present_states(manifest)) if stale else None
    if parts is not None:
        print(f"older than their sources: {listed(parts) or 'nothing'}", file=sys.stderr)
        if not parts and manifest.progress.complete:
            return 0
    drop_half_written_sample(folder)
    asked = bench.make_context("harness bench", list(manifest.command[2:])).params
    del asked["resume"], asked["stale"]
    known = {"seed": manifest.design.seed, "out": folder, "interrupted": recorded, "stale": parts}
    return _bench(BenchOptions(**asked | known))


def given_time(begun: Manifest, minutes: float) -> Manifest:
    """Return the manifest of a run as if it had been begun with so much time in all; UsageError if its blocks were told instead."""
    if begun.design.whole_s is None:
        raise UsageError("--within: how long this run takes follows from the number of its blocks")
    words = list(begun.command)
    if OF_TIME in words:
        at = words.index(OF_TIME)
        del words[at : at + 2]
    words = [word for word in words if not word.startswith(f"{OF_TIME}=")]
    design = structs.replace(begun.design, whole_s=60 * minutes)
    return structs.replace(begun, command=(*words, OF_TIME, f"{minutes:g}"), design=design)


@dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What a command line asks for: the options by their names, as they were checked, and the run that is gone on with.

    Attributes:
        interrupted: that run, if there is one.
        stale: the parts of it that are made anew; None if it was interrupted.
    """

    names: Sequence[str]
    servers: Sequence[str]
    declarations: Sequence[str]
    pythons: Sequence[str]
    others: Sequence[str]
    placements: Sequence[str]
    fresh: bool
    generators: int | None
    cluster: str | None
    on: str | None
    loops: Sequence[str]
    profile: str | None
    workloads: Sequence[str]
    blocks: int | None
    precision: str | None
    precision_of: str
    within_minutes: float | None
    seed: int | None
    out: Path | None
    twin: bool
    prove: bool | None
    torture: bool | None
    selftest: bool | None
    limits: bool | None
    costs: bool | None
    interrupted: Results | None = None
    stale: Sequence[Part] | None = None

    @property
    def quick(self) -> bool:
        """Tell whether time is short."""
        return self.profile == "quick"

    @property
    def size(self) -> Profile:
        """Return how long the run is."""
        return PROFILES[self.profile or "standard"]

    @property
    def named(self) -> list[Workload]:
        """Return the workloads that were named."""
        return _named(self.workloads, self.profile)

    @property
    def only_relays(self) -> bool:
        """Tell whether nothing but relays is to be measured."""
        return bool(self.named) and all(each.relayed for each in self.named)

    @property
    def everything(self) -> bool:
        """Tell whether variants are measured as well."""
        return self.profile == "full" and not (self.names or self.servers or self.only_relays)

    @property
    def plainly(self) -> bool:
        """Tell whether nothing was said of who is measured, and in which way, so that they are measured in all ways."""
        said = self.names or self.servers or self.placements or self.fresh
        return not (said or self.only_relays or len(self.pythons) > 1)


def _bench(asked: BenchOptions) -> int:
    candidates, besides = _candidates(asked)
    able = [each for each in candidates if not each.refusal]
    if not able:
        raise InterpreterError(f"{candidates[0].label} cannot run: {candidates[0].refusal}")
    target = _target(asked.precision, asked.precision_of, asked.within_minutes)
    plan = _plan(asked, able, besides, target)
    if asked.cluster is None:
        check_generators(plan.generators)
    _check(plan, able, target)
    command = ("harness", *sys.argv[1:])
    context = click.get_current_context()
    fleet = context.with_resource(fleet_if_asked_for(asked.cluster, asked.on, asked.generators))
    if fleet is not None:
        plan = replace(plan, generators=len(fleet.workers))
    folder = asked.out or new_folder()
    if asked.interrupted is None:
        take(folder)
        context.with_resource(held(folder))
    done = run_bench(
        candidates,
        plan.with_twin() if asked.twin and not asked.only_relays else plan,
        folder,
        command,
        Console(),
        report_and_tell,
        target,
        _extras(asked),
        asked.interrupted,
        asked.stale,
        fleet,
    )
    return 0 if done else FAILED


def _candidates(asked: BenchOptions) -> tuple[list[Candidate], set[str]]:
    """Return who is measured, in which ways, those who cannot run on their interpreter included; and who of them besides."""
    candidates = selected(
        EVERYTHING if asked.everything else asked.names,
        asked.servers,
        asked.declarations,
        pythons=asked.pythons,
        loops=asked.loops,
    )
    placements = asked.placements or _usual_placements(asked.pythons)
    candidates = measured_so(candidates, placements, fresh=asked.fresh)
    if asked.plainly:
        able = [each for each in candidates if not each.refusal]
        candidates += _other_ways(able, asked.profile, _usual_ways(asked.named))
    others = _besides(asked.others, {each.label for each in candidates})
    return [*candidates, *others], {each.label for each in others}


def _plan(
    asked: BenchOptions, able: Sequence[Candidate], besides: Collection[str], target: PrecisionGoal | None
) -> Plan:
    """Return what is measured, how often."""
    if target and asked.blocks:
        raise UsageError("--precision chooses the number of blocks: leave out --blocks")
    if asked.within_minutes is not None and asked.blocks:
        raise UsageError("--within chooses the number of blocks: leave out --blocks")
    size, named = asked.size, asked.named
    usual = CORE if target else [each for each in WORKLOADS if size.blocks(each)]
    planned = {each.name: asked.blocks or _blocks(size, each, named) for each in named or usual}
    short_relays = asked.only_relays and asked.quick
    relay_only = frozenset() if named else _relay_only(able, asked.profile, everything=asked.everything)
    return Plan(
        servers=tuple(candidate.label for candidate in able),
        workloads=tuple(planned),
        most_clients={each.label: each.most_clients for each in able if each.most_clients is not None},
        blocks=dict.fromkeys(planned, PILOT_BLOCKS) if target else planned,
        warmup_s=size.warmup_s,
        duration_s=size.duration_s,
        seed=secrets.randbelow(2**32) if asked.seed is None else asked.seed,
        all_cores=all_cores(able),
        # Who meets the relay alone meets no more of the core than that; nor is it who gets a twin, which is to meet all.
        core_only=relay_only
        | (frozenset() if named else _core_only(able, besides, everything=asked.everything)),
        relay_only=relay_only,
        slicing=_slicing(asked),
        no_relays=frozenset(each.label for each in able if not each.relays or asked.cluster),
        generators=asked.generators or 1,
        gate_cases=RELAY_CASES if short_relays else (),
        whole_s=None if asked.blocks or target else _whole_s(asked),
    )


def _slicing(asked: BenchOptions) -> Slicing:
    """Return how servers are loaded in turn; many workers agree on when a turn begins, for which a short one has no time."""
    slicing = QUICK_SLICING if asked.quick else SLICING
    return structs.replace(slicing, finer=1) if asked.cluster else slicing


def _whole_s(asked: BenchOptions) -> float | None:
    """Return how long all is to take; None if that follows from the blocks."""
    if asked.within_minutes is not None:
        return 60 * asked.within_minutes
    if asked.only_relays and asked.quick:
        return QUICK_MAP_S
    return asked.size.whole_s if asked.quick or not asked.named else None


def _blocks(size: Profile, workload: Workload, named: Collection[Workload]) -> int:
    """Return how often a workload is measured: what was asked for by name as often as what every run measures."""
    if workload in named and workload.relayed and workload != RELAY:
        return RELAY_BLOCKS
    return size.blocks(workload) or size.core_blocks


def _check(plan: Plan, able: Sequence[Candidate], target: PrecisionGoal | None) -> None:
    """Raise UsageError if a plan cannot be carried out."""
    cells = plan.cells()
    fresh_ones = {each.label for each in able if FRESH in each.ways}
    if any(cell.workload == "churn" and cell.server in fresh_ones for cell in cells):
        raise UsageError("under churn no server stays fresh: its clients leave all the time")
    if not cells:
        raise UsageError("nothing is left to measure: these servers cannot serve these workloads")
    if target and not any(len(cells) > 1 for cells in plan.rounds()):
        raise UsageError("--precision is that of a ratio: it takes two servers that serve the same workload")


def _extras(asked: BenchOptions) -> Extras:
    """Return what is done besides measuring."""

    def unless_quick(said: bool | None) -> bool:  # noqa: FBT001 - it is the option's
        return not asked.quick if said is None else said

    return Extras(
        anew=asked.profile == "full",
        prove=False if asked.prove is None and asked.quick else asked.prove,
        selftest=asked.profile == "full" if asked.selftest is None else asked.selftest,
        limits=unless_quick(asked.limits),
        costs_scale=_costs_scale(asked.profile, costs=asked.costs),
        torture=unless_quick(asked.torture),
        effects=effect_states(),
    )


def _usual_placements(pythons: Sequence[str]) -> Sequence[str]:
    """Return where servers run if nothing is said: whoever asks for several interpreters asks what each makes of the cores, too."""
    return PLACEMENTS if len(pythons) > 1 else ()


def _named(names: Sequence[str], profile: str | None) -> list[Workload]:
    """Return workloads by their names; that of a family stands for all of it, or for the few of a quick run."""
    family = QUICK_RELAYS if profile == "quick" else RELAYS
    chosen = [each for name in names for each in (family if name == FAMILY_OF_RELAYS else (by_name(name),))]
    return list(dict.fromkeys(chosen))


def _usual_ways(named: Collection[Workload]) -> Sequence[str]:
    """Return the ways in which servers are measured besides if nothing is said of it: nobody stays fresh where clients leave."""
    return (FREE,) if any(each.load.churn for each in named) else (FREE, FRESH)


def _other_ways(
    candidates: Sequence[Candidate], profile: str | None, ways: Sequence[str] = (FREE, FRESH)
) -> list[Candidate]:
    """Return the servers of one core twice more: free on all, and in the state that they are in until a client has left."""
    of_one_core = [each for each in candidates if each.regime == ONE_CORE and "+" not in each.label]
    return [
        each.measured(way)
        for way in ways
        for each in of_one_core
        if profile != "quick" or each.label in QUICK_WAYS[way]
    ]


def _besides(names: Sequence[str], taken: Collection[str]) -> list[Candidate]:
    """Return the servers that are measured besides; UsageError if one of them is measured anyway."""
    found = selected(names) if names else []
    for each in found:
        if each.label in taken:
            raise UsageError(f"--also {each.label}: it is measured anyway")
    return found


def _core_only(
    candidates: Sequence[Candidate], besides: Collection[str] = (), *, everything: bool
) -> frozenset[str]:
    """Return who meets the core workloads only: variants, if all are measured, those besides, and those who are free or fresh."""
    variants = {each.name for each in VARIANTS} if everything else set()
    return frozenset(
        each.label for each in candidates if each.ways or each.label in variants or each.label in besides
    )


def _relay_only(candidates: Sequence[Candidate], profile: str | None, *, everything: bool) -> frozenset[str]:
    """Return who meets but the relay that every run measures: the fresh ones, and those that differ as relays alone.

    Of the free ones a quick run has time for but one elsewhere: that of the threads, whom it concerns most.
    """
    free = [each for each in candidates if FREE in each.ways]
    threads = [each for each in free if each.implementation and each.implementation.threaded]
    only_relays = {each.name for each in RELAY_VARIANTS} if everything else set()
    return frozenset(
        each.label
        for each in candidates
        if FRESH in each.ways
        or each.plain.label in only_relays
        or (profile == "quick" and each in free and each not in threads[:1])
    )


def _costs_scale(profile: str | None, *, costs: bool | None) -> float | None:
    """Return of how many of the requests and connections costs are to be looked for; None if not at all."""
    quick = profile == "quick"
    wanted = not quick if costs is None else costs
    return (QUICK_COSTS if quick else 1.0) if wanted else None


def _target(precision: str | None, of: str, within_minutes: float | None) -> PrecisionGoal | None:
    if precision is None:
        return None
    given = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", precision)
    if not given or not 0.1 <= float(given[1]) <= 50:
        raise UsageError(f"--precision takes a percentage from 0.1% to 50%, not {precision!r}")
    return PrecisionGoal(float(given[1]) / 100, of, 60 * (within_minutes or WITHIN_MINUTES))
