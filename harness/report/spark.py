"""Small plots of one line of text. Pure."""

import math
from collections.abc import Sequence
from typing import Final

EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
HEIGHTS: Final = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """Return a bar that fills so much of a width, to an eighth of a letter."""
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def spark(values: Sequence[float | None], low: float, high: float) -> str:
    """Return a letter for each value, as high as its logarithm between two ends; a blank for one that is not known."""
    return "".join(" " if value is None else HEIGHTS[_height(value, low, high)] for value in values)


def _height(value: float, low: float, high: float) -> int:
    share = math.log(value / low) / math.log(high / low) if high > low else 0.0
    return min(len(HEIGHTS) - 1, max(0, math.floor(share * len(HEIGHTS))))
