"""One model for a design in blocks."""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.statistics.inference import Direction
from harness.analyse.statistics.two_way import EVEN, Matrix, Scatter, TwoWay, fit, fit_logs, scatters

NAMES = "abcdefgh"


def fitted(logs: Matrix) -> TwoWay:
    model = fit_logs(NAMES[: len(logs)], logs)
    assert model is not None
    return model


def noise(seed: int, scatters: Sequence[float], blocks: int) -> Matrix:
    made: Matrix = np.random.default_rng(seed).normal(size=(len(scatters), blocks))
    scaled: Matrix = made * np.array(scatters)[:, np.newaxis]
    return scaled


def test_of_two_servers_it_is_the_paired_t_test() -> None:
    a, b = [10.0, 11.0, 12.0, 9.0], [11.0, 11.5, 13.0, 10.5]
    model = fit({"a": dict(enumerate(a)), "b": dict(enumerate(b))})
    assert model is not None
    ratio = model.ratios()["a", "b"]
    book = scipy.stats.ttest_rel(np.log(b), np.log(a))
    interval = book.confidence_interval(0.95)
    assert ratio.p == pytest.approx(book.pvalue)
    assert ratio.interval() == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_a_complete_design_by_the_book() -> None:
    """Row means, (B - 1)(S - 1) degrees of freedom, and Tukey's intervals."""
    logs = noise(1, [0.1] * 5, 6) + np.arange(6)
    model = fitted(logs)
    residuals = logs - logs.mean(axis=1, keepdims=True) - logs.mean(axis=0) + logs.mean()
    assert model.degrees == 20
    assert model.variance == pytest.approx((residuals**2).sum() / 20)
    half = scipy.stats.studentized_range.ppf(0.95, 5, 20) * math.sqrt(model.variance / 6)
    for a, b in combinations(range(5), 2):
        ratio = model.ratios()[NAMES[a], NAMES[b]]
        assert ratio.mean == pytest.approx(logs[b].mean() - logs[a].mean())
        assert ratio.half_width() == pytest.approx(half)
        assert ratio.blocks == 6


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=8), st.integers(0, 999))
def test_cells_may_be_missing(missing: set[tuple[int, int]], seed: int) -> None:
    """The same as least squares over a column for each server and each block."""
    logs = noise(seed, [0.1] * 5, 6)
    for cell in missing:
        logs[cell] = np.nan
    logs = logs[:, ~np.isnan(logs).all(axis=0)]
    there = np.argwhere(~np.isnan(logs))
    design = np.zeros((len(there), sum(logs.shape)))
    for row, (server, block) in enumerate(there):
        design[row, [server, len(logs) + block]] = 1
    observed = logs[~np.isnan(logs)]
    solved = np.linalg.lstsq(design, observed, rcond=None)
    degrees = len(observed) - solved[2]
    model = fitted(logs)
    assert model.degrees == degrees
    variance = ((observed - design @ solved[0]) ** 2).sum() / degrees
    assert model.variance == pytest.approx(variance)
    inverse = np.linalg.pinv(design.T @ design)
    for (a, b), ratio in model.ratios().items():
        contrast = np.zeros(sum(logs.shape))
        contrast[[NAMES.index(a), NAMES.index(b)]] = -1, 1
        assert ratio.mean == pytest.approx(contrast @ solved[0], abs=1e-9)
        assert ratio.error == pytest.approx(math.sqrt(variance * (contrast @ inverse @ contrast)))


def test_servers_that_no_block_connects_are_not_compared() -> None:
    logs = np.full((4, 6), np.nan)
    logs[:2, :3] = noise(3, [0.1] * 2, 3)
    logs[2:, 3:] = noise(4, [0.1] * 2, 3)
    assert [*fitted(logs).ratios()] == [("a", "b"), ("c", "d")]


def test_servers_that_others_connect_are_compared() -> None:
    logs = noise(5, [0.01] * 3, 6) + np.array([[0.0], [1.0], [2.0]])
    logs[0, 3:] = logs[2, :3] = np.nan
    ratio = fitted(logs).ratios()["a", "c"]
    assert ratio.blocks == 0
    assert ratio.mean == pytest.approx(2, abs=0.05)


def test_without_an_error_nothing_is_said() -> None:
    assert fit({}) is None
    assert fit({"a": {0: 1.0}, "b": {0: 2.0}}) is None
    assert fit({"a": {0: 1.0, 1: 2.0}}) is None


def test_who_scatters_more_pays_for_it_and_the_others_do_not() -> None:
    logs = noise(6, [0.05] * 8, 5)
    model = fitted(logs)
    even = model.ratios()
    uneven = model.ratios({"a": Scatter(5.0, 8.0)} | dict.fromkeys("bcdefgh", Scatter(0.5, 12.0)))
    assert uneven["b", "c"].error == pytest.approx(even["b", "c"].error * math.sqrt(0.5))
    assert uneven["a", "b"].error == pytest.approx(even["a", "b"].error * math.sqrt((5 + 0.5) / 2))
    assert uneven["a", "b"].degrees < uneven["b", "c"].degrees < even["b", "c"].degrees == model.degrees
    assert uneven["b", "c"].mean == even["b", "c"].mean


def test_degrees_of_freedom_are_those_of_satterthwaite() -> None:
    """By the book: of variances 4 and 1, known with 6 and 12 degrees, (4 + 1)² / (4²/6 + 1²/12); and the common error's besides."""
    model = fitted(noise(6, [0.05] * 4, 5))
    found = model.ratios({"a": Scatter(4.0, 6.0), "b": Scatter(1.0, 12.0)})["a", "b"]
    assert 1 / found.degrees == pytest.approx((16 / 6 + 1 / 12) / 25 + 1 / model.degrees)


@pytest.mark.parametrize(("servers", "blocks"), [(8, 3), (8, 8), (4, 8)])
def test_scatters_that_chance_explains_become_one(servers: int, blocks: int) -> None:
    """Half of the runs of equal servers, at least, keep one error; the others come close to it."""
    found = of_equal_servers(servers, blocks)
    assert sum(not each for each in found) >= 25
    assert all(0.3 < one.variance < 3 for each in found for one in each.values())


def test_scatters_of_three_servers_are_known_less_well() -> None:
    """What solving for them adds counts as chance, too: it is as much again as the residuals scatter by."""
    assert sum(not each for each in of_equal_servers(3, 8)) >= 25


def of_equal_servers(servers: int, blocks: int) -> list[dict[str, Scatter]]:
    return [
        scatters([fitted(noise(10 * run + part, [1] * servers, blocks)) for part in range(2)])
        for run in range(50)
    ]


def test_scatters_that_differ_by_far_are_noticed() -> None:
    """A variance of 25 beside seven of 1 has a mean of 4, so that in units of it they are 6.25 and 0.25."""
    found = [
        scatters([fitted(noise(10 * run + part, [5] + [1] * 7, 8)) for part in range(3)]) for run in range(50)
    ]
    assert np.median([each["a"].variance for each in found]) == pytest.approx(6.25, rel=0.15)
    assert np.median([each["b"].variance for each in found]) == pytest.approx(0.25, rel=0.3)


def test_two_servers_have_one_scatter_between_them() -> None:
    assert scatters([fitted(noise(7, [1, 20], 30))]) == {}
    assert scatters([]) == {}
    assert Scatter(1.0, math.inf) == EVEN


def test_equal_values_are_equivalent_and_a_constant_factor_is_certain() -> None:
    logs = np.log(np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [2.0, 4.0, 8.0]]))
    found = fitted(logs).judged()
    assert found["a", "b"].direction is Direction.EQUIVALENT
    assert found["a", "c"].direction is Direction.ABOVE
