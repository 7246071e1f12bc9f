"""What may be inferred from one value for each launch: ratios, intervals, verdicts, letters. Pure, and knows no server.

The unit of repetition is the launch of a fresh server, not the request (Georges et al. 2007, Kalibera & Jones 2013).
Logarithms are analysed, since effects on a server are factors; a ratio is the exponential of a mean difference.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from statistics import fmean, stdev, variance
from typing import Final

import numpy as np
from scipy import special

CONFIDENCE: Final = 0.95
ALPHA: Final = 0.05
EQUIVALENCE: Final = 1.03
"""Two servers whose ratio certainly (90 % interval) lies within 1/1.03 and 1.03 are called equivalent."""
EQUIVALENCE_CONFIDENCE: Final = 1 - 2 * ALPHA
"""Two one-sided tests at 5 % are a look at the 90 % interval (Schuirmann 1987)."""
BOOTSTRAP_FROM: Final = 8
"""With fewer blocks a bootstrap's interval is too narrow: with 5 it covers the truth 4 times in 5, not 19 in 20."""
RESAMPLES: Final = 4000
BOOTSTRAP_SEED: Final = 1979


class Direction(StrEnum):
    """What the data say of a ratio."""

    EQUIVALENT = "equivalent"
    ABOVE = "above"
    BELOW = "below"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Estimate:
    """A mean over launches, geometric or arithmetic, with its interval; no interval from fewer than two launches."""

    mean: float
    low: float | None
    high: float | None
    launches: int


@dataclass(frozen=True)
class LogRatio:
    """The logarithm of a ratio b/a, as estimated.

    Attributes:
        mean, error: the estimate, and its standard error.
        degrees: of freedom, of Student's t.
        blocks: how many launches of each server it rests on; of two runs, the smaller number.
        differences: of the logarithms, one for each block; empty if there is nothing to pair.
    """

    mean: float
    error: float
    degrees: float
    blocks: int
    differences: tuple[float, ...] = ()

    @cached_property
    def p(self) -> float:
        """Of the two-sided t-test that the ratio is 1."""
        if self.error == 0:
            return 0.0 if self.mean else 1.0
        return 2 * float(special.stdtr(self.degrees, -abs(self.mean) / self.error))

    @property
    def ratio(self) -> float:
        """Return b/a itself."""
        return math.exp(self.mean)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the t-interval of the ratio."""
        half = half_width(self.error, self.degrees, confidence)
        return math.exp(self.mean - half), math.exp(self.mean + half)

    def bootstrap(self, confidence: float) -> tuple[float, float] | None:
        """Return the interval that resampling whole blocks gives (Efron's percentiles), as a check on the t-interval.

        None with fewer than 8 blocks, or nothing paired. The same blocks are drawn each time: it is a function.
        """
        if len(self.differences) < BOOTSTRAP_FROM:
            return None
        blocks = len(self.differences)
        drawn = np.random.default_rng(BOOTSTRAP_SEED).integers(blocks, size=(RESAMPLES, blocks))
        means = np.array(self.differences)[drawn].mean(axis=1)
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
        return math.exp(low), math.exp(high)


@dataclass(frozen=True)
class RatioTest:
    """What is said of one ratio, as one of a family.

    Attributes:
        low, high, confidence: the interval of the very test that gave the verdict, so that the two cannot contradict
            each other: of *equivalent* the 90 % interval, of all else the t-interval with Holm's share of the 5 %.
        p: of the t-test alone.
        adjusted_p: the same after Holm's adjustment.
    """

    ratio: float
    low: float
    high: float
    confidence: float
    p: float
    adjusted_p: float
    direction: Direction


def estimate(values: Sequence[float]) -> Estimate | None:
    """Estimate a metric from one value for each launch: Student's t on the logarithms, 95 %.

    Values of zero have no logarithm: then it is the arithmetic mean, without an interval. None for no values.
    """
    if not values:
        return None
    if min(values) <= 0:
        return Estimate(fmean(values), None, None, len(values))
    logs = [math.log(value) for value in values]
    centre = fmean(logs)
    if len(logs) < 2:
        return Estimate(math.exp(centre), None, None, len(logs))
    half = half_width(stdev(logs) / math.sqrt(len(logs)), len(logs) - 1, CONFIDENCE)
    return Estimate(math.exp(centre), math.exp(centre - half), math.exp(centre + half), len(logs))


def arithmetic_estimate(values: Sequence[float]) -> Estimate | None:
    """Estimate a metric that may be zero or less: Student's t on the values themselves, 95 %. None for no values."""
    if not values:
        return None
    centre = fmean(values)
    if len(values) < 2:
        return Estimate(centre, None, None, len(values))
    half = half_width(stdev(values) / math.sqrt(len(values)), len(values) - 1, CONFIDENCE)
    return Estimate(centre, centre - half, centre + half, len(values))


def paired(a: Sequence[float], b: Sequence[float]) -> LogRatio | None:
    """Estimate the ratio b/a from positive values of the same blocks, in the same order; None from fewer than two."""
    differences = tuple(math.log(y) - math.log(x) for x, y in zip(a, b, strict=True))
    if len(differences) < 2:
        return None
    error = stdev(differences) / math.sqrt(len(differences))
    return LogRatio(fmean(differences), error, len(differences) - 1, len(differences), differences)


def unpaired(a: Sequence[float], b: Sequence[float]) -> LogRatio | None:
    """Estimate the ratio b/a from positive values that have no blocks in common (Welch 1947); None from too few."""
    if min(len(a), len(b)) < 2:
        return None
    logs_a, logs_b = [math.log(x) for x in a], [math.log(y) for y in b]
    parts = [(variance(logs) / len(logs), len(logs) - 1) for logs in (logs_a, logs_b)]
    total = sum(part for part, _ in parts)
    shares = sum(part**2 / degrees for part, degrees in parts)
    degrees = total**2 / shares if shares else len(a) + len(b) - 2
    return LogRatio(fmean(logs_b) - fmean(logs_a), math.sqrt(total), degrees, min(len(a), len(b)))


def decide(family: Sequence[LogRatio]) -> list[RatioTest]:
    """Judge ratios that are tested together.

    The verdict, in this order: equivalent, if the 90 % interval lies within 1/1.03 and 1.03; above or below 1, if the
    t-test says so after Holm's adjustment over the family; else undecided.
    """
    divisors = holm_divisors([one.p for one in family])
    return [_judged(one, divisor) for one, divisor in zip(family, divisors, strict=True)]


def _judged(one: LogRatio, divisor: float) -> RatioTest:
    confidence = EQUIVALENCE_CONFIDENCE
    low, high = one.interval(confidence)
    if low >= 1 / EQUIVALENCE and high <= EQUIVALENCE:
        direction = Direction.EQUIVALENT
    else:
        confidence = 1 - ALPHA / divisor
        low, high = one.interval(confidence)
        # The interval excludes 1 exactly if the adjusted p-value is below 5 %.
        direction = Direction.ABOVE if low > 1 else Direction.BELOW if high < 1 else Direction.UNDECIDED
    return RatioTest(one.ratio, low, high, confidence, one.p, min(1.0, divisor * one.p), direction)


def holm_divisors(p_values: Sequence[float]) -> list[float]:
    """Return by how much each test must be stricter for being one of many (Holm 1979).

    The i-th smallest of m p-values is multiplied by m - i, or by more if a smaller one would otherwise end above it:
    the products never decrease.
    """
    divisors = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        divisors[index] = largest / p_values[index] if p_values[index] else float(len(p_values) - rank)
    return divisors


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being many: ordered as they were, never smaller, at most 1."""
    return [min(1.0, d * p) for d, p in zip(holm_divisors(p_values), p_values, strict=True)]


def letters(names: Sequence[str], apart: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give letters to names: two share one exactly if they are not a pair of `apart`.

    Letters instead of ranks, since "not told apart" is not transitive: compact letter display, by insertion and
    absorption (Piepho 2004). The first name has an "a".
    """
    columns = [set(names)]
    for pair in map(set, apart):
        split = [column - {one} for column in columns if pair <= column for one in sorted(pair)]
        columns = [column for column in columns if not pair <= column]
        for column in split:
            if not any(column <= other for other in columns):
                columns = [other for other in columns if not other <= column] + [column]
    columns.sort(key=lambda column: [names.index(name) for name in names if name in column])
    found = dict.fromkeys(names, "")
    for letter, column in zip("abcdefghijklmnopqrstuvwxyz", columns, strict=False):
        for name in column:
            found[name] += letter
    return found


def half_width(error: float, degrees: float, confidence: float) -> float:
    """Return half of a t-interval's width, of an estimate with this standard error."""
    return float(special.stdtrit(degrees, (1 + confidence) / 2)) * error


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact interval of a probability of which so many trials were hits (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return low, high
