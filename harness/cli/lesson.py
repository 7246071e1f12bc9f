"""`harness lesson`: the lessons that lead up to the servers."""

import sys
from collections.abc import Sequence
from runpy import run_module

import click

from harness.cli.terminal import print_rows
from harness.errors import UsageError
from harness.machine.guard import be_guarded
from implementations.lessons import LESSONS


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("number", required=False, type=int)
@click.argument("options", nargs=-1, metavar="[ITS OPTIONS]", type=click.UNPROCESSED)
def lesson(number: int | None, options: Sequence[str]) -> None:
    """Run lesson NUMBER, with its own options after it; list the lessons if there is no NUMBER."""
    if number is None:
        print_rows(
            [{"lesson": n, "title": each.title, "file": each.file} for n, each in enumerate(LESSONS, 1)]
        )
        return
    if not 1 <= number <= len(LESSONS):
        raise UsageError(f"there is no lesson {number}; there are 1 to {len(LESSONS)}")
    chosen = LESSONS[number - 1]
    if options and not chosen.has_options:
        raise UsageError(f"lesson {number} takes no options: {' '.join(options)}")
    be_guarded()
    sys.argv[1:] = options
    run_module(f"implementations.lessons.{chosen.name}", run_name="__main__", alter_sys=True)
