"""How commands print: a console as wide as the terminal, and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH: Final = 100


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
    return console if console.is_terminal else Console(stderr=to_errors, width=WIDTH)
