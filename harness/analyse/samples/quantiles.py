"""Quantiles of histograms, and when not to give one. Pure."""

import math
from dataclasses import dataclass
from typing import Final

from harness.record import Histogram, Sample, bucket_bounds

ENOUGH_BEYOND: Final = 100
"""A quantile with fewer observations beyond it is not printed; a stall counts as one (see `tally.repeats`)."""

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True)
class Quantile:
    """A quantile that is known, or is known to be above something, or is not known at all.

    Attributes:
        ns: its value; None if it is not known.
        above_ns: what it is known to exceed, if requests that were never answered reach down to it; else None.
    """

    ns: float | None = None
    above_ns: float | None = None

    @property
    def censored(self) -> bool:
        """Tell whether only a lower bound is known."""
        return self.above_ns is not None

    def exceeds(self, limit_ns: float) -> bool | None:
        """Tell whether it is above a limit; None if that is not known."""
        if self.ns is not None:
            return self.ns > limit_ns
        return True if self.above_ns is not None and self.above_ns >= limit_ns else None


UNKNOWN: Final = Quantile()


def quantile(
    values: Histogram, q: float, censored: int = 0, waited_ns: float = 0.0, repeats: Histogram | None = None
) -> Quantile:
    """Return the q-quantile of a histogram: the middle of the bucket in which the value of rank ceil(q n) lies.

    Args:
        values: what was observed.
        q: between 0 and 1.
        censored: how many more there are that were never observed. They are right-censored: they rank above all that
            were, and count as beyond any quantile below them.
        waited_ns: for how long these were waited for at least.
        repeats: those of the values that say nothing new, since they waited through the same stall as a longer one:
            they have their rank like all others, and do not count as observations beyond the quantile.

    Returns:
        UNKNOWN if fewer than 100 observations lie beyond it: such a quantile would be a matter of luck.
    """
    observed = sum(values.values())
    rank = math.ceil(round(q * (observed + censored), 6))  # 0.9 is a little more than nine tenths
    if observed + censored - rank < ENOUGH_BEYOND:
        return UNKNOWN
    if rank > observed:
        return Quantile(above_ns=max(waited_ns, bucket_bounds(max(values))[0] if values else 0.0))
    seen = 0
    for bucket in sorted(values):
        seen += values[bucket]
        if seen >= rank:
            repeated = sum(count for above, count in (repeats or {}).items() if above > bucket)
            if observed + censored - rank - repeated < ENOUGH_BEYOND:
                return UNKNOWN
            low, above = bucket_bounds(bucket)
            return Quantile(ns=(low + above - 1) / 2)
    return UNKNOWN


def quantile_ns(values: Histogram, q: float, censored: int = 0) -> float | None:
    """Return the same as a number, if it is one."""
    return quantile(values, q, censored).ns


def requests_for(q: float) -> int:
    """Return how many requests it takes until a quantile can be given."""
    return math.ceil(round(ENOUGH_BEYOND / (1 - q), 6))


def response(sample: Sample, q: float) -> Quantile:
    """Return a quantile of a sample's response times, with what never came in its place: above all that did."""
    return quantile(
        sample.times.response.histogram,
        q,
        sample.times.censored,
        sample.load.timeout_s * 1e9,
        sample.times.response_repeats_ns,
    )
