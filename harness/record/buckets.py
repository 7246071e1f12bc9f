"""Counting times into the buckets of a histogram. Apart from the records, which whoever only reads them has without numpy."""

import numpy as np
import numpy.typing as npt

from harness.record.histogram import BUCKETS_PER_DOUBLING, Histogram

Times = npt.NDArray[np.int64]


def bucket_of(values_ns: Times) -> Times:
    """Number the buckets of values: exact up to 128 ns, from there on 64 buckets for each doubling."""
    shift = np.maximum(np.frexp(np.maximum(values_ns, 1).astype(np.float64))[1].astype(np.int64) - 7, 0)
    numbers: Times = shift * BUCKETS_PER_DOUBLING + (values_ns >> shift)
    return numbers


def histogram(values_ns: Times, counts: Times) -> Histogram:
    """Count values, each given so many times."""
    totals = np.bincount(bucket_of(values_ns), weights=counts) if len(values_ns) else np.zeros(0)
    return {int(bucket): int(totals[bucket]) for bucket in np.flatnonzero(totals)}
