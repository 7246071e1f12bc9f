"""The search for the knee, against made-up servers."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyse.knee import (
    PRECISION,
    Knee,
    RatePoint,
    Slo,
    knee,
    next_rate,
    probe,
    rates_for,
    recovery_s,
    unserved,
)
from harness.analyse.samples.quantiles import UNKNOWN
from harness.record import Sample
from tests.makers import changed

SLO = Slo("p99", 0.99, 10e6)


def probed(rate: float, sustained: bool | None) -> RatePoint:  # noqa: FBT001 - a made-up answer
    return RatePoint(rate, sustained, "", 1.0, UNKNOWN)


def searched(answer: Callable[[float], bool | None], rates: tuple[float, ...]) -> list[RatePoint]:
    """Search as the command does; more than so many probes would be a search without end."""
    probes = [probed(rate, answer(rate)) for rate in rates]
    while (rate := next_rate(probes)) is not None:
        probes.append(probed(rate, answer(rate)))
        assert len(probes) < 60
    return probes


@settings(deadline=None)
@given(st.floats(min_value=200, max_value=200_000), st.floats(min_value=0.5, max_value=2))
def test_the_knee_of_a_server_is_bracketed(truth: float, error: float) -> None:
    """Wherever it is, and however wrong the peak was that the search began with."""
    found = knee(searched(lambda rate: rate <= truth, rates_for(truth * error)))
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth < found.high
    assert found.high <= found.low * PRECISION * 1.001


@settings(deadline=None)
@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=200))
def test_a_search_ends_whatever_the_answers(answers: list[bool | None]) -> None:
    given_answers = iter(answers * 60)
    searched(lambda _: next(given_answers), rates_for(10_000))


def test_a_rate_that_failed_below_one_that_passed_is_tried_again() -> None:
    unlucky = [probed(1000, True), probed(2000, False), probed(3000, True), probed(4000, False)]
    assert next_rate(unlucky) == 2000
    assert knee([*unlucky, probed(2000, True)]) == Knee(3000, 4000)
    assert knee([*unlucky, probed(2000, False)]) == Knee(1000, 2000)


OVERLOADED = RatePoint(1000, False, "overloaded", 0.5, UNKNOWN)
BROKE = RatePoint(1000, False, "errors", 0.5, UNKNOWN)
LATE = RatePoint(1000, None, "lag", 1.0, UNKNOWN)


@pytest.mark.parametrize(
    ("probes", "reasons"),
    [
        ([BROKE, OVERLOADED], ""),
        ([BROKE, probed(1000, True)], ""),
        ([BROKE, BROKE], "errors"),
        ([LATE, BROKE], "lag, errors"),
        ([], "no rate was offered"),
    ],
)
def test_a_server_that_breaks_under_every_rate_serves_none(probes: list[RatePoint], reasons: str) -> None:
    assert unserved(probes) == reasons


def test_what_cannot_be_judged_does_not_count() -> None:
    assert knee([probed(1000, None)]) == Knee(None, None)
    assert next_rate([probed(1000, None)]) is None
    assert knee([probed(1000, True), probed(1500, None), probed(2000, False)]) == Knee(1000, 2000)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Knee(None, None), "not known"),
        (Knee(None, 2000), "below 2,000 requests/s"),
        (Knee(2000, None), "above 2,000 requests/s"),
        (Knee(2000, 2050), "from 2,000 to 2,050 requests/s"),
    ],
)
def test_a_knee_is_an_interval(found: Knee, words: str) -> None:
    assert str(found) == words


def test_rates_are_fractions_of_the_peak_and_common_ones() -> None:
    rates = rates_for(20_000)
    assert {2_000, 5_000, 10_000, 15_000, 18_000, 20_000, 24_000} <= set(rates)
    assert max(rates) == 24_000
    assert list(rates) == sorted(rates)


@pytest.fixture
def offered(make_sample: Callable[..., Sample]) -> Callable[..., Sample]:
    """Return a maker of samples of an open loop: responses from 1 to 5 ms, of 10,000 requests."""

    def make(**changes: object) -> Sample:
        values: dict[str, object] = {
            "arrivals": "constant",
            "rate": 10_000.0,
            "generator_cpu_ns": 100_000_000,
        }
        return make_sample(**values | changes)

    return make


@pytest.mark.parametrize(
    ("changes", "limit_ms", "sustained", "why"),
    [
        ({}, 10, True, ""),
        ({}, 4, False, "p99 over limit"),
        ({"offered": 10_200}, 10, False, "overloaded"),
        ({"error": 1, "sent": 10_011, "planned": 10_011}, 10, False, "errors"),
        ({"generator_cpu_ns": 950_000_000}, 10, None, "generator-saturated"),
        ({"generator_cpu_ns": 950_000_000, "offered": 20_000}, 10, None, "generator-saturated"),
        (
            {"generator_cpu_ns": 950_000_000, "offered": 20_000, "server_cpu_ns": 10**9},
            10,
            False,
            "overloaded",
        ),
        ({"response_ns": {1500: 9_000}}, 10, None, "too few requests"),
        ({"censored": 90}, 10, True, ""),
    ],
)
def test_what_counts_as_sustained(
    offered: Callable[..., Sample],
    changes: dict[str, object],
    limit_ms: float,
    sustained: bool | None,  # noqa: FBT001 - what is expected
    why: str,
) -> None:
    found = probe(offered(**changes), changed(SLO, limit_ns=limit_ms * 1e6))
    assert (found.sustained, found.why) == (sustained, why)


def test_the_time_to_recover_is_that_of_the_last_slow_slice(offered: Callable[..., Sample]) -> None:
    slices = [50_000_000] * 30 + [1_000_000] * 70
    assert recovery_s(offered(response_slices_ns=tuple(slices)), SLO) == pytest.approx(0.3)
    assert recovery_s(offered(response_slices_ns=(1_000_000,) * 100), SLO) == 0
    assert recovery_s(offered(response_slices_ns=tuple(slices[::-1])), SLO) is None
    assert recovery_s(offered(response_slices_ns=tuple(slices), censored=1), SLO) is None
    assert recovery_s(offered(), SLO) is None
