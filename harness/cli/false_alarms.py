"""`harness false-alarms`: how often the suite is wrong about a server that is right."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.exit_codes import FAILED
from harness.cli.terminal import console_for
from harness.conformance.proof.false_alarms import LOG, run_until
from harness.launch.selection import ours
from harness.record import AlarmRun
from implementations.catalogue import CATALOGUE


@click.command("false-alarms")
@click.argument("names", nargs=-1)
@click.option(
    "--runs", type=click.IntRange(1, 100_000), default=200, show_default=True, help="In all, not more."
)
@click.option(
    "--log", type=click.Path(path_type=Path), default=LOG, help="Where runs are added to; resumed if there."
)
@click.option(
    "--at-once", type=click.IntRange(1, 16), default=1, show_default=True, help="Suites side by side."
)
def false_alarms(names: Sequence[str], runs: int, log: Path, at_once: int) -> int:
    """Run the whole suite on conforming servers, in turn, while every core is busy: each failure is a false alarm."""
    console = console_for(to_errors=False)
    candidates = [ours(name) for name in names or [implementation.name for implementation in CATALOGUE]]

    def note(run: AlarmRun) -> None:
        said = "; ".join(run.alarms) or "no alarm"
        console.print(
            f"{run.server:20} {run.seconds:5.1f} s  load {run.load:.1f}  {said}",
            markup=False,
            highlight=False,
        )

    done = run_until(runs, candidates, log, at_once, note)
    alarms = sum(bool(run.alarms) for run in done)
    console.print(f"{len(done)} runs, {alarms or 'none'} with a false alarm", highlight=False)
    return FAILED if alarms else 0
