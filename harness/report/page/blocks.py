"""The report's blocks as HTML. Links to its other pages are left out, since the page stands for itself; what they say is not."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from harness.report.blocks import MARKUP, Block, Command, Folded, Grid, Heading, Note, Picture, Points, Text
from harness.report.page.markup import Markup, behind, code, joined, scrolled, tag

ONLY_A_LINK: Final = re.compile(r" \[[^\]]+\]\((?!https:)[^)]+\)\.| \(\[[^\]]+\]\((?!https:)[^)]+\)\)")
"""A sentence, or a remark in brackets, that says nothing but where another page is."""


def as_html(blocks: Iterable[Block]) -> Markup:
    """Return blocks; pictures are left out: the page has its own."""
    return joined(_written(blocks))


def _written(blocks: Iterable[Block]) -> Iterator[Markup]:
    for block in blocks:
        match block:
            case Heading(text, level):
                yield tag(f"h{level}", inline(text))
            case Text(text) | Note(text):
                yield tag("p", inline(text))
            case Points(items, numbered):
                yield tag("ol" if numbered else "ul", *(tag("li", inline(item)) for item in items))
            case Command(text):
                yield tag("pre", text, tabindex="0")
            case Grid():
                yield _table(block)
            case Folded(title, inner):
                yield behind(title, as_html(inner))
            case Picture():
                pass


def _table(grid: Grid) -> Markup:
    kinds = ["n" if column.of_numbers else None for column in grid.columns]
    head = [
        tag("th", inline(column.title), scope="col", class_=kind)
        for column, kind in zip(grid.columns, kinds, strict=True)
    ]
    rows = [
        tag("tr", *(tag("td", inline(cell), class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in grid.rows
    ]
    name = ", ".join(column.title for column in grid.columns)
    return scrolled(tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows)), name)


def inline(text: str) -> Markup:
    """Return text with its little markup: code, bold, and links to addresses."""
    return joined(_parts(ONLY_A_LINK.sub("", text)))


def _parts(text: str) -> Iterator[str]:
    end = 0
    for found in MARKUP.finditer(text):
        yield text[end : found.start()]
        end = found.end()
        if found["plain"]:
            yield found["plain"]
        elif found["code"]:
            yield code(found["code"])
        elif found["bold"]:
            yield tag("strong", inline(found["bold"]))
        elif found["target"].startswith("https://"):
            yield tag("a", inline(found["words"]), href=found["target"])
        else:
            yield inline(found["words"])
    yield text[end:]
