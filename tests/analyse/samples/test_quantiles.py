"""Quantiles with requests that were never answered, and merging."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyse.samples.quantiles import UNKNOWN, Observed, Quantile, quantile, requests_for, together
from harness.record import Histogram, Sample, add_histograms
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
    found = Observed(as_histogram(numbers), censored, waited_ns=5e9).quantile(q)
    exact = np.quantile([*map(float, numbers), *[math.inf] * censored], q, method="inverted_cdf")
    if math.isinf(exact):
        assert (found.ns, found.above_ns) == (None, 5e9)
    else:
        assert found.ns == pytest.approx(exact, rel=1 / 64, abs=1)


def test_a_quantile_that_is_known_to_be_high_is_above_any_lower_limit() -> None:
    known, censored = Quantile(ns=100), Quantile(above_ns=100)
    assert (known.exceeds(99), known.exceeds(100)) == (True, False)
    assert (censored.exceeds(100), censored.exceeds(101)) == (True, None)
    assert UNKNOWN.exceeds(1) is None


def test_if_nothing_came_a_quantile_is_above_the_time_waited() -> None:
    assert Observed({}, 1000, 2e9).quantile(0.5) == Quantile(above_ns=2e9, beyond=500, events=500)


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


def test_what_was_observed_is_shown_from_one_observation_beyond_on() -> None:
    assert quantile(as_histogram([1, 2]), 0.5).ns == 1
    assert quantile(as_histogram([1]), 0.5) == UNKNOWN
    assert quantile(as_histogram(range(1000)), 0.999).ns is not None
    assert quantile(as_histogram(range(999)), 0.999) == UNKNOWN


def test_repeats_have_their_rank_and_are_one_event() -> None:
    values = as_histogram([*range(1, 901), *[5000] * 150])
    found = [Observed(values, repeats=as_histogram([5000] * count)).quantile(0.85) for count in (0, 50, 60)]
    assert [each.events for each in found] == [157, 107, 97]
    assert {(each.ns, each.beyond) for each in found} == {(found[0].ns, 157)}
    assert [each.enough for each in found] == [True, True, False]


def test_a_stall_is_seen_in_every_quantile_that_it_reaches() -> None:
    """1.5 s of 10.5 s, at 1,000 requests a second: one request in seven waited, and all for one reason."""
    waited = [int(1.5e9 - 1e6 * each) for each in range(1500)]
    observed = Observed(as_histogram([*[10**6] * 9000, *waited]), repeats=as_histogram(waited[1:]))
    found = {q: observed.quantile(q) for q in (0.5, 0.9, 0.99, 0.999)}
    in_seconds = {q: (each.ns or 0) / 1e9 for q, each in found.items()}
    assert in_seconds == pytest.approx({0.5: 0.001, 0.9: 0.45, 0.99: 1.395, 0.999: 1.49}, rel=0.02)
    assert [each.events for each in found.values()] == [3751, 1, 1, 1]
    assert [each.enough for each in found.values()] == [True, False, False, False]
    assert observed.rank_interval(0.9) is None, "one event tells nothing of the next stall"


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(50, 3000), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_rank_interval_holds_the_quantile_and_ends_at_observations(seed: int, count: int, q: float) -> None:
    values = np.random.default_rng(seed).integers(1, 10**6, count)
    observed = Observed(as_histogram(values.tolist()))
    interval, found = observed.rank_interval(q), observed.quantile(q)
    if interval is not None:
        assert found.ns is not None
        assert interval[0] <= found.ns <= interval[1]
    elif found.ns is not None:
        assert count * min(q, 1 - q) < 5, "so few beyond that the edge may lie further out than all of them"


def test_a_rank_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    truth = -math.log(0.1) * 1e6
    covered = 0
    for _ in range(400):
        interval = Observed(as_histogram(rng.exponential(1e6, 300).astype(int).tolist())).rank_interval(0.9)
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.92 <= covered / 400 <= 0.99


def test_several_launches_together_are_as_one(make_sample: Callable[..., Sample]) -> None:
    one, two = make_sample("a", 0, censored=3), make_sample("a", 1, censored=4)
    found = together([one, two])
    assert (found.count, found.censored, found.waited_ns) == (20_007, 7, 5e9)
    assert together([]).quantile(0.5) == UNKNOWN
