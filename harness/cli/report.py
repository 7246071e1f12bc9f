"""`harness report`: a run's report, made again or checked."""

import sys
from pathlib import Path

import click

from harness.cli.exit_codes import FAILED
from harness.cli.freshness import tell_what_is_stale
from harness.launch.facts import changed_since
from harness.record import REFERENCE, read_results, shown
from harness.report.files import stale_files, write_report


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if the report is not what the results give.")
def report(folder: Path | None, *, check: bool) -> int:
    """Make report.md and its figures from a run's results; without DIR, from the reference run."""
    folder = folder or REFERENCE
    results = read_results(folder)
    for label in changed_since(results):
        print(f"note: {label} has changed since these results were measured", file=sys.stderr)
    tell_what_is_stale(results)
    if not check:
        print(shown(write_report(folder).report))
        return 0
    stale = stale_files(folder)
    for path in stale:
        print(
            f"harness: {shown(path)} is not what {shown(folder)} gives: run `harness report`",
            file=sys.stderr,
        )
    return FAILED if stale else 0
