"""What may be inferred from one value for each launch."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.statistics.inference import (
    ALPHA,
    EQUIVALENCE,
    Direction,
    Estimate,
    LogRatio,
    RatioTest,
    arithmetic_estimate,
    clopper_pearson,
    decide,
    decide_each,
    estimate,
    holm,
    letters,
    paired,
    unpaired,
)

positive = st.floats(min_value=0.01, max_value=1e6)
values_of_two = st.integers(2, 12).flatmap(
    lambda n: st.tuples(
        st.lists(positive, min_size=n, max_size=n), st.lists(positive, min_size=n, max_size=n)
    )
)
OPPOSITE = {
    Direction.ABOVE: Direction.BELOW,
    Direction.BELOW: Direction.ABOVE,
    Direction.EQUIVALENT: Direction.EQUIVALENT,
    Direction.UNDECIDED: Direction.UNDECIDED,
}


def a_ratio(a: list[float], b: list[float]) -> LogRatio:
    found = paired([math.log(y) - math.log(x) for x, y in zip(a, b, strict=True)])
    assert found is not None
    return found


def test_an_estimate_is_the_t_interval_of_the_logarithms() -> None:
    values = [10.0, 11.0, 12.5, 9.5]
    found = estimate(values)
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(np.log(values)), scipy.stats.sem(np.log(values)))
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx(
        (scipy.stats.gmean(values), math.exp(low), math.exp(high))
    )


def test_an_estimate_of_one_value_or_of_zeros_has_no_interval() -> None:
    assert estimate([]) is None
    for values, mean in (([7.0], 7.0), ([0.0, 0.0], 0.0), ([0.0, 3.0], 1.5)):
        found = estimate(values)
        assert found is not None
        assert found.mean == pytest.approx(mean)
        assert found.low is None
        assert found.high is None


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        found = estimate(list(np.exp(rng.normal(math.log(100), 0.2, size=5))))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 100 <= found.high
    assert 930 <= covered <= 970


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=12))
def test_holm_is_ordered_like_the_p_values_and_never_below_them(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    in_order = [a for _, a in sorted(zip(p_values, adjusted, strict=True))]
    assert in_order == pytest.approx(sorted(adjusted), rel=1e-12)  # equal ones may differ in their last bit


def test_holm_by_the_book() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(values_of_two, min_size=1, max_size=6), st.sampled_from([decide, decide_each]))
def test_the_verdict_follows_from_the_interval_shown(
    family: list[tuple[list[float], list[float]]], judge: Callable[[list[LogRatio]], list[RatioTest]]
) -> None:
    """Equivalent first, then different, else undecided."""
    ratios = [a_ratio(a, b) for a, b in family]
    for finding in judge(ratios):
        assert finding.low <= finding.ratio * (1 + 1e-9)
        assert finding.ratio <= finding.high * (1 + 1e-9)
        if finding.low >= 1 / EQUIVALENCE and finding.high <= EQUIVALENCE:
            assert finding.direction is Direction.EQUIVALENT
        elif finding.low > 1:
            assert finding.direction is Direction.ABOVE
        elif finding.high < 1:
            assert finding.direction is Direction.BELOW
        else:
            assert finding.direction is Direction.UNDECIDED


@given(st.lists(values_of_two, min_size=1, max_size=6))
def test_with_an_error_each_the_intervals_are_those_of_holms_tests(
    family: list[tuple[list[float], list[float]]],
) -> None:
    ratios = [a_ratio(a, b) for a, b in family]
    adjusted = holm([ratio.p for ratio in ratios])
    for ratio, p, finding in zip(ratios, adjusted, decide_each(ratios), strict=True):
        if abs(p - ALPHA) > 1e-9 and ratio.error > 1e-9:
            assert (finding.low > 1 or finding.high < 1) == (p < ALPHA)


def test_a_ratio_that_is_close_to_1_for_certain_is_equivalent_even_if_it_differs() -> None:
    (finding,) = decide([LogRatio(math.log(1.03), 0.001, 20, 21)])
    assert finding.low > 1
    assert finding.direction is Direction.EQUIVALENT


def test_of_several_servers_the_interval_is_tukeys() -> None:
    ratio = LogRatio(0.1, 0.02, 28, 5, servers=8)
    assert ratio.half_width() == pytest.approx(
        scipy.stats.studentized_range.ppf(0.95, 8, 28) / math.sqrt(2) * 0.02, rel=1e-6
    )


@given(values_of_two)
def test_b_against_a_is_the_inverse_of_a_against_b(values: tuple[list[float], list[float]]) -> None:
    a, b = values
    (forth,), (back,) = decide([a_ratio(a, b)]), decide([a_ratio(b, a)])
    assert back.direction is OPPOSITE[forth.direction]
    assert back.ratio == pytest.approx(1 / forth.ratio)
    assert (back.low, back.high) == pytest.approx((1 / forth.high, 1 / forth.low))


@given(values_of_two, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_a_factor_moves_the_ratio_and_its_interval_by_itself(
    values: tuple[list[float], list[float]], factor: float
) -> None:
    a, b = values
    plain, scaled = a_ratio(a, b), a_ratio(a, [factor * value for value in b])
    assert scaled.mean == pytest.approx(plain.mean + math.log(factor), abs=1e-9)
    assert scaled.error == pytest.approx(plain.error, abs=1e-9)


def test_a_large_enough_factor_swaps_the_verdict() -> None:
    rng = np.random.default_rng(2)
    a = list(np.exp(rng.normal(0, 0.02, 8)))
    (slower,), (faster,) = (
        decide([a_ratio(a, [factor * value * math.exp(rng.normal(0, 0.02)) for value in a])])
        for factor in (0.8, 1.25)
    )
    assert (slower.direction, faster.direction) == (Direction.BELOW, Direction.ABOVE)


def test_a_paired_ratio_by_the_book() -> None:
    a, b = [10.0, 11.0, 12.0, 9.0], [11.0, 11.5, 13.0, 10.5]
    ratio = a_ratio(a, b)
    book = scipy.stats.ttest_rel(np.log(b), np.log(a))
    interval = book.confidence_interval(0.95)
    assert ratio.p == pytest.approx(book.pvalue)
    assert ratio.interval(0.95) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert paired([1.0]) is None


def test_an_unpaired_ratio_by_the_book() -> None:
    a, b = [10.0, 11.0, 12.0, 9.0], [11.0, 11.5, 14.0]
    ratio = unpaired(a, b)
    assert ratio is not None
    book = scipy.stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    interval = book.confidence_interval(0.95)
    assert ratio.p == pytest.approx(book.pvalue)
    assert ratio.interval(0.95) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert unpaired([1.0], [1.0, 2.0]) is None


@given(st.data())
def test_two_share_a_letter_exactly_if_they_were_not_told_apart(data: st.DataObject) -> None:
    names = "abcdef"
    pairs = list(combinations(names, 2))
    apart = data.draw(st.sets(st.sampled_from(pairs)))
    found = letters(names, apart)
    for a, b in pairs:
        assert bool(set(found[a]) & set(found[b])) == ((a, b) not in apart)
    assert all(found.values())


def test_letters_are_not_transitive() -> None:
    assert letters("abc", [("a", "c")]) == {"a": "a", "b": "ab", "c": "b"}
    assert letters("abc", []) == {"a": "a", "b": "a", "c": "a"}


def test_there_are_letters_for_as_many_as_one_run_compares() -> None:
    names = [str(number) for number in range(40)]
    found = letters(names, combinations(names, 2))
    assert sorted(map(len, found.values())) == [1] * 40
    assert len(set(found.values())) == 40


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 10), (10, 10), (20, 400)])
def test_the_exact_interval_by_the_book(hits: int, trials: int) -> None:
    book = scipy.stats.binomtest(hits, trials).proportion_ci(0.95, method="exact")
    assert clopper_pearson(hits, trials) == pytest.approx((book.low, book.high))


def test_an_arithmetic_mean_may_be_zero_or_less() -> None:
    found = arithmetic_estimate([-1.0, 0.0, 1.0])
    assert found is not None
    assert found.mean == 0
    assert found.low == pytest.approx(-2.484, abs=0.001)  # t(0.975, 2 degrees) / sqrt(3)
    assert found.high == pytest.approx(2.484, abs=0.001)
    assert arithmetic_estimate([]) is None
    assert arithmetic_estimate([3.0]) == Estimate(3.0, None, None, 1)
