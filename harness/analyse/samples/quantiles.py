"""Quantiles of histograms, what stands behind them, and how far they may be off. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from scipy import special

from harness.record import Histogram, Sample, add_histograms, bucket_bounds

ENOUGH_EVENTS: Final = 100
"""Behind a quantile that is ranked, or that decides on anything else; one with fewer is shown, and marked."""
CONFIDENCE: Final = 0.95

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True)
class Quantile:
    """A quantile that was observed, or is known to be above something, or is not known at all.

    Attributes:
        ns: its value; None if it is not known.
        above_ns: what it is known to exceed, if requests that were never answered reach down to it; else None.
        beyond: how many observations lie beyond it.
        events: how many of them say something of their own: all who waited through the same stall are one.
    """

    ns: float | None = None
    above_ns: float | None = None
    beyond: int = 0
    events: int = 0

    @property
    def known(self) -> bool:
        """Tell whether there is anything to be shown."""
        return self.ns is not None or self.censored

    @property
    def censored(self) -> bool:
        """Tell whether only a lower bound is known."""
        return self.above_ns is not None

    @property
    def enough(self) -> bool:
        """Tell whether so much stands behind it that it may decide on something: fewer events are a matter of luck."""
        return self.events >= ENOUGH_EVENTS

    def exceeds(self, limit_ns: float) -> bool | None:
        """Tell whether it is above a limit; None if that is not known."""
        if self.ns is not None:
            return self.ns > limit_ns
        return True if self.above_ns is not None and self.above_ns >= limit_ns else None


UNKNOWN: Final = Quantile()


@dataclass(frozen=True)
class Observed:
    """Times that were observed, and what is known of those that were not.

    Attributes:
        values: the histogram.
        censored: how many more there are that were never observed. They are right-censored: they rank above all that
            were, and count as beyond any quantile below them.
        waited_ns: for how long these were waited for at least.
        repeats: those of the values that say nothing new, since they waited through the same stall as a longer one:
            they have their rank like all others, and are no events of their own.
    """

    values: Histogram
    censored: int = 0
    waited_ns: float = 0.0
    repeats: Histogram = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Count them all."""
        return sum(self.values.values()) + self.censored

    def quantile(self, q: float) -> Quantile:
        """Return the q-quantile: the middle of the bucket in which the value of rank ceil(q n) lies.

        UNKNOWN if nothing was observed beyond it: then it would be the largest value, whatever its rank.
        """
        count = self.count
        rank = math.ceil(round(q * count, 6))  # 0.9 is a little more than nine tenths
        beyond = count - rank
        if beyond < 1:
            return UNKNOWN
        if rank > count - self.censored:
            longest = bucket_bounds(max(self.values))[0] if self.values else 0.0
            return Quantile(above_ns=max(self.waited_ns, longest), beyond=beyond, events=beyond)
        bucket, beside = self._bucket_of(rank)
        repeated = sum(times for above, times in self.repeats.items() if above > bucket)
        repeated += min(beside, self.repeats.get(bucket, 0))
        low, above = bucket_bounds(bucket)
        return Quantile(ns=(low + above - 1) / 2, beyond=beyond, events=max(1, beyond - repeated))

    def rank_interval(self, q: float) -> tuple[float, float] | None:
        """Return between which observations the q-quantile of all that might have come lies, with 95 % confidence.

        Which they are, the binomial distribution tells. Those that shared a stall are not independent of each other: it is
        as if there were so many fewer in all as there are fewer events than observations beyond. None if what lies
        beyond is too little, or was not observed.
        """
        found = self.quantile(q)
        if found.ns is None:
            return None
        independent = self.count * found.events // found.beyond
        low, high = special.bdtrik([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], independent, q)
        ranks = [math.ceil(edge) * self.count / independent for edge in (low, high + 1)]
        if ranks[0] < 1 or ranks[1] > self.count - self.censored:
            return None
        lowest, highest = (bucket_bounds(self._bucket_of(math.ceil(round(rank, 6)))[0]) for rank in ranks)
        return float(lowest[0]), float(highest[1] - 1)

    def _bucket_of(self, rank: int) -> tuple[int, int]:
        """Return the bucket in which the value of a rank lies, and how many of higher ranks are there, too."""
        seen = 0
        for bucket in sorted(self.values):
            seen += self.values[bucket]
            if seen >= rank:
                return bucket, seen - rank
        raise IndexError(rank)


def quantile(values: Histogram, q: float) -> Quantile:
    """Return a quantile of times that were all observed, and say something new each."""
    return Observed(values).quantile(q)


def quantile_ns(values: Histogram, q: float) -> float | None:
    """Return the same as a number, if it is one."""
    return quantile(values, q).ns


def requests_for(q: float) -> int:
    """Return how many requests it takes until a quantile may decide on something."""
    return math.ceil(round(ENOUGH_EVENTS / (1 - q), 6))


def responses(sample: Sample) -> Observed:
    """Return a sample's response times, with what never came in its place: above all that did."""
    times = sample.times
    return Observed(
        times.response.histogram, times.censored, sample.load.timeout_s * 1e9, times.response_repeats_ns
    )


def together(samples: Iterable[Sample]) -> Observed:
    """Return the response times of several samples as if they were of one."""
    each = [responses(sample) for sample in samples]
    return Observed(
        add_histograms(one.values for one in each),
        sum(one.censored for one in each),
        max((one.waited_ns for one in each), default=0.0),
        add_histograms(one.repeats for one in each),
    )


def response(sample: Sample, q: float) -> Quantile:
    """Return a quantile of a sample's response times."""
    return responses(sample).quantile(q)
