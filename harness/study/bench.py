"""The study: the conformance gate, then every cell of a plan, then the report; what was measured is never lost."""

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from msgspec import structs
from rich.console import Console

from harness.analyse.blocks import launches_of, of_regime
from harness.analyse.reached import noise_of, noise_sentence, precision_of, precision_sentence
from harness.analyse.samples.metrics import metric
from harness.analyse.samples.validity import Reason, Severity, assess
from harness.conformance.catalogue import CASES
from harness.launch.candidates import Candidate
from harness.plan import ONE_CORE, Plan, twin_of
from harness.record import (
    CLAUSES,
    CONFORMANCE,
    EFFECTS,
    PROOF,
    SAMPLES,
    UNMEASURED,
    Manifest,
    PrecisionGoal,
    Results,
    Sample,
    append_samples,
    append_to_log,
    as_json,
    read_results,
    take,
    write_manifest,
    write_whole,
)
from harness.study.campaign import Campaign, campaign
from harness.study.fleet import Fleet
from harness.study.known import known_verdicts, standing_proof
from harness.study.manifest import manifest_of
from harness.study.parts import Part, drop_effects, drop_workloads, known_now, states_kept
from harness.study.phases import (
    CONNECTIONS,
    FAULTS,
    GATE,
    KNOWN_EFFECTS,
    THE_INSTRUMENT,
    THE_SUITE,
    WHAT_IT_COSTS,
    Phase,
    run_phase,
)
from harness.study.places import places_found
from harness.study.resume import blocks_are_settled, blocks_of, gone_on_with, renewed

EFFECTS_S: Final = 300.0
LIMITS_S: Final = 8.0
COSTS_S: Final = 36.0
FAULTS_S: Final = 28.0
"""About what comes after measuring takes: the effects in all, the others for each server."""
REPORT_S: Final = 12.0
"""About what a quick run's report takes."""
GATE_S: Final = 9.0
"""About what the gate takes for a server of which nothing is known."""
GATE_OF_SOME_S: Final = 4.0
"""The same if it is but a group of cases."""
FEWEST_BLOCKS: Final = 2
"""From fewer there is no interval."""
BY_OTHERS: Final = frozenset({Reason.STEAL, Reason.FOREIGN_WORK})
"""A launch that is invalid for nothing else says nothing against its server, nor against the instrument."""
LEAST_MEASURING: Final = 0.4
"""Of the time of a whole run, so much at least is measured, however long the gate has taken."""

CarryOut = Callable[..., None]
"""Carries out a phase with some servers, and some options of its command, and notes which parts were made."""


@dataclass(frozen=True)
class Extras:
    """What is done besides measuring and the gate.

    Attributes:
        prove: try the suite on its mutants and on the textbook's servers, too; None: unless the reference run has tried
            just this suite.
        selftest: let the instrument test itself before measuring.
        limits: find out how many connections each server holds.
        costs_scale: look for what requests and connections cost, and for known effects, with so much of the full number
            of requests and connections; None for not at all.
        torture: let faults happen to the servers in the end.
        effects: for each known effect, the hash of what it stands on.
        anew: let every server pass the gate, even if an earlier run has proved the same of it.
    """

    anew: bool = False
    prove: bool | None = None
    selftest: bool = False
    limits: bool = False
    costs_scale: float | None = None
    torture: bool = False
    effects: Mapping[str, str] = field(default_factory=dict)


def bench(  # noqa: PLR0913 - what, where and how well
    candidates: Sequence[Candidate],
    plan: Plan,
    folder: Path,
    command: Sequence[str],
    console: Console,
    report: Callable[[Path], Sequence[str]],
    target: PrecisionGoal | None = None,
    extras: Extras = Extras(),
    interrupted: Results | None = None,
    stale: Sequence[Part] | None = None,
    fleet: Fleet | None = None,
) -> bool:
    """Carry out a plan, and write its results and report into a folder.

    Args:
        candidates: the servers of the plan.
        plan: what to measure; with a target, its blocks are the pilot.
        folder: new, or empty, or that of the interrupted run.
        command: as the user gave it, for the record.
        console: where progress is shown.
        report: makes the report of a run's folder, and returns what is to be said of it.
        target: the precision to reach, if the number of blocks is to follow from it.
        extras: what else to do.
        interrupted: a run of the same plan in this folder, to go on with: what it has recorded is not done again.
        stale: parts of that run that are older than their sources; made anew, and nothing else is. None if it was
            interrupted.
        fleet: the workers that load the servers; None for generators beside them. All that is not measuring is done here.

    Returns:
        Whether every server passed the gate, survived the faults, gave no wrong reply under load, left no request without
        one, and has at least one launch under each of its workloads that is valid but for what others took of the machine;
        and the instrument passed its self-test, and showed each known effect.

    Raises:
        UsageError: the folder is in use, or the interrupted run was begun with other sources or on another machine.
        LaunchError, MeasureError: a server cannot be started or measured. What was measured is kept and reported.
        KeyboardInterrupt: likewise.
    """
    started_s = time.monotonic()
    manifest = manifest_of(candidates, plan, command, target, extras.effects)
    states = manifest.states
    in_time = plan.whole_s is not None
    if interrupted is None:
        take(folder)
        manifest = _with_what_is_known(manifest, folder, extras)
    else:
        in_time = in_time and not blocks_are_settled(interrupted.manifest, plan.blocks)
        plan = plan if in_time else replace(plan, blocks=blocks_of(interrupted.manifest.design))
        plan = plan if stale is None else _renewing(plan, stale)
        manifest, interrupted = _taken_up(interrupted, manifest, folder, stale)
    before_s = manifest.progress.seconds
    write_manifest(folder, manifest)
    (folder / SAMPLES).touch()
    recorded = (*interrupted.samples, *interrupted.twins) if interrupted else ()
    measured_s = sum(plan.seconds_for(sample.cell) for sample in recorded)
    began_s = started_s - max(before_s, measured_s)  # if it was killed it could not write how long it took
    _tell_how_long(plan, manifest, recorded, extras, len(_as_usual(candidates)), console, in_time=in_time)
    to_measure, made = plan, set[Part]()

    def carry_out(phase: Phase, whom: Sequence[Candidate], *options: str) -> None:
        made.update(run_phase(phase, whom, folder, console, *options, stale=known_now(stale or (), states)))

    try:
        conforming = _prepare(candidates, folder, extras, plan.gate_cases, carry_out)
        as_usual = _as_usual(conforming)
        places = places_found(conforming, plan)
        manifest = _with_places(manifest, places)
        plan = replace(plan, most_clients={**plan.most_clients, **places})
        to_measure = plan.without({each.label for each in candidates} - {each.label for each in conforming})
        keep = partial(append_samples, folder)
        note = partial(append_to_log, log=folder / UNMEASURED)
        until_s = _until_s(plan, began_s, extras, len(as_usual), measured_s) if in_time else None
        with campaign(
            _with_twin(candidates, plan), to_measure, console, keep, note, recorded=recorded, fleet=fleet
        ) as measuring:
            if target is not None:
                measuring.reach(target)
            else:
                _measure(measuring, plan, recorded, until_s)
            if target is not None or in_time:
                manifest = _with_blocks(manifest, plan, measuring.done)
        progress = structs.replace(manifest.progress, complete=True)
        manifest = structs.replace(manifest, progress=progress)
        if conforming:
            _look_further(as_usual, extras, carry_out)
    finally:
        progress = structs.replace(
            manifest.progress, seconds=round(before_s + time.monotonic() - started_s, 1)
        )
        manifest = _with_what_was_made(structs.replace(manifest, progress=progress), made, states)
        write_manifest(folder, manifest)
        results = _reported(folder, report, to_measure, console)
    return (
        len(conforming) == sum(not each.refusal for each in candidates)
        and _all_served(to_measure, results)
        and _nothing_failed(results, [each.label for each in as_usual], extras)
    )


def _renewing(plan: Plan, stale: Sequence[Part]) -> Plan:
    """Return a plan without blocks of the workloads that are not made anew: what of these is missing would be of another day."""
    anew = {part.name for part in stale if part.file == SAMPLES}
    return replace(plan, blocks={name: count * (name in anew) for name, count in plan.blocks.items()})


def _reported(folder: Path, report: Callable[[Path], Sequence[str]], plan: Plan, console: Console) -> Results:
    """Let a run be reported, and say what has to be said of it; return what it has."""
    told = report(folder)
    results = read_results(folder)
    _tell_what_was_reached(results, console)
    if results.manifest.progress.complete:
        _tell_what_is_missing(plan, results, console)
    for line in told:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return results


def _measure(measuring: Campaign, plan: Plan, recorded: Sequence[Sample], until_s: float | None) -> None:
    """Measure a plan's blocks, as many as fit if there is an end; what was begun before is ended, whatever time is left."""
    if until_s is not None:
        measuring.measure_blocks(_begun(plan, recorded))
    measuring.measure_blocks(plan.blocks, until_s)


def _begun(plan: Plan, recorded: Sequence[Sample]) -> dict[str, int]:
    """Return the blocks of each workload that were begun before."""
    begun = dict.fromkeys(plan.workloads, 0)
    for sample in recorded:
        begun[sample.cell.workload] = max(begun[sample.cell.workload], sample.cell.block + 1)
    return begun


def _taken_up(
    interrupted: Results, now: Manifest, folder: Path, stale: Sequence[Part] | None
) -> tuple[Manifest, Results]:
    """Take up a run that is there already, without what of it is stale; return its manifest, and what it has."""
    if stale is None:
        manifest = gone_on_with(folder, interrupted.manifest, now)
    else:
        there = known_now(stale, now.states)
        manifest = renewed(folder, interrupted.manifest, now, there)
        # Before anything is dropped, so that a run that is killed in between can be gone on with.
        write_manifest(folder, manifest)
        drop_workloads(folder, {part.name for part in there if part.file == SAMPLES})
        drop_effects(folder, {part.name for part in stale if part.file == EFFECTS and part not in there})
        interrupted = read_results(folder)
    return structs.replace(manifest, states=states_kept(interrupted, now.states)), interrupted


def _with_what_was_made(manifest: Manifest, made: Collection[Part], now: Mapping[str, str]) -> Manifest:
    """Note what the parts stand on that were made now; all others keep their states, so that nothing old looks fresh.

    A verdict that was found now is no copy any more.
    """
    states = {str(part): now[str(part)] for part in made if str(part) in now}
    copied = {
        server: run for server, run in manifest.proved_by.items() if Part(CONFORMANCE, server) not in made
    }
    return structs.replace(manifest, states=manifest.states | states, proved_by=copied)


def _with_blocks(manifest: Manifest, plan: Plan, done: Mapping[str, int]) -> Manifest:
    """Note how many blocks a run came to whose number was not given."""
    design = structs.replace(
        manifest.design,
        blocks=max(done.values()),
        blocks_of=dict(done),
        planned_cells=sum(map(len, plan.rounds(done))),
    )
    return structs.replace(manifest, design=design)


def _prepare(
    candidates: Sequence[Candidate],
    folder: Path,
    extras: Extras,
    gate_cases: Sequence[str],
    carry_out: CarryOut,
) -> list[Candidate]:
    """Do what comes before measuring; return the servers that can run, and passed the gate."""
    some = ("--case", ",".join(gate_cases)) if gate_cases else ()
    carry_out(GATE, _as_usual(candidates), *some)
    write_whole(folder / CLAUSES, json.dumps({case.id: case.clause for case in CASES}, indent=1) + "\n")
    if not extras.prove and (proof := standing_proof()) is not None:
        write_whole(folder / PROOF, proof)
    elif extras.prove is not False:
        carry_out(THE_SUITE, candidates)
    if extras.selftest:
        carry_out(THE_INSTRUMENT, candidates)
    verdicts = read_results(folder).conformance
    failed = {verdict.server for verdict in verdicts if verdict.verdict.failed}
    passed = {verdict.server for verdict in verdicts} - failed
    return [each for each in candidates if not each.refusal and each.plain.label in passed]


def _as_usual(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return each server once, whatever the ways in which it is measured: what it promises does not depend on them."""
    return list({candidate.plain.label: candidate.plain for candidate in candidates}.values())


def _look_further(conforming: Sequence[Candidate], extras: Extras, carry_out: CarryOut) -> None:
    """Do what comes after measuring."""
    if extras.limits:
        carry_out(CONNECTIONS, conforming)
    if extras.costs_scale is not None:
        carry_out(WHAT_IT_COSTS, conforming, "--scale", str(extras.costs_scale))
        carry_out(KNOWN_EFFECTS, conforming)
    if extras.torture:
        carry_out(FAULTS, conforming)


def _nothing_failed(results: Results, labels: Sequence[str], extras: Extras) -> bool:
    """Tell whether what was done besides measuring found no fault with any server, nor with the instrument."""
    costs = {each.server: each.lifetime.wrong for each in results.costs}
    tortured, limited = ({each.server for each in found} for found in (results.torture, results.limits))
    return (
        all(result.survived for result in results.torture)
        and (not extras.torture or tortured >= {*labels})
        and all(check.outcome != "failed" for check in results.selftest)
        and all(effect.shown for effect in results.effects)
        and all(limit.answered == limit.held for limit in results.limits)
        and (not extras.limits or limited >= {*labels})
        and (extras.costs_scale is None or costs == dict.fromkeys(labels, 0))
    )


def _with_twin(candidates: Sequence[Candidate], plan: Plan) -> list[Candidate]:
    """Return the servers of a plan, the one that has a twin under both names."""
    twins = [replace(each, label=twin_of(each.label)) for each in candidates if each.label == plan.doubled]
    return [*candidates, *twins]


def _with_what_is_known(manifest: Manifest, folder: Path, extras: Extras) -> Manifest:
    """Copy what an earlier run has proved of the same servers, and note whose it is."""
    known = {} if extras.anew else known_verdicts(manifest)
    if known:
        verdicts = [verdict for each in known.values() for verdict in each.verdicts]
        write_whole(folder / CONFORMANCE, as_json(verdicts))
    return structs.replace(manifest, proved_by={server: each.folder for server, each in known.items()})


def _tell_what_was_reached(results: Results, console: Console) -> None:
    """Say how precise slices were, how many pairs that decides, and what was left out."""
    launches = of_regime(launches_of(results.samples, results.twins), ONE_CORE)
    sliced = [launch for launch in launches if launch.sample.slices]
    for workload in results.manifest.design.workloads:
        if (found := precision_of(sliced, workload, metric("cpu_us_per_request"))) is not None:
            console.print(precision_sentence(found), highlight=False, soft_wrap=True)
    if (noise := noise_of(sliced)) is not None:
        console.print(noise_sentence(noise), highlight=False, soft_wrap=True)


def _with_places(manifest: Manifest, places: Mapping[str, int]) -> Manifest:
    """Note how many clients servers were found to hold."""
    servers = tuple(
        structs.replace(each, most_clients=places.get(each.label, each.most_clients))
        for each in manifest.servers
    )
    return structs.replace(manifest, servers=servers)


def _until_s(
    plan: Plan, began_s: float, extras: Extras, servers: int, measured_s: float = 0.0
) -> float | None:
    """Return the moment at which measuring ends, if the whole is to take so long: a fair part is left, however long the gate took.

    Args:
        plan: of the whole.
        began_s: when it began, if it is gone on with as if there had been no interruption.
        extras: what comes afterwards.
        servers: how many that is done to.
        measured_s: how long was measured before an interruption.
    """
    if plan.whole_s is None:
        return None
    return max(
        began_s + plan.whole_s - REPORT_S - _afterwards_s(extras, servers),
        time.monotonic() + LEAST_MEASURING * plan.whole_s - measured_s,
    )


def _afterwards_s(extras: Extras, servers: int) -> float:
    """Estimate how long all takes that comes after measuring."""
    costs_s = EFFECTS_S + COSTS_S * extras.costs_scale * servers if extras.costs_scale is not None else 0.0
    return costs_s + servers * (LIMITS_S * extras.limits + FAULTS_S * extras.torture)


def _tell_how_long(  # noqa: PLR0913 - of what, what there is of it, and what else is done
    plan: Plan,
    manifest: Manifest,
    recorded: Sequence[Sample],
    extras: Extras,
    servers: int,
    console: Console,
    *,
    in_time: bool,
) -> None:
    """Print an estimate before anything begins; so many servers are judged, and looked at afterwards."""
    done = {(sample.cell.block, sample.cell.server, sample.cell.workload) for sample in recorded}
    cells = [cell for cell in plan.cells() if (cell.block, cell.server, cell.workload) not in done]
    known = len(manifest.proved_by)
    if known:
        console.print(
            f"{known} servers have passed the same suite on this machine before, and are not judged again",
            highlight=False,
        )
    if plan.whole_s is not None and in_time and not done:
        console.print(f"This will take about {plan.whole_s / 60:.0f} minutes in all", highlight=False)
        afterwards_s = _afterwards_s(extras, servers)
        if (fit := blocks_that_fit(plan, plan.whole_s, servers - known, afterwards_s)) < FEWEST_BLOCKS:
            console.print(
                f"{len(plan.servers)} servers are too many for that: about {fit:.1f} blocks of each workload, and intervals "
                f"take {FEWEST_BLOCKS}; name fewer servers, or give --blocks",
                style="yellow",
                highlight=False,
            )
        return
    if not plan.cells():
        console.print("No launches are to be made", highlight=False)
        return
    minutes = sum(map(plan.seconds_for, cells)) / 60
    before = (
        f"{len(plan.cells()) - len(cells)} of {len(plan.cells())} launches were made before; " if done else ""
    )
    console.print(
        f"{before}{len(cells)} launches will take about {minutes:.0f} minutes if none is invalid, besides all else",
        highlight=False,
    )


def blocks_that_fit(plan: Plan, whole_s: float, to_judge: int, afterwards_s: float = 0.0) -> float:
    """Estimate how many blocks of each workload can be measured in a given time, the gate of so many servers, and what comes afterwards, included."""
    gate_s = to_judge * (GATE_OF_SOME_S if plan.gate_cases else GATE_S)
    measuring_s = max(whole_s - REPORT_S - gate_s - afterwards_s, LEAST_MEASURING * whole_s)
    block_s = sum(plan.seconds_for(cell) for cell in plan.cells() if cell.block == 0)
    return measuring_s / block_s


def _all_served(plan: Plan, results: Results) -> bool:
    """Tell whether every server answered under each workload that it met, and whatever was asked; what others took is no fault of it."""
    samples = (*results.samples, *results.twins)
    return _met(plan, results) <= _valid_but_for(BY_OTHERS, samples) and not any(
        sample.requests.wrong + sample.requests.error + sample.requests.timeout + sample.requests.in_flight
        or sample.background.wrong + sample.background.error
        for sample in samples
    )


def _met(plan: Plan, results: Results) -> set[tuple[str, str]]:
    """Return the servers and workloads of a plan for which there was time: they were launched, or that was tried."""
    launched = [each.cell for each in (*results.samples, *results.twins)]
    tried = [each.cell for each in results.unmeasured]
    return _planned(plan).keys() & {(cell.server, cell.workload) for cell in (*launched, *tried)}


def _planned(plan: Plan) -> dict[tuple[str, str], None]:
    """Return the servers and workloads of a plan, in its order."""
    return dict.fromkeys((cell.server, cell.workload) for cell in plan.cells())


def _valid_but_for(forgiven: Collection[Reason], samples: Sequence[Sample]) -> set[tuple[str, str]]:
    """Return the servers and workloads of which some launch is invalid for no other reasons, if for any."""
    return {
        (sample.cell.server, sample.cell.workload)
        for sample in samples
        if all(flag.reason in forgiven for flag in assess(sample).of(Severity.INVALID))
    }


def _tell_what_is_missing(plan: Plan, results: Results, console: Console) -> None:
    """Name the workloads that were not reached, and the servers of which no launch under a workload can be used."""
    met, usable = _met(plan, results), _valid_but_for(frozenset(), (*results.samples, *results.twins))
    unmet = _by_workload(each for each in _planned(plan) if each not in met)
    begun = {workload for _, workload in met}
    if unmet:
        names = (f"{name} of {', '.join(of)}" if name in begun else name for name, of in unmet.items())
        _tell_in_yellow(f"Not reached in the time: {'; '.join(names)}", console)
    without = _by_workload(each for each in _planned(plan) if each in met - usable)
    for workload, servers in without.items():
        _tell_in_yellow(
            f"No figures under {workload} of {', '.join(servers)}: none of their launches is valid", console
        )


def _by_workload(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the servers of each workload."""
    found: dict[str, list[str]] = {}
    for server, workload in pairs:
        found.setdefault(workload, []).append(server)
    return found


def _tell_in_yellow(text: str, console: Console) -> None:
    console.print(text, style="yellow", highlight=False, soft_wrap=True)
