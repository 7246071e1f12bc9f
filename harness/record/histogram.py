"""Histograms of times: how many values fall into each bucket."""

from collections.abc import Iterable
from typing import Final

BUCKETS_PER_DOUBLING: Final = 64
"""A histogram's buckets are so many for each power of two: a value is known to within 1.6 %."""
Histogram = dict[int, int]
"""How many values fall into each bucket; `buckets.bucket_of` numbers the buckets."""


def add_histograms(histograms: Iterable[Histogram]) -> Histogram:
    """Add histograms up: they merge, percentiles do not."""
    total: Histogram = {}
    for values in histograms:
        for bucket, count in values.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def bucket_bounds(bucket: int) -> tuple[int, int]:
    """Return the lowest value of a bucket, and the lowest above it."""
    shift = max(bucket // BUCKETS_PER_DOUBLING - 1, 0)
    lowest = (bucket - shift * BUCKETS_PER_DOUBLING) << shift
    return lowest, lowest + (1 << shift)
