"""The studentised range: scipy is the oracle, which takes half a second for what takes milliseconds here."""

import pytest
import scipy

from harness.analyse.statistics.studentised_range import probability, quantile


@pytest.mark.parametrize("groups", [2, 3, 8, 13, 20])
@pytest.mark.parametrize("degrees", [1, 2, 4, 28, 200])
def test_probability_and_quantile_are_scipys(groups: int, degrees: int) -> None:
    at_95 = quantile(0.95, groups, degrees)
    assert scipy.stats.studentized_range.cdf(at_95, groups, degrees) == pytest.approx(0.95, abs=1e-7)
    half = at_95 / 2
    expected = scipy.stats.studentized_range.cdf(half, groups, degrees)
    assert probability(half, groups, degrees) == pytest.approx(expected, abs=1e-7)


def test_quantiles_of_the_tables_in_textbooks() -> None:
    tabled = {(3, 10): 3.88, (5, 20): 4.23, (10, 60): 4.65, (20, 1): 59.56}
    assert {key: round(quantile(0.95, *key), 2) for key in tabled} == tabled


@pytest.mark.parametrize("degrees", [1, 5, 60])
def test_of_two_it_is_students_t(degrees: int) -> None:
    assert quantile(0.95, 2, degrees) == pytest.approx(2**0.5 * scipy.stats.t.ppf(0.975, degrees), rel=1e-6)


@pytest.mark.parametrize("degrees", [0.8, 1.5, 3.3, 17.8])
def test_between_whole_degrees_it_is_hardly_too_much(degrees: float) -> None:
    found = quantile(0.95, 9, degrees)
    assert 0.95 - 1e-7 <= scipy.stats.studentized_range.cdf(found, 9, degrees) < 0.965


def test_what_is_not_above_zero_has_no_probability() -> None:
    assert probability(0.0, 3, 10) == probability(-1.0, 3, 10) == 0
