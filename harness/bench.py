"""The study: the conformance gate, then every cell of a plan, then the report; what was measured is never lost."""

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.analyse import invalidity
from harness.candidates import Candidate, UsageError
from harness.conformance.case import Verdict as Outcome
from harness.environment import facts, gather, revision, source_hash
from harness.launch import PROJECT, LaunchError
from harness.measure import Load, measure
from harness.plan import Cell, Plan, by_name
from harness.record import (
    SAMPLES,
    SCHEMA,
    Manifest,
    Results,
    Verdict,
    append_sample,
    read_results,
    write_conformance,
    write_manifest,
)
from harness.report.render import FIGURES, REPORT, render

RESULTS: Final = PROJECT / "results"
REFERENCE: Final = RESULTS / "reference"


def bench(
    candidates: Sequence[Candidate], plan: Plan, folder: Path, command: Sequence[str], console: Console
) -> bool:
    """Carry out a plan, and write its results and report into a folder.

    Args:
        candidates: the servers of the plan.
        plan: what to measure.
        folder: new, or empty.
        command: as the user gave it, for the record.
        console: where progress is shown.

    Returns:
        Whether every server passed the gate and every sample is valid.

    Raises:
        UsageError: the folder is in use.
        LaunchError, MeasureError: a server cannot be started or measured. What was measured is kept and reported.
        KeyboardInterrupt: likewise.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: results are never mixed or overwritten")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from None
    started = time.monotonic()
    manifest = Manifest(
        schema=SCHEMA,
        started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        command=tuple(command),
        revision=revision(),
        servers=facts(candidates),
        workloads=plan.workloads,
        blocks=plan.blocks,
        warmup_s=plan.warmup_s,
        duration_s=plan.duration_s,
        seed=plan.seed,
        planned_cells=len(plan.cells()),
        environment=gather(),
        complete=False,
        seconds=0.0,
    )
    write_manifest(folder, manifest)
    (folder / SAMPLES).touch()
    complete = False
    try:
        failed = _pass_the_gate(candidates, folder, console)
        cells = plan.without(failed).cells()
        _measure_cells({candidate.label: candidate for candidate in candidates}, plan, cells, folder, console)
        complete = True
    finally:
        manifest = replace(manifest, complete=complete, seconds=round(time.monotonic() - started, 1))
        write_manifest(folder, manifest)
        written = write_report(folder)
        console.print(f"{'Report' if complete else 'Incomplete report'}: {shown(written)}", highlight=False)
    return not failed and not any(invalidity(sample) for sample in read_results(folder).samples)


def _pass_the_gate(candidates: Sequence[Candidate], folder: Path, console: Console) -> set[str]:
    """Run the whole suite, in a process of its own, so that nothing of it is left in ours; return who failed."""
    words = [sys.executable, "-m", "harness", "conform"]
    for candidate in candidates:
        words += (
            [candidate.label]
            if candidate.announces
            else ["--server", f"{candidate.label}={shlex.join(candidate.command)}"]
        )
        if not candidate.announces and candidate.declares is not None:
            words += ["--declare", f"{candidate.label}={','.join(sorted(candidate.declares))}"]
    with (
        tempfile.TemporaryDirectory() as scratch,
        console.status(f"conformance of {len(candidates)} servers …"),
    ):
        file = Path(scratch) / "conformance.json"
        done = subprocess.run(
            [*words, "--json", str(file)], cwd=PROJECT, capture_output=True, text=True, check=False
        )
        if done.returncode not in {0, 1}:
            said = done.stderr.strip().splitlines()
            raise LaunchError(
                said[-1].removeprefix("harness: ") if said else "the conformance suite could not be run"
            )
        judged = json.loads(file.read_text(encoding="utf-8"))
    verdicts = [Verdict(**{key: value for key, value in each.items() if key != "seconds"}) for each in judged]
    write_conformance(folder, verdicts)
    failures = [verdict for verdict in verdicts if Outcome(verdict.verdict).failed]
    cases = len({verdict.case for verdict in verdicts})
    console.print(
        f"Conformance: {cases} cases on {len(candidates)} servers, {len(failures) or 'no'} failures",
        highlight=False,
    )
    for failure in failures:
        console.print(f"  {failure.verdict} {failure.case} {failure.server}: {failure.detail}", markup=False)
    return {failure.server for failure in failures}


def _measure_cells(
    candidates: Mapping[str, Candidate], plan: Plan, cells: Sequence[Cell], folder: Path, console: Console
) -> None:
    environment = gather()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("launches,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("measuring", total=len(cells))
        for cell in cells:
            workload = by_name(cell.workload)
            load = Load(
                clients=workload.clients,
                pipeline=workload.pipeline,
                warmup_s=plan.warmup_s,
                duration_s=plan.duration_s,
                server_cores=environment.server_cores,
                generator_cores=environment.generator_cores,
            )
            progress.update(task, description=f"block {cell.block + 1}/{plan.blocks}")
            sample = measure(candidates[cell.server], load, block=cell.block, workload=cell.workload)
            append_sample(folder, sample)
            for reason in invalidity(sample):
                console.print(f"  invalid: {cell.server}, {workload.title}: {reason}", markup=False)
            progress.advance(task)


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
