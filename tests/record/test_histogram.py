"""Histograms: what a bucket holds, and that nothing is lost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.record import add_histograms, bucket_bounds
from harness.record.buckets import bucket_of, histogram

nanoseconds = st.integers(min_value=0, max_value=2**50)


@given(nanoseconds)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    low, above = bucket_bounds(int(bucket_of(np.array([value]))[0]))
    assert low <= value < above
    assert above - low <= max(1, value / 64)


@given(st.integers(min_value=0, max_value=3000))
def test_buckets_leave_no_gap(bucket: int) -> None:
    assert bucket_bounds(bucket)[1] == bucket_bounds(bucket + 1)[0]


@given(st.lists(st.tuples(nanoseconds, st.integers(min_value=1, max_value=9)), max_size=50))
def test_a_histogram_counts_everything(weighted: list[tuple[int, int]]) -> None:
    values, counts = (
        np.array(column, dtype=np.int64) for column in (zip(*weighted, strict=True) if weighted else ([], []))
    )
    assert sum(histogram(values, counts).values()) == sum(count for _, count in weighted)


def test_histograms_add_up() -> None:
    assert add_histograms([{1: 2, 3: 4}, {3: 1}, {}]) == {1: 2, 3: 5}
