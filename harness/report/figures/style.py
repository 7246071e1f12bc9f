"""What all figures have in common: their style, their ticks, and how they become text."""

import io
import re
import textwrap
from typing import Any, Final

from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "the same results give the same bytes",
    "svg.fonttype": "none",  # text stays text, that can be read aloud, found and copied
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "legend.frameon": False,
}
HASHED: Final = re.compile(r'(?<=[#"])[A-Za-z][0-9a-f]{10}(?=[")])')
"""A name that matplotlib makes from the bits of what it names: the last of them differ from one processor to the next."""
WIDTH_INCHES: Final = 8.6
LETTERS_PER_INCH: Final = 15
GREY: Final = "#bbbbbb"
DOTS: Final = "Pale dot: a launch. Mark and bar: the mean of all launches and its 95 % interval."


def say_what_is_drawn(figure: Figure, text: str) -> None:
    """Put below a figure what its marks are."""
    letters = int(figure.get_figwidth() * LETTERS_PER_INCH)
    figure.supxlabel(textwrap.fill(text, letters), fontsize=7.5, color="#444444")


def tick_plainly(side: XAxis | YAxis, *, sparsely: bool = False) -> None:
    """Put ticks on a logarithmic axis: at powers of ten alone, or so that they are read easily even where it spans less than one."""
    side.set_major_locator(LogLocator(subs=(1,) if sparsely else (1, 2, 5)))
    side.set_major_formatter(plainly)
    side.set_minor_locator(NullLocator())


@FuncFormatter
def plainly(value: float, _: int) -> str:
    """Write a number on an axis with no more digits than it has."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def svg(figure: Figure) -> str:
    """Return a figure as text, the same bytes each time and on each machine."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in numbered(text.getvalue()).splitlines()) + "\n"


def numbered(text: str) -> str:
    """Return the text of a figure with numbers, in the order in which they come, for names made from hashes."""
    known: dict[str, str] = {}
    return HASHED.sub(lambda name: known.setdefault(name[0], f"{name[0][0]}{len(known) + 1}"), text)
