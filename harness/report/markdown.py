"""Blocks as Markdown."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from harness.report.blocks import Block, Command, Folded, Grid, Heading, Note, Page, Picture, Points, Text

LINK: Final = re.compile(r"(?<!!)(\[[^\]\n]*\]\()(?!https?:|#)")
"""The beginning of a link to another page, up to its target; that of an image is none."""


def markdown(page: Page, beside: str, figures_at: str) -> str:
    """Return a page as Markdown.

    Args:
        page: its blocks.
        beside: what leads from there to the other pages, "" or a path that ends in a slash.
        figures_at: what leads to the folder of figures.
    """
    text = "\n".join(_lines(page.blocks, figures_at))
    return LINK.sub(rf"\1{beside}", text).rstrip() + "\n"


def _lines(blocks: Iterable[Block], figures_at: str) -> Iterator[str]:
    """Yield the lines of blocks, each with an empty line behind it."""
    for block in blocks:
        match block:
            case Heading(text, level):
                yield f"{'#' * level} {text}"
            case Text(text):
                yield text
            case Points(items, numbered):
                yield from (
                    f"{f'{place}.' if numbered else '-'} {item}" for place, item in enumerate(items, start=1)
                )
            case Note(text):
                yield f"> {text}"
            case Command(text):
                yield from (f"    {line}" for line in text.splitlines())
            case Picture(name, title):
                yield f"![{title}]({figures_at}/{name})"
            case Grid():
                yield from _table(block)
            case Folded(title, inner):
                yield f"<details><summary>{title}</summary>"
                yield ""
                yield from _lines(inner, figures_at)
                yield "</details>"
        yield ""


def _table(grid: Grid) -> Iterator[str]:
    yield _row(column.title for column in grid.columns)
    yield "|" + "".join("---:|" if column.of_numbers else "---|" for column in grid.columns)
    yield from map(_row, grid.rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"
