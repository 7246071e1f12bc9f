"""What a number of blocks can tell apart: false verdicts, coverage and power, by simulation. Pure; seeds are given.

The very procedure that judges servers is run over made-up comparisons of which the truth is known: launches of one
server that pretend to be two, or values with lognormal noise and a known effect (Georges et al. 2007, section 3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from harness.analyse.statistics.inference import (
    ALPHA,
    CONFIDENCE,
    EQUIVALENCE,
    Direction,
    LogRatio,
    clopper_pearson,
    decide,
    half_width,
    paired,
)

POWER: Final = 0.8
"""An effect counts as resolved if this share of runs would call it different."""
LARGEST_EFFECT: Final = 10.0
TOLD_APART: Final = frozenset({Direction.ABOVE, Direction.BELOW})


@dataclass(frozen=True)
class Rate:
    """How often something happened in so many trials, with its exact (Clopper-Pearson) 95 % interval."""

    hits: int
    trials: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Return hits over trials."""
        return self.hits / self.trials


def rate(hits: int, trials: int) -> Rate:
    """Return a rate with its interval."""
    return Rate(hits, trials, *clopper_pearson(hits, trials))


def false_verdicts(archive: Sequence[Sequence[float]], blocks: int, comparisons: int, seed: int) -> Rate:
    """Say how often a server would be called better or worse than itself.

    Each comparison takes one server's launches; in each block two different ones of them are drawn, one for either
    name. So both names have the same distribution, that of real launches with their outliers, and any verdict is false.

    Args:
        archive: for each server under each workload, a metric's value of each launch; at least two, all positive.
        blocks: of a comparison.
        comparisons: how many are made; at least 400 say something about 5 %.
        seed: of the drawing.
    """
    rng = np.random.default_rng(seed)
    wrong = 0
    for _ in range(comparisons):
        launches = archive[int(rng.integers(len(archive)))]
        drawn = [rng.choice(len(launches), size=2, replace=False) for _ in range(blocks)]
        pairs = [(launches[one], launches[other]) for one, other in drawn]
        wrong += _direction(*map(list, zip(*pairs, strict=True))) in TOLD_APART
    return rate(wrong, comparisons)


def coverage(effect: float, noise: float, blocks: int, trials: int, seed: int) -> Rate:
    """Say how often the 95 % t-interval of a ratio contains the truth.

    Args:
        effect: the true ratio.
        noise: standard deviation of the logarithm of each launch.
        blocks: of a comparison.
        trials: comparisons made.
        seed: of the noise.
    """
    covered = 0
    for a, b in _made_up(effect, noise, blocks, trials, seed):
        low, high = _ratio(a, b).interval(CONFIDENCE)
        covered += low <= effect <= high
    return rate(covered, trials)


def power(effect: float, noise: float, blocks: int, trials: int, seed: int) -> Rate:
    """Say how often an effect is found, and in its direction; the arguments are those of `coverage`."""
    wanted = Direction.ABOVE if effect > 1 else Direction.BELOW
    found = sum(_direction(a, b) is wanted for a, b in _made_up(effect, noise, blocks, trials, seed))
    return rate(found, trials)


def resolvable(spread: float, blocks: int) -> float:
    """Return the smallest effect, as a share, that 80 % of runs would tell from none (noncentral t), and at least 3 %.

    Less than 3 % is not looked for: it is called equivalent.

    Args:
        spread: standard deviation of the paired differences of logarithms.
        blocks: of a run.
    """
    error = spread / math.sqrt(blocks)
    critical = half_width(1.0, blocks - 1, 1 - ALPHA)

    def found(effect: float) -> bool:
        shift = math.log1p(effect) / error if error else math.inf
        return math.isinf(shift) or 1 - float(special.nctdtr(blocks - 1, shift, critical)) >= POWER

    low, high = 0.0, LARGEST_EFFECT
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return max(high, EQUIVALENCE - 1)


def _made_up(
    effect: float, noise: float, blocks: int, trials: int, seed: int
) -> list[tuple[list[float], list[float]]]:
    values = np.exp(np.random.default_rng(seed).normal(0, noise, size=(trials, 2, blocks)))
    return [(list(a), list(effect * b)) for a, b in values]


def _ratio(a: Sequence[float], b: Sequence[float]) -> LogRatio:
    found = paired(a, b)
    if found is None:
        raise ValueError("a comparison takes two blocks at least")
    return found


def _direction(a: Sequence[float], b: Sequence[float]) -> Direction:
    (finding,) = decide([_ratio(a, b)])
    return finding.direction
