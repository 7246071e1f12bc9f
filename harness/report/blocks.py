"""What a report is made of: blocks, in pages. Renderers turn them into Markdown or HTML, and add nothing.

Texts, and the cells of tables, have a little markup, a part of Markdown: `code`, **bold**, [words](target), and a backslash
that takes the next sign as it is. A target is an address (`https://...`), or a page of the report with an anchor, as
`workloads.md#64-clients`, wherever that page comes to lie.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MARKUP: Final = re.compile(
    r"\\(?P<plain>.)|`(?P<code>[^`]+)`|\*\*(?P<bold>.+?)\*\*|\[(?P<words>[^\]]+)\]\((?P<target>[^)]+)\)"
)
"""What has markup in a text."""


def plain(text: str) -> str:
    """Return a text without its markup, as it is read on a terminal."""
    return MARKUP.sub(
        lambda found: found["plain"] or found["code"] or plain(found["bold"] or found["words"]), text
    )


@dataclass(frozen=True)
class Heading:
    """A heading; that of level 1 is the page's own."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list, numbered or not."""

    items: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True)
class Note:
    """What has to be known of the whole, before all else."""

    text: str


@dataclass(frozen=True)
class Command:
    """What is typed, or printed, line by line."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Attributes:
        name: of its file, in the folder of figures.
        title: what it shows, also for those who cannot see it.
    """

    name: str
    title: str


@dataclass(frozen=True)
class Column:
    """A column of a grid: numbers stand at its right side."""

    title: str
    of_numbers: bool = False


@dataclass(frozen=True)
class Grid:
    """A table; all rows have a cell for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when somebody asks for them."""

    title: str
    blocks: tuple["Block", ...]


Block = Heading | Text | Points | Note | Command | Picture | Grid | Folded
Blocks = list[Block]


@dataclass(frozen=True)
class Page:
    """A page: the report itself, or one beside it.

    Attributes:
        name: of its file.
        blocks: the first is its heading.
    """

    name: str
    blocks: tuple[Block, ...]

    @property
    def title(self) -> str:
        """Return its heading."""
        return next(block.text for block in self.blocks if isinstance(block, Heading))


def words(*titles: str) -> tuple[Column, ...]:
    """Return columns of words."""
    return tuple(Column(title) for title in titles)


def numbers(*titles: str) -> tuple[Column, ...]:
    """Return columns of numbers."""
    return tuple(Column(title, of_numbers=True) for title in titles)


def grid(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> Grid:
    """Return a table."""
    return Grid(tuple(columns), tuple(map(tuple, rows)))


def points(items: Iterable[str]) -> Blocks:
    """Return a list; nothing if it is empty."""
    listed = tuple(items)
    return [Points(listed)] if listed else []
