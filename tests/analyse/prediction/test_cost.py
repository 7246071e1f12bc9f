"""The cost of a request: its parts are found again, it falls with the load, and what is not needed is left out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.prediction.cost import CoreLoad, CostCurve, constant, fit

LOADS = [CoreLoad(clients, idle) for clients in (16, 256, 1000) for idle in (0.0, 0.3, 0.9)]


def test_a_request_costs_its_work_and_a_wakeup_as_often_as_the_core_is_found_idle() -> None:
    curve = CostCurve(10.0, 50.0, work_per_client_us=0.01)
    assert curve.at(CoreLoad(100, 0.0)) == pytest.approx(11.0)
    assert curve.at(CoreLoad(100, 0.2)) == pytest.approx(21.0)
    assert curve.on(2.0).at(CoreLoad(100, 0.2)) == pytest.approx(42.0)


@pytest.mark.parametrize(
    "truth", [CostCurve(60.0), CostCurve(10.0, 50.0), CostCurve(8.0, 40.0, 0.01), CostCurve(9.0, 30.0, 0.02, 0.1)]
)  # fmt: skip
def test_the_parts_of_a_cost_are_found_again(truth: CostCurve) -> None:
    found = fit(LOADS, [truth.at(load) for load in LOADS])
    for load in LOADS:
        assert found.at(load) == pytest.approx(truth.at(load), rel=1e-6)


def test_what_does_not_explain_the_cells_is_left_out() -> None:
    found = fit(LOADS, [20.0 + 30.0 * load.found_idle for load in LOADS])
    assert found.work_per_client_us == pytest.approx(0.0, abs=1e-9)
    assert found.wakeup_per_client_us == pytest.approx(0.0, abs=1e-9)


costs_us = st.lists(st.floats(min_value=5.0, max_value=500.0), min_size=len(LOADS), max_size=len(LOADS))


@given(costs_us, st.floats(0, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_whatever_was_measured_a_request_is_never_dearer_where_the_core_is_busier(
    costs: list[float], one: float, other: float, clients: int
) -> None:
    curve = fit(LOADS, costs)
    busier, idler = sorted((one, other))
    assert 0 <= curve.at(CoreLoad(clients, busier)) <= curve.at(CoreLoad(clients, idler))


def test_a_constant_cost_is_in_the_middle() -> None:
    curve = constant([10.0, 40.0])
    assert [curve.at(load) for load in LOADS] == pytest.approx([20.0] * len(LOADS))
