"""`harness false-alarms`: how often the suite is wrong about a server that is right."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from harness.cli.exit_codes import FAILED
from harness.cli.terminal import console_for
from harness.conformance.proof.false_alarms import (
    ENOUGH_RUNS,
    LOG,
    STALE_AT_ONCE,
    run_stale,
    run_until,
    standing_runs,
)
from harness.launch.selection import ours
from harness.record import AlarmRun, CaseAlarms, held_log
from implementations.catalogue import CATALOGUE


@click.command("false-alarms")
@click.argument("names", nargs=-1)
@click.option(
    "--runs",
    type=click.IntRange(1, 100_000),
    default=ENOUGH_RUNS,
    show_default=True,
    help="In all, not more.",
)
@click.option(
    "--log", type=click.Path(path_type=Path), default=LOG, help="Where runs are added to; resumed if there."
)
@click.option(
    "--at-once",
    type=click.IntRange(1, 64),
    help=f"Suites side by side: 1 if not given, {STALE_AT_ONCE} with --stale.",
)
@click.option(
    "--stale",
    is_flag=True,
    help="Not the whole suite: only those cases that have not met servers so often as they are now.",
)
def false_alarms(names: Sequence[str], runs: int, log: Path, at_once: int | None, *, stale: bool) -> int:
    """Run the whole suite on conforming servers, in turn, while every core is busy: each failure is a false alarm."""
    console = console_for(to_errors=False)
    candidates = [ours(name) for name in names or [implementation.name for implementation in CATALOGUE]]

    def note(run: AlarmRun) -> None:
        said = "; ".join(run.alarms) or "no alarm"
        judged = f"{run.times} x {', '.join(run.only)}: " if run.only else ""
        console.print(
            f"{run.server:20} {run.seconds:5.1f} s  load {run.load:.1f}  {judged}{said}",
            markup=False,
            highlight=False,
        )

    click.get_current_context().with_resource(held_log(log))
    if stale:
        lacking = [each.case for each in standing_runs(log)[1] if each.runs < runs]
        print(f"without {runs} runs as they are now: {', '.join(lacking) or 'no case'}", file=sys.stderr)
        return _told(run_stale(runs, candidates, log, at_once or STALE_AT_ONCE, note), console)
    done = run_until(runs, candidates, log, at_once or 1, note)
    alarms = sum(bool(run.alarms) for run in done)
    console.print(f"{len(done)} runs, {alarms or 'none'} with a false alarm", highlight=False)
    return FAILED if alarms else 0


def _told(found: Sequence[CaseAlarms], console: Console) -> int:
    for each in found:
        if each.alarms:
            console.print(f"{each.case}: {each.alarms} false alarms in {each.runs} runs", highlight=False)
    alarms = sum(each.alarms for each in found)
    fewest = min(each.runs for each in found)
    console.print(
        f"at least {fewest} runs of each case, {alarms or 'none'} with a false alarm", highlight=False
    )
    return FAILED if alarms else 0
