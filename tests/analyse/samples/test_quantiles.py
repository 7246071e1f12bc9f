"""Quantiles with requests that were never answered, and merging."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyse.samples.quantiles import UNKNOWN, Quantile, quantile, requests_for
from harness.record import Histogram, add_histograms
from harness.record.buckets import histogram

values = st.lists(st.integers(min_value=0, max_value=10**10), max_size=40)


def as_histogram(numbers: Sequence[int]) -> Histogram:
    return histogram(np.array(numbers, dtype=np.int64), np.ones(len(numbers), dtype=np.int64))


@settings(deadline=None)
@given(
    st.lists(st.integers(min_value=1, max_value=10**9), min_size=50, max_size=100).map(lambda few: few * 20),
    st.integers(min_value=0, max_value=1500),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_what_never_came_ranks_above_all_that_came(numbers: list[int], censored: int, q: float) -> None:
    found = quantile(as_histogram(numbers), q, censored, waited_ns=5e9)
    exact = np.quantile([*map(float, numbers), *[math.inf] * censored], q, method="inverted_cdf")
    if math.isinf(exact):
        assert found == Quantile(above_ns=5e9)
    else:
        assert found.ns == pytest.approx(exact, rel=1 / 64, abs=1)


def test_a_quantile_that_is_known_to_be_high_is_above_any_lower_limit() -> None:
    known, censored = Quantile(ns=100), Quantile(above_ns=100)
    assert (known.exceeds(99), known.exceeds(100)) == (True, False)
    assert (censored.exceeds(100), censored.exceeds(101)) == (True, None)
    assert UNKNOWN.exceeds(1) is None


def test_if_nothing_came_a_quantile_is_above_the_time_waited() -> None:
    assert quantile({}, 0.5, 1000, 2e9) == Quantile(above_ns=2e9)


def test_the_number_of_requests_that_a_quantile_takes() -> None:
    assert [requests_for(q) for q in (0.5, 0.9, 0.99, 0.999)] == [200, 1000, 10_000, 100_000]


@given(values, values, values)
def test_merging_is_associative_and_commutative(one: list[int], two: list[int], three: list[int]) -> None:
    a, b, c = map(as_histogram, (one, two, three))
    assert (
        add_histograms([add_histograms([a, b]), c])
        == add_histograms([a, add_histograms([b, c])])
        == add_histograms([c, b, a])
    )
    assert add_histograms([a, b, c]) == as_histogram([*one, *two, *three])


def test_repeats_have_their_rank_and_are_no_observations_beyond() -> None:
    observed = as_histogram([*range(1, 901), *[5000] * 150])
    assert quantile(observed, 0.85).ns is not None
    assert quantile(observed, 0.85, repeats=as_histogram([5000] * 50)) == quantile(observed, 0.85)
    assert quantile(observed, 0.85, repeats=as_histogram([5000] * 60)) == UNKNOWN
    assert quantile(observed, 0.5, repeats=as_histogram([5000] * 149)) == quantile(observed, 0.5)
