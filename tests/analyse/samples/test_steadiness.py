"""Labels for launches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.samples.steadiness import Steadiness, change_points, steadiness


def noisy(*segments: tuple[int, float], noise: float = 0.01, seed: int = 1) -> list[float]:
    """Make a series of segments, each so long and so high."""
    rng = np.random.default_rng(seed)
    return [float(level * (1 + noise * rng.normal())) for length, level in segments for _ in range(length)]


@pytest.mark.parametrize(
    ("segments", "label"),
    [
        ([(20, 1000)], Steadiness.FLAT),
        ([(10, 1000), (10, 1020)], Steadiness.FLAT),
        ([(5, 500), (15, 1000)], Steadiness.WARMING_UP),
        ([(2, 300), (3, 700), (15, 1000)], Steadiness.WARMING_UP),
        ([(8, 1000), (12, 800)], Steadiness.SLOWING),
        ([(4, 600), (5, 1000), (11, 800)], Steadiness.SLOWING),
        ([(17, 1000), (3, 500)], Steadiness.UNSTEADY),
        ([(6, 1000), (10, 600), (4, 1000)], Steadiness.UNSTEADY),
        ([(6, 1000), (4, 600), (10, 1000)], Steadiness.WARMING_UP),
        ([(7, 1000)], Steadiness.UNKNOWN),
        ([(20, 0)], Steadiness.UNKNOWN),
    ],
)
def test_a_launch_is_labelled_by_its_segments(segments: list[tuple[int, float]], label: Steadiness) -> None:
    assert steadiness(noisy(*segments)) is label
    assert label.meaning


def test_a_change_is_found_where_it_is() -> None:
    assert change_points(noisy((6, 1000), (9, 1500), (5, 900))) == [6, 15]


def test_noise_is_no_change() -> None:
    """Twenty values without a change are seldom called anything but flat, however noisy they are."""
    rng = np.random.default_rng(5)
    for noise in (0.01, 0.05, 0.2):
        labels = [steadiness(list(1000 * (1 + noise * rng.normal(size=20)))) for _ in range(200)]
        assert labels.count(Steadiness.FLAT) >= 180


def test_counts_of_random_arrivals_are_flat() -> None:
    rng = np.random.default_rng(6)
    labels = [steadiness(rng.poisson(50, size=20).tolist()) for _ in range(200)]
    assert labels.count(Steadiness.FLAT) >= 190


@given(st.lists(st.integers(min_value=0, max_value=10**6), min_size=1, max_size=40))
def test_change_points_lie_inside_and_ascend(series: list[int]) -> None:
    found = change_points(series)
    assert found == sorted(set(found))
    assert all(0 < place < len(series) for place in found)
