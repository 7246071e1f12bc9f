"""How commands print: a console as wide as the terminal, and tables that lose no figure where it is narrow."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console, ConsoleRenderable, Group, RenderHook
from rich.measure import Measurement
from rich.table import Table

WIDTH: Final = 100
WIDEST: Final = 10_000


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of objects as a table."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in rows[0]:
        table.add_column(column, no_wrap=column in {"name", "file", "pipeline"})
    for row in rows:
        table.add_row(*(", ".join(cell) if isinstance(cell, list) else str(cell) for cell in row.values()))
    console_for(to_errors=False).print(table)


def console_for(*, to_errors: bool) -> Console:
    """Return a console as wide as the terminal, or as the matrix where there is none."""
    console = Console(stderr=to_errors)
    if not console.is_terminal:
        console = Console(stderr=to_errors, width=WIDTH)
    console.push_render_hook(Fitting(console))
    return console


class Fitting(RenderHook):
    """Turns tables that are too wide for a console into lists of their rows, as psql does: a line for each cell."""

    def __init__(self, console: Console) -> None:
        """Take the console that they are printed on."""
        self._console = console

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Leave alone what is no table, or fits."""
        return [
            in_lines(each)
            if isinstance(each, Table) and needed_width(each, self._console) > self._console.width
            else each
            for each in renderables
        ]


def needed_width(table: Table, console: Console) -> int:
    """Return how wide a table must be for no word of it to be cut, nor what is not to be wrapped."""
    options = console.options.update(width=WIDEST)
    for column in table.columns:
        if column.no_wrap and column.ratio is None:
            cells = (column.header, *column.cells)
            column.min_width = max(Measurement.get(console, options, cell).maximum for cell in cells)
    return Measurement.get(console, options, table).minimum


def in_lines(table: Table) -> Group:
    """Return what a table says, row by row, each cell below the other with its column's name."""
    found: list[ConsoleRenderable | str] = [table.title] if table.title else []
    for row in zip(*(column.cells for column in table.columns), strict=True):
        lines = Table.grid(padding=(0, 2, 0, 0))
        lines.add_column(no_wrap=True)
        lines.add_column(overflow="fold")
        for column, cell in zip(table.columns, row, strict=True):
            if cell:
                lines.add_row(column.header, cell)
        found += [lines, ""]
    return Group(*found)
