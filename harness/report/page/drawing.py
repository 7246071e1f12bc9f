"""Our own SVG: axes, lines, bands and marks, with text as text. Colours are classes, so that they suit a light page and a dark one."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.report.page.markup import Markup, tag

Dot = tuple[float, float]

CORNERS: Final = {
    "s": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
    "d": ((0, -1.3), (0.8, 0), (0, 1.3), (-0.8, 0)),
    "D": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "^": ((0, -1.3), (1.2, 1), (-1.2, 1)),
    "v": ((0, 1.3), (1.2, -1), (-1.2, -1)),
    "<": ((-1.3, 0), (1, -1.2), (1, 1.2)),
    ">": ((1.3, 0), (-1, -1.2), (-1, 1.2)),
}
"""The marks of `figures.look` that have corners; all others are drawn as a circle."""
MARK_SIZE: Final = 3.5


@dataclass(frozen=True)
class Scale:
    """From a figure to its place, linear or logarithmic.

    Attributes:
        low, high: the figures at its ends.
        start, end: their places.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = True

    def at(self, value: float) -> float:
        """Return the place of a figure."""
        low, high, value = (
            (map(math.log, (self.low, self.high, value)))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return self.start + (self.end - self.start) * (value - low) / ((high - low) or 1)

    def ticks(self) -> list[float]:
        """Return round figures within it: 1, 2 and 5 of each decade, or the decades alone if these are many."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        steps = (1, 2, 5) if len(decades) < 4 else (1,)
        return [
            step * 10.0**decade
            for decade in decades
            for step in steps
            if self.low <= step * 10.0**decade <= self.high
        ]


def reaching(values: Sequence[float], start: float, end: float) -> Scale:
    """Return a logarithmic scale on which all figures have their place, with a little room."""
    return Scale(min(values) / 1.15, max(values) * 1.15, start, end)


def line(dots: Iterable[Dot], class_: str) -> Markup:
    """Return a line through dots."""
    return tag("polyline", points=_written(dots), class_=class_)


def band(upper: Sequence[Dot], lower: Sequence[Dot], class_: str) -> Markup:
    """Return the area between two lines."""
    return tag("polygon", points=_written([*upper, *reversed(lower)]), class_=class_)


def mark(dot: Dot, kind: str, class_: str, title: str = "") -> Markup:
    """Return a mark; its title is shown to who points at it."""
    name = [tag("title", title)] if title else []
    x, y = dot
    if kind in CORNERS:
        corners = [(x + MARK_SIZE * across, y + MARK_SIZE * down) for across, down in CORNERS[kind]]
        return tag("polygon", *name, points=_written(corners), class_=class_)
    return tag("circle", *name, cx=x, cy=y, r=MARK_SIZE, class_=class_)


def label(text: str, x: float, y: float, anchor: str = "middle", class_: str | None = None) -> Markup:
    """Return text at a place."""
    return tag("text", text, x=x, y=y, text_anchor=anchor, class_=class_)


def axes(across: Scale, up: Scale) -> list[Markup]:
    """Return the lines and figures of a panel's two axes."""
    drawn = []
    for value in across.ticks():
        x = across.at(value)
        drawn += [
            tag("line", x1=x, x2=x, y1=up.start, y2=up.end, class_="grid"),
            label(short(value), x, up.start + 14),
        ]
    for value in up.ticks():
        y = up.at(value)
        drawn += [
            tag("line", x1=across.start, x2=across.end, y1=y, y2=y, class_="grid"),
            label(short(value), across.start - 4, y + 4, "end"),
        ]
    return drawn


def figure(
    drawn: Iterable[Markup], width: float, height: float, title: str, class_: str | None = None
) -> Markup:
    """Return a drawing; its title is what those are told who cannot see it."""
    return tag(
        "svg",
        *drawn,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_label=title,
        class_=class_,
    )


def short(value: float) -> str:
    """Write a round figure on an axis."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1000 else f"{value:g}"


def _written(dots: Iterable[Dot]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
