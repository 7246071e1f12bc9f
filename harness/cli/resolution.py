"""`harness resolution`: how often equal servers are told apart, and unequal ones are not, by many runs."""

from pathlib import Path

import click

from harness.cli.exit_codes import FAILED
from harness.cli.terminal import console_for
from harness.experiments.selftest.check import CheckOutcome
from harness.experiments.selftest.trials import ENOUGH_RUNS, LOG, run_until, verdict_on
from harness.record import ResolutionRun, Told, held_log


@click.command()
@click.option(
    "--runs", type=click.IntRange(1, 10_000), default=ENOUGH_RUNS, show_default=True, help="In all, not more."
)
@click.option(
    "--log", type=click.Path(path_type=Path), default=LOG, help="Where runs are added to; resumed if there."
)
def resolution(runs: int, log: Path) -> int:
    """Measure a server against itself, four times, and against one that does 10 % more, many times (two minutes a run)."""
    console = console_for(to_errors=False)
    click.get_current_context().with_resource(held_log(log))

    def note(run: ResolutionRun) -> None:
        equals = "; ".join(f"1 in truth {_in_words(told)}" for told in run.crowd)
        parts = ", ".join(f"{part} {value:.1%}" for part, value in run.scatter.items())
        line = f"{equals}; {run.truth:.3f} in truth {_in_words(run.more)}; scatter: {parts}"
        console.print(line, highlight=False, soft_wrap=True)

    result = verdict_on(run_until(runs, console, log, note))
    console.print(result.line, highlight=False, soft_wrap=True)
    return FAILED if result.outcome is CheckOutcome.FAILED else 0


def _in_words(told: Told) -> str:
    return f"{told.ratio:.3f} ({told.low:.3f} to {told.high:.3f}) {told.verdict}"
