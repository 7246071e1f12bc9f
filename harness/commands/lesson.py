"""`harness lesson`: the lessons that lead up to the servers."""

import os
import sys
from collections.abc import Sequence

import click
from rich import box
from rich.table import Table

from harness.candidates import UsageError
from harness.conformance.matrix import console_for
from implementations.lessons import LESSONS


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("number", required=False, type=int)
@click.argument("options", nargs=-1, metavar="[ITS OPTIONS]", type=click.UNPROCESSED)
def lesson(number: int | None, options: Sequence[str]) -> None:
    """Run lesson NUMBER, with its own options after it; list the lessons if there is no NUMBER."""
    if number is None:
        _print_list()
        return
    if not 1 <= number <= len(LESSONS):
        raise UsageError(f"there is no lesson {number}; there are 1 to {len(LESSONS)}")
    module = f"implementations.lessons.{LESSONS[number - 1].name}"
    os.execv(sys.executable, [sys.executable, "-m", module, *options])  # noqa: S606 - our own lesson


def _print_list() -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("lesson", "title", "file"):
        table.add_column(column)
    for number, each in enumerate(LESSONS, start=1):
        table.add_row(str(number), each.title, each.file)
    console_for(to_errors=False).print(table)
