"""The study: the conformance gate, then every cell of a plan, then the report; what was measured is never lost."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from harness.analyse.precision import Target
from harness.analyse.samples.validity import invalidity
from harness.conformance.case import Verdict as Outcome
from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.launch.process import PROJECT
from harness.plan.workloads import Plan, twin_of
from harness.record.files import (
    SAMPLES,
    SCHEMA,
    Manifest,
    Results,
    Sample,
    append_sample,
    read_results,
    write_manifest,
)
from harness.report.markdown import FIGURES, REPORT, render
from harness.study.campaign import campaign
from harness.study.environment import facts, gather, harness_hash, revision, source_hash
from harness.study.phases import (
    CONNECTIONS,
    FAULTS,
    GATE,
    KNOWN_EFFECTS,
    THE_INSTRUMENT,
    THE_SUITE,
    WHAT_IT_COSTS,
    carry_out,
)

RESULTS: Final = PROJECT / "results"
REFERENCE: Final = RESULTS / "reference"


@dataclass(frozen=True)
class Extras:
    """What is done besides measuring and the gate.

    Attributes:
        prove: try the suite on its mutants and on the textbook's servers, too.
        selftest: let the instrument test itself before measuring.
        limits: find out how many connections each server holds.
        costs_scale: look for what requests and connections cost, and for known effects, with so much of the full number
            of requests and connections; None for not at all.
        torture: let faults happen to the servers in the end.
    """

    prove: bool = True
    selftest: bool = False
    limits: bool = False
    costs_scale: float | None = None
    torture: bool = False


def bench(  # noqa: PLR0913 - what, where and how well
    candidates: Sequence[Candidate],
    plan: Plan,
    folder: Path,
    command: Sequence[str],
    console: Console,
    target: Target | None = None,
    extras: Extras = Extras(),
    interrupted: Results | None = None,
) -> bool:
    """Carry out a plan, and write its results and report into a folder.

    Args:
        candidates: the servers of the plan.
        plan: what to measure; with a target, its blocks are the pilot.
        folder: new, or empty, or that of the interrupted run.
        command: as the user gave it, for the record.
        console: where progress is shown.
        target: the precision to reach, if the number of blocks is to follow from it.
        extras: what else to do.
        interrupted: a run of the same plan in this folder, to go on with: what it has recorded is not done again.

    Returns:
        Whether every server passed the gate, survived the faults, gave no wrong reply under load, left no request without
        one, and has at least one valid launch under each of its workloads; and the instrument passed its self-test.

    Raises:
        UsageError: the folder is in use, or the interrupted run was begun with other sources or on another machine.
        LaunchError, MeasureError: a server cannot be started or measured. What was measured is kept and reported.
        KeyboardInterrupt: likewise.
    """
    manifest = _manifest(candidates, plan, command, target)
    if interrupted is None:
        _take(folder)
    else:
        manifest = _gone_on_with(folder, interrupted.manifest, manifest)
    before_s, started_s = manifest.seconds, time.monotonic()
    write_manifest(folder, manifest)
    (folder / SAMPLES).touch()
    recorded = (*interrupted.samples, *interrupted.twins) if interrupted else ()
    _tell_how_long(plan, recorded, console)
    try:
        conforming = _prepare(candidates, folder, console, extras)
        to_measure = plan.without({each.label for each in candidates} - {each.label for each in conforming})
        keep = partial(append_sample, folder)
        with campaign(
            _with_twin(candidates, plan), to_measure, console, keep, recorded=recorded
        ) as measuring:
            if target is None:
                measuring.carry_out(plan.blocks)
            else:
                measuring.reach(target)
                cells = sum(map(len, plan.rounds(measuring.done)))
                manifest = replace(manifest, blocks=max(measuring.done.values()), planned_cells=cells)
        manifest = replace(manifest, complete=True)
        if conforming:
            _look_further(conforming, folder, console, extras)
    finally:
        manifest = replace(manifest, seconds=round(before_s + time.monotonic() - started_s, 1))
        write_manifest(folder, manifest)
        written = write_report(folder)
        title = "Report" if manifest.complete else "Incomplete report"
        console.print(f"{title}: {shown(written)}", highlight=False)
    results = read_results(folder)
    return (
        len(conforming) == len(candidates)
        and _all_served(to_measure, (*results.samples, *results.twins))
        and _nothing_failed(results, [each.label for each in conforming], extras)
    )


def _prepare(
    candidates: Sequence[Candidate], folder: Path, console: Console, extras: Extras
) -> list[Candidate]:
    """Do what comes before measuring; return the servers that passed the gate."""
    carry_out(GATE, candidates, folder, console)
    if extras.prove:
        carry_out(THE_SUITE, candidates, folder, console)
    if extras.selftest:
        carry_out(THE_INSTRUMENT, candidates, folder, console)
    verdicts = read_results(folder).conformance
    failed = {verdict.server for verdict in verdicts if Outcome(verdict.verdict).failed}
    return [candidate for candidate in candidates if candidate.label not in failed]


def _look_further(conforming: Sequence[Candidate], folder: Path, console: Console, extras: Extras) -> None:
    """Do what comes after measuring."""
    if extras.limits:
        carry_out(CONNECTIONS, conforming, folder, console)
    if extras.costs_scale is not None:
        carry_out(WHAT_IT_COSTS, conforming, folder, console, "--scale", str(extras.costs_scale))
        carry_out(KNOWN_EFFECTS, conforming, folder, console)
    if extras.torture:
        carry_out(FAULTS, conforming, folder, console)


def _nothing_failed(results: Results, labels: Sequence[str], extras: Extras) -> bool:
    """Tell whether what was done besides measuring found no fault with any server, nor with the instrument."""
    costs = {each.server: each.lifetime.wrong for each in results.costs}
    return (
        all(result.survived for result in results.torture)
        and all(check.outcome != "failed" for check in results.selftest)
        and all(limit.answered == limit.held for limit in results.limits)
        and (extras.costs_scale is None or costs == dict.fromkeys(labels, 0))
    )


def _with_twin(candidates: Sequence[Candidate], plan: Plan) -> list[Candidate]:
    """Return the servers of a plan, the one that has a twin under both names."""
    twins = [replace(each, label=twin_of(each.label)) for each in candidates if each.label == plan.doubled]
    return [*candidates, *twins]


def _take(folder: Path) -> None:
    """Make a folder, or use an empty one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: results are never mixed or overwritten")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None


def _manifest(
    candidates: Sequence[Candidate], plan: Plan, command: Sequence[str], target: Target | None
) -> Manifest:
    return Manifest(
        schema=SCHEMA,
        started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        command=tuple(command),
        revision=revision(),
        servers=facts(candidates),
        workloads=plan.workloads,
        blocks=max(plan.blocks.values()),
        warmup_s=plan.warmup_s,
        duration_s=plan.duration_s,
        seed=plan.seed,
        planned_cells=len(plan.cells()),
        environment=gather(),
        complete=False,
        seconds=0.0,
        precision=target.half_width if target else None,
        precision_of=target.metric if target else "",
        within_minutes=target.within_s / 60 if target else None,
        twin_of=plan.doubled,
        twin=twin_of(plan.doubled) if plan.doubled else "",
        blocks_of=dict(plan.blocks),
        harness_hash=harness_hash(),
    )


def _gone_on_with(folder: Path, begun: Manifest, now: Manifest) -> Manifest:
    """Return the manifest of a run that is resumed; UsageError if its figures and the coming ones would not go together."""
    differing = list(_differing(begun, now))
    if differing:
        raise UsageError(
            f"{shown(folder)} cannot be resumed: since it was begun, {', '.join(differing)} changed"
        )
    return replace(begun, complete=False, resumed=begun.resumed + 1)


def _differing(begun: Manifest, now: Manifest) -> Iterator[str]:
    """Name what has changed: of the servers, of the harness, of the plan, and of the machine."""
    if begun.harness_hash != now.harness_hash:
        yield "the harness's source"
    if [each.label for each in begun.servers] != [each.label for each in now.servers]:
        yield "the servers"
    else:
        yield from (a.label for a, b in zip(begun.servers, now.servers, strict=True) if a != b)
    for name in ("workloads", "blocks_of", "warmup_s", "duration_s", "seed"):
        if getattr(begun, name) != getattr(now, name):
            yield f"the plan's {name}"
    for each in fields(now.environment):
        if getattr(begun.environment, each.name) != getattr(now.environment, each.name):
            yield f"the machine's {each.name}"


def _tell_how_long(plan: Plan, recorded: Sequence[Sample], console: Console) -> None:
    """Print an estimate before anything begins."""
    done = {(sample.block, sample.server, sample.workload) for sample in recorded}
    cells = [cell for cell in plan.cells() if (cell.block, cell.server, cell.workload) not in done]
    minutes = sum(plan.seconds_of(cell.workload) for cell in cells) / 60
    before = (
        f"{len(plan.cells()) - len(cells)} of {len(plan.cells())} launches were made before; " if done else ""
    )
    console.print(
        f"{before}{len(cells)} launches will take about {minutes:.0f} minutes if none is invalid, besides all else",
        highlight=False,
    )


def _all_served(plan: Plan, samples: Sequence[Sample]) -> bool:
    usable = {(sample.server, sample.workload) for sample in samples if not invalidity(sample)}
    return {(cell.server, cell.workload) for cell in plan.cells()} <= usable and not any(
        sample.wrong + sample.error + sample.timeout + sample.in_flight
        or sample.company_wrong + sample.company_error
        for sample in samples
    )


def files_of(folder: Path, results: Results) -> dict[Path, str]:
    """Return the files of a report and their contents.

    The reference run's report stands at the top of the project, any other in its run's folder.
    """
    if folder.resolve() == REFERENCE:
        rendered = render(results, f"{REFERENCE.relative_to(PROJECT)}/{FIGURES}")
        top = PROJECT
    else:
        rendered = render(results)
        top = folder
    return {(top if name == REPORT else folder) / name: text for name, text in rendered.items()}


def write_report(folder: Path) -> Path:
    """Make a report from a run's folder alone; return where it is."""
    files = files_of(folder, read_results(folder))
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return next(path for path in files if path.name == REPORT)


def stale_files(folder: Path) -> list[Path]:
    """Return the files of a report that are not what the results give now."""
    files = files_of(folder, read_results(folder))
    return [
        path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def changed_since(results: Results) -> list[str]:
    """Return the servers whose source is no longer what was measured."""
    return [
        facts.label
        for facts in results.manifest.servers
        if facts.file
        and (not (PROJECT / facts.file).exists() or source_hash(facts.file) != facts.source_hash)
    ]


def new_folder() -> Path:
    """Return a name for a new run's folder."""
    return RESULTS / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")


def shown(path: Path) -> str:
    """Return a path as short as it can be."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
