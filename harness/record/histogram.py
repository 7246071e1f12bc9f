"""Histograms of times: how many values fall into each bucket."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

BUCKETS_PER_DOUBLING: Final = 64
"""A histogram's buckets are so many for each power of two: a value is known to within 1.6 %."""
Histogram = dict[int, int]
"""How many values fall into each bucket; `bucket_of` numbers the buckets."""
Times = npt.NDArray[np.int64]


def add_histograms(histograms: Iterable[Histogram]) -> Histogram:
    """Add histograms up: they merge, percentiles do not."""
    total: Histogram = {}
    for values in histograms:
        for bucket, count in values.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def bucket_of(values_ns: Times) -> Times:
    """Number the buckets of values: exact up to 128 ns, from there on 64 buckets for each doubling."""
    shift = np.maximum(np.frexp(np.maximum(values_ns, 1).astype(np.float64))[1].astype(np.int64) - 7, 0)
    numbers: Times = shift * BUCKETS_PER_DOUBLING + (values_ns >> shift)
    return numbers


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """Return the lowest value of a bucket, and the lowest above it."""
    shift = max(bucket // BUCKETS_PER_DOUBLING - 1, 0)
    lowest = (bucket - shift * BUCKETS_PER_DOUBLING) << shift
    return lowest, lowest + (1 << shift)


def histogram(values_ns: Times, counts: Times) -> Histogram:
    """Count values, each given so many times."""
    totals = np.bincount(bucket_of(values_ns), weights=counts) if len(values_ns) else np.zeros(0)
    return {int(bucket): int(totals[bucket]) for bucket in np.flatnonzero(totals)}
