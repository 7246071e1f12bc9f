"""What may be inferred from one value for each launch: ratios, intervals, verdicts, letters. Pure, and knows no server.

The unit of repetition is the launch of a fresh server, not the request (Georges et al. 2007, Kalibera & Jones 2013).
Logarithms are analysed, since effects on a server are factors; a ratio is the exponential of a mean difference.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev, variance
from string import ascii_letters
from typing import Final

from scipy import special

from harness.analyse.statistics.studentised_range import quantile

CONFIDENCE: Final = 0.95
ALPHA: Final = 0.05
EQUIVALENCE: Final = 1.05
"""Two servers of which the ratio's whole interval lies within 1/1.05 and 1.05 are called equivalent."""


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
        degrees: of freedom, of the error.
        blocks: in which both were measured; of two runs, the smaller number of launches.
        servers: of which all pairs are looked at with this very error; 2 if it is that of this pair alone.
    """

    mean: float
    error: float
    degrees: float
    blocks: int
    servers: int = 2

    @property
    def p(self) -> float:
        """Of the two-sided t-test that the ratio is 1, as if it were the only one."""
        if self.error == 0:
            return 0.0 if self.mean else 1.0
        return 2 * float(special.stdtr(self.degrees, -abs(self.mean) / self.error))

    @property
    def ratio(self) -> float:
        """Return b/a itself."""
        return math.exp(self.mean)

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Return half of the logarithm's interval: with this confidence, the intervals of all pairs hold at once."""
        return half_width(self.error, self.degrees, confidence, self.servers)

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the interval of the ratio."""
        half = self.half_width(confidence)
        return math.exp(self.mean - half), math.exp(self.mean + half)


@dataclass(frozen=True)
class RatioTest:
    """What is said of one ratio, as one of a family.

    Attributes:
        low, high: the interval from which the verdict follows, so that the two cannot contradict each other.
    """

    ratio: float
    low: float
    high: float
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


def paired(differences: Sequence[float]) -> LogRatio | None:
    """Estimate a ratio b/a from the differences of logarithms within blocks, by Student's t; None from fewer than two."""
    if len(differences) < 2:
        return None
    error = stdev(differences) / math.sqrt(len(differences))
    return LogRatio(fmean(differences), error, len(differences) - 1, len(differences))


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
    """Judge the ratios of all pairs of servers that have one error: by Tukey's intervals, which hold all at once.

    The verdict, in this order: equivalent, if the interval lies within 1/1.05 and 1.05; above or below 1, if it excludes
    1; else undecided. Of two servers alone, it is the interval of Student's t.
    """
    return [judged(one, CONFIDENCE) for one in family]


def decide_each(family: Sequence[LogRatio]) -> list[RatioTest]:
    """Judge ratios that have an error of their own each, likewise: by t-intervals with Holm's share of the 5 %.

    Tukey's range does not serve here: it is that of means with one error, which is too small for all pairs at once or for
    none. Of errors with a few degrees of freedom each, some are too small nearly always: one of the equal pairs among eight
    servers would be called different in 8 to 15 runs of 100.
    """
    divisors = holm_divisors([one.p for one in family])
    return [judged(one, 1 - ALPHA / divisor) for one, divisor in zip(family, divisors, strict=True)]


def judged(one: LogRatio, confidence: float) -> RatioTest:
    """Judge a ratio by its interval."""
    low, high = one.interval(confidence)
    if low >= 1 / EQUIVALENCE and high <= EQUIVALENCE:
        direction = Direction.EQUIVALENT
    else:
        direction = Direction.ABOVE if low > 1 else Direction.BELOW if high < 1 else Direction.UNDECIDED
    return RatioTest(one.ratio, low, high, direction)


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
    absorption (Piepho 2004). The first name has an "a"; after "z" comes "A".
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
    for letter, column in zip(ascii_letters, columns, strict=False):
        for name in column:
            found[name] += letter
    return found


def half_width(error: float, degrees: float, confidence: float, servers: int = 2) -> float:
    """Return half of an interval's width, of an estimate with this standard error; of several servers, for all pairs at once.

    Of two, Tukey's studentised range over the square root of 2 is Student's t.
    """
    if servers == 2:
        return float(special.stdtrit(degrees, (1 + confidence) / 2)) * error
    return quantile(confidence, servers, degrees) / math.sqrt(2) * error


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the exact interval of a probability of which so many trials were hits (Clopper & Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = float(special.betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return low, high
