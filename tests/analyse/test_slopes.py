"""The slope of memory over connections."""

import numpy as np
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.slopes import Slope, per_connection, slope
from harness.record import ConnectionScaling, Holding

numbers = st.floats(min_value=-1e9, max_value=1e9)


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), numbers), min_size=3, max_size=20, unique_by=lambda point: point[0]
    )
)
def test_it_is_that_of_linear_regression(points: list[tuple[int, float]]) -> None:
    x, y = [float(at) for at, _ in points], [of for _, of in points]
    wanted = scipy.stats.linregress(np.array(x), np.array(y))
    found = slope(x, y)
    scale = max(1.0, float(np.abs(y).max()))
    assert found.value == pytest.approx(wanted.slope, rel=1e-6, abs=1e-9 * scale)
    assert found.standard_error == pytest.approx(wanted.stderr, rel=1e-4, abs=1e-7 * scale)


def test_two_sizes_have_no_error() -> None:
    assert slope([0.0, 10.0], [5.0, 25.0]) == Slope(2.0, None)


def holding(connections: int, rss_bytes: int) -> Holding:
    return Holding(connections, rss_bytes, 0, 0, 0, 0, 0, 1, connections + 4)


def test_a_few_connections_say_nothing_of_one() -> None:
    assert (
        per_connection(ConnectionScaling(1, (holding(0, 10_000_000), holding(1, 10_004_096))), "rss_bytes")
        is None
    )
    assert per_connection(ConnectionScaling(10, (), ended_at=0), "rss_bytes") is None
    many = ConnectionScaling(1000, (holding(0, 0), holding(500, 1_024_000), holding(1000, 2_048_000)))
    found = per_connection(many, "rss_bytes")
    assert found is not None
    assert found.value == pytest.approx(2048)
    assert found.standard_error == pytest.approx(0, abs=1e-6)
