"""The study: the conformance gate, then every cell of a plan, then the report; what was measured is never lost."""

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from harness.campaign import campaign
from harness.candidates import Candidate
from harness.conformance.case import Verdict as Outcome
from harness.environment import facts, gather, harness_hash, revision, source_hash
from harness.errors import UsageError
from harness.launch import PROJECT, LaunchError
from harness.plan import Plan, twin_of
from harness.precision import Target
from harness.record import (
    COSTS,
    EFFECTS,
    LIMITS,
    PROOF,
    SAMPLES,
    SCHEMA,
    SELFTEST,
    TORTURE,
    Manifest,
    Results,
    Sample,
    Verdict,
    append_sample,
    costs_from_json,
    effects_from_json,
    read_results,
    torture_from_json,
    write_conformance,
    write_manifest,
)
from harness.report.render import FIGURES, REPORT, render
from harness.validity import invalidity

RESULTS: Final = PROJECT / "results"
REFERENCE: Final = RESULTS / "reference"


def bench(  # noqa: PLR0913 - what, where and how well
    candidates: Sequence[Candidate],
    plan: Plan,
    folder: Path,
    command: Sequence[str],
    console: Console,
    target: Target | None = None,
    *,
    prove: bool = True,
    torture: bool = False,
    selftest: bool = False,
    limits: bool = False,
    interrupted: Results | None = None,
    costs_scale: float | None = None,
) -> bool:
    """Carry out a plan, and write its results and report into a folder.

    Args:
        candidates: the servers of the plan.
        plan: what to measure; with a target, its blocks are the pilot.
        folder: new, or empty, or that of the interrupted run.
        command: as the user gave it, for the record.
        console: where progress is shown.
        target: the precision to reach, if the number of blocks is to follow from it.
        prove: whether to try the suite on its mutants and on the textbook's servers, too.
        torture: let faults happen to the servers in the end.
        selftest: let the instrument test itself before measuring.
        limits: find out how many connections each holds.
        interrupted: a run of the same plan in this folder, to go on with: what it has recorded is not done again.
        costs_scale: look for what requests and connections cost, and for known effects, too: with so much of the full
            number of requests and connections.

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
    complete = False
    try:
        verdicts = interrupted.conformance if interrupted else ()
        failed = _failed(verdicts or _pass_the_gate(candidates, folder, console))
        if prove and not (folder / PROOF).exists():
            _prove_the_suite(folder, console)
        if selftest and not (folder / SELFTEST).exists():
            _test_the_instrument(folder, console)
        to_measure = plan.without(failed)
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
        complete = True
        conforming = [each for each in candidates if each.label not in failed]
        if limits and conforming and not (folder / LIMITS).exists():
            _find_limits(conforming, folder, console)
        if costs_scale is not None:
            _look_for_causes(conforming, costs_scale, folder, console)
        if torture and conforming and not (folder / TORTURE).exists():
            _torture(conforming, folder, console)
    finally:
        seconds = round(before_s + time.monotonic() - started_s, 1)
        manifest = replace(manifest, complete=complete, seconds=seconds)
        write_manifest(folder, manifest)
        written = write_report(folder)
        console.print(f"{'Report' if complete else 'Incomplete report'}: {shown(written)}", highlight=False)
    results = read_results(folder)
    survived = all(result.survived for result in results.torture)
    trusted = all(check.outcome != "failed" for check in results.selftest)
    return not failed and survived and trusted and _all_served(to_measure, (*results.samples, *results.twins))


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


def _failed(verdicts: Sequence[Verdict]) -> set[str]:
    """Return the servers that failed a case."""
    return {verdict.server for verdict in verdicts if Outcome(verdict.verdict).failed}


def _pass_the_gate(candidates: Sequence[Candidate], folder: Path, console: Console) -> tuple[Verdict, ...]:
    """Run the whole suite, and keep its verdicts."""
    with console.status(f"conformance of {len(candidates)} servers …"):
        judged = json.loads(_run_apart([*_words("conform", candidates), "--json"]))
    verdicts = tuple(
        Verdict(**{key: value for key, value in each.items() if key != "seconds"}) for each in judged
    )
    write_conformance(folder, verdicts)
    failures = [verdict for verdict in verdicts if Outcome(verdict.verdict).failed]
    cases = len({verdict.case for verdict in verdicts})
    console.print(
        f"Conformance: {cases} cases on {len(candidates)} servers, {len(failures) or 'no'} failures",
        highlight=False,
    )
    for failure in failures:
        console.print(f"  {failure.verdict} {failure.case} {failure.server}: {failure.detail}", markup=False)
    return verdicts


def _prove_the_suite(folder: Path, console: Console) -> None:
    """Let the suite meet its mutants and the textbook's servers, and record what came of it."""
    with console.status("the suite against servers that are known to be wrong …"):
        proof = _run_apart(["prove", "--json"])
    (folder / PROOF).write_text(proof, encoding="utf-8")
    trials = json.loads(proof)["trials"]
    caught = sum(trial["caught"] for trial in trials)
    console.print(
        f"Suite: {caught} of {len(trials)} mutants caught by the case that is there for them", highlight=False
    )


def _test_the_instrument(folder: Path, console: Console) -> None:
    """Let the instrument test itself on this machine, and record what came of it."""
    with console.status("self-test of the instrument, about four minutes …"):
        written = _run_apart(["selftest", "--json"])
    (folder / SELFTEST).write_text(written, encoding="utf-8")
    checks = json.loads(written)
    failures = [check for check in checks if check["outcome"] == "failed"]
    console.print(f"Self-test: {len(checks)} checks, {len(failures) or 'none'} failed", highlight=False)
    for failure in failures:
        console.print(f"  {failure['check']}: {failure['line']}", markup=False)


def _find_limits(candidates: Sequence[Candidate], folder: Path, console: Console) -> None:
    """Find out how many connections each server holds, and keep it."""
    with console.status(f"connections of {len(candidates)} servers …"):
        written = _run_apart([*_words("limits", candidates), "--json"])
    (folder / LIMITS).write_text(written, encoding="utf-8")
    found = ", ".join(f"{each['server']} {each['held']:,}" for each in json.loads(written))
    console.print(f"Connections held at once: {found}", highlight=False)


def _torture(candidates: Sequence[Candidate], folder: Path, console: Console) -> None:
    """Let faults happen to servers, and keep what came of it."""
    with console.status(f"torture of {len(candidates)} servers …"):
        written = _run_apart([*_words("torture", candidates), "--json"])
    (folder / TORTURE).write_text(written, encoding="utf-8")
    results = torture_from_json(folder / TORTURE, written.encode())
    failures = [result for result in results if not result.survived]
    console.print(
        f"Torture: {len(results)} faults on {len(candidates)} servers, {len(failures) or 'none'} not survived",
        highlight=False,
    )
    for failure in failures:
        console.print(f"  {failure.fault} {failure.server}: {'; '.join(failure.reasons)}", markup=False)


def _look_for_causes(candidates: Sequence[Candidate], scale: float, folder: Path, console: Console) -> None:
    """Find out what servers cost, let known effects happen, and keep what came of it."""
    if not candidates:
        return
    if not (folder / COSTS).exists():
        with console.status(f"costs of {len(candidates)} servers …"):
            costs = _run_apart([*_words("costs", candidates), "--scale", str(scale), "--json"])
        (folder / COSTS).write_text(costs, encoding="utf-8")
    if not (folder / EFFECTS).exists():
        with console.status("known effects …"):
            effects = _run_apart(["effect", "--json"])
        (folder / EFFECTS).write_text(effects, encoding="utf-8")
    file = folder / EFFECTS
    shown_effects = [result.shown for result in effects_from_json(file, file.read_bytes())]
    known = [costs.server for costs in costs_from_json(folder / COSTS, (folder / COSTS).read_bytes())]
    console.print(
        f"Costs of {len(known)} servers; {sum(shown_effects)} of {len(shown_effects)} known effects seen",
        highlight=False,
    )
    for label in [candidate.label for candidate in candidates if candidate.label not in known]:
        console.print(f"[bold red]no costs[/] of {escape(label)}: `harness costs` says why", highlight=False)


def _words(command: str, candidates: Sequence[Candidate]) -> list[str]:
    """Return a subcommand for these servers."""
    words = [command]
    for candidate in candidates:
        words += (
            [candidate.name]
            if candidate.announces
            else ["--server", f"{candidate.label}={shlex.join(candidate.command)}"]
        )
        if not candidate.announces and candidate.declares is not None:
            words += ["--declare", f"{candidate.label}={','.join(sorted(candidate.declares))}"]
    return words


def _run_apart(words: Sequence[str]) -> str:
    """Run one of our commands in a process of its own, so that nothing of it is left in ours.

    Args:
        words: the command, up to the option that names the file to write.

    Returns:
        What it wrote to that file.

    Raises:
        LaunchError: it could not be run.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "written.json"
        command = [sys.executable, "-m", "harness", *words, str(file)]
        with subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                _, said = process.communicate()
            finally:
                process.terminate()  # politely, so that it takes its servers with it
        if process.returncode not in {0, 1}:
            reason = said.strip().rpartition("\n")[2].removeprefix("harness: ")
            raise LaunchError(reason or f"`harness {words[0]}` could not be run")
        return file.read_text(encoding="utf-8")


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
