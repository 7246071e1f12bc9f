"""Whether a launch has reached a steady state, from its throughput over time. Pure.

The method is that of Barrett et al., "Virtual Machine Warmup Blows Hot and Cold" (OOPSLA 2017): change points divide the
series into segments of equal mean, and where the fastest and the last segments lie says what the launch is. They find
change points by PELT (Killick, Fearnhead and Eckley 2012), which is a pruned search for the optimal partition (Jackson
et al. 2005); with twenty values there is nothing to prune.
"""

import math
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from statistics import fmean, median
from typing import Final

PENALTY: Final = 4
SHORTEST: Final = 2
"""A single value is no segment, but an outlier."""
FEWEST: Final = 8
"""A shorter series says nothing."""
SAME: Final = 0.05
"""Segments whose means differ by less are called equal: a change that does not matter is none."""
SETTLED_BY: Final = 0.75
"""A launch that still changes after this share of its time is in no steady state (as with Barrett et al.)."""
CONSISTENCY: Final = 1.4826
"""The median absolute deviation of normal values, times this, is their standard deviation."""


class Steadiness(Enum):
    """What a launch's throughput did in its measuring window."""

    FLAT = "flat"
    WARMING_UP = "warming-up"
    SLOWING = "slowing"
    UNSTEADY = "unsteady"
    UNKNOWN = "unknown"

    @property
    def meaning(self) -> str:
        """Say it in words."""
        return MEANINGS[self]


MEANINGS: Final = {
    Steadiness.FLAT: "the throughput did not change in the measuring window",
    Steadiness.WARMING_UP: "the throughput rose and then stayed: the warm-up was too short",
    Steadiness.SLOWING: "the throughput fell and then stayed lower",
    Steadiness.UNSTEADY: "the throughput still changed at the end: no steady state was seen",
    Steadiness.UNKNOWN: "too little was recorded to tell",
}


def steadiness(series: Sequence[float]) -> Steadiness:
    """Label a launch by its throughput in equal steps of its measuring window."""
    if len(series) < FEWEST or not any(series):
        return Steadiness.UNKNOWN
    changes = change_points(series)
    edges = [0, *changes, len(series)]
    means = [fmean(series[start:end]) for start, end in pairwise(edges)]
    last, highest = means[-1], max(means)
    differing = [place for place, mean in enumerate(means) if abs(mean - last) > SAME * highest]
    if not differing:
        return Steadiness.FLAT
    if edges[differing[-1] + 1] > SETTLED_BY * len(series):
        return Steadiness.UNSTEADY
    return Steadiness.SLOWING if last < (1 - SAME) * highest else Steadiness.WARMING_UP


def change_points(series: Sequence[float]) -> list[int]:
    """Return where the mean changes: the places of the first values after each change.

    The optimal partition (Jackson et al. 2005) by squared error, into segments of at least two values, with a penalty of
    4 ln n variances for each change: it finds one in about 4 % of noisy series that have none. The noise is estimated from the differences of neighbours, robustly, so that the changes themselves do not count as noise;
    it is taken to be at least that of a Poisson count.
    """
    count = len(series)
    if count < 2 * SHORTEST:
        return []
    penalty = PENALTY * math.log(count) * _noise_variance(series)
    sums, squares = [0.0], [0.0]
    for value in series:
        sums.append(sums[-1] + value)
        squares.append(squares[-1] + value * value)

    def cost(start: int, end: int) -> float:
        return squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)

    best, previous = [-penalty] + [math.inf] * count, [0] * (count + 1)
    for end in range(SHORTEST, count + 1):
        best[end], previous[end] = min(
            (best[start] + cost(start, end) + penalty, start) for start in range(end - SHORTEST + 1)
        )
    changes, place = [], count
    while previous[place]:
        place = previous[place]
        changes.append(place)
    return changes[::-1]


def _noise_variance(series: Sequence[float]) -> float:
    differences = [abs(after - before) for before, after in pairwise(series)]
    return max((CONSISTENCY * median(differences)) ** 2 / 2, fmean(series), 1e-9)
