"""One colour for each server, on a light page and on a dark one, as style for the page and its figures."""

from collections.abc import Sequence
from typing import Final

from harness.report.figures.look import look

TOWARDS_WHITE: Final = 0.45
"""On a dark page a dark colour comes so much nearer to white; the hue stays."""
DARK: Final = 0.30
"""Up to this luminance a colour is dark."""


def classes(servers: Sequence[str]) -> dict[str, str]:
    """Return the class of each server, by which everything that is drawn of it has its colour."""
    return {server: f"s{place}" for place, server in enumerate(servers)}


def style(servers: Sequence[str]) -> str:
    """Return the rules that give each server's class its colour."""
    tints = {name: look(server, servers).tint for server, name in classes(servers).items()}
    light = "".join(f".{name}{{--c:{tint}}}" for name, tint in tints.items())
    dark = "".join(f".{name}{{--c:{on_dark(tint)}}}" for name, tint in tints.items())
    return f"{light}@media (prefers-color-scheme:dark){{@media screen{{{dark}}}}}"


def on_dark(tint: str) -> str:
    """Return a colour that can be told from a dark page."""
    parts = [int(tint[at : at + 2], 16) for at in (1, 3, 5)]
    if luminance(parts) > DARK:
        return tint
    return "#" + "".join(f"{round(part + (255 - part) * TOWARDS_WHITE):02x}" for part in parts)


def luminance(parts: Sequence[int]) -> float:
    """Return how bright a colour is, from 0 to 1 (WCAG 2)."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (part / 255 for part in parts)
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


DASHES: Final[Sequence[list[int]]] = (
    [],
    [6, 4],
    [2, 3],
    [8, 3, 2, 3],
    [14, 4],
    [8, 3, 2, 3, 2, 3],
    [4, 2],
    [14, 3, 5, 3],
    [2, 7],
    [14, 3, 2, 3, 2, 3, 2, 3],
    [6, 2, 2, 2],
    [20, 6, 2, 6],
)
"""Strokes and gaps, as many kinds as a model has ways to be measured."""


def dash(server: str, servers: Sequence[str]) -> list[int]:
    """Return of which strokes a server's line is: of those that have its colour each has others, its model none."""
    tint = look(server, servers).tint
    alike = [each for each in servers if look(each, servers).tint == tint]
    return DASHES[alike.index(server) % len(DASHES)]
