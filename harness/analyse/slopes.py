"""The slope of a line: of memory over time, and of what a server holds over its connections. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.record import ConnectionScaling

LEAST_CONNECTIONS: Final = 50
"""Memory comes in pages, and more from allocators: a few connections say nothing about one."""


@dataclass(frozen=True)
class Slope:
    """So much more for each step; the standard error is not known of fewer than three values."""

    value: float
    standard_error: float | None


def slope(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Fit a line by least squares.

    The slope is Sxy / Sxx; its standard error sqrt(RSS / (n - 2) / Sxx), as in any textbook on simple regression. Sizes
    of one launch are no independent observations, so that the error says how straight the line is, and no more.
    """
    at, of = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
    spread = at - at.mean()
    value = float((spread * of).sum() / (spread**2).sum())
    if len(x) < 3:
        return Slope(value, None)
    residuals = of - of.mean() - value * spread
    return Slope(value, float(np.sqrt((residuals**2).sum() / (len(x) - 2) / (spread**2).sum())))


def per_connection(crowd: ConnectionScaling, name: str) -> Slope | None:
    """Return what each connection adds to a field of `Holding`; None if there were too few to tell."""
    if not crowd.holdings or crowd.holdings[-1].connections < LEAST_CONNECTIONS:
        return None
    sizes = [float(each.connections) for each in crowd.holdings]
    return slope(sizes, [float(getattr(each, name)) for each in crowd.holdings])
