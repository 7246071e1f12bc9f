"""The cost of a request: its parts are found again, it falls with the load, and what is not needed is left out."""

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.prediction.cost import CoreLoad, CostCurve, constant, fit, load_by
from harness.analyse.prediction.laws import Setting
from harness.analyse.prediction.mva import Flow

LOADS = [
    CoreLoad(clients, wakeups, passes, queued)
    for queued in (False, True)
    for clients in (16, 256, 1000)
    for wakeups, passes in ((0.0, 0.01), (0.0, 0.2), (0.3, 0.4), (0.9, 0.9))
]


def test_a_request_costs_its_work_its_wakeups_and_its_part_of_a_pass() -> None:
    curve = CostCurve(10.0, 50.0, 20.0, work_per_client_us=0.01)
    assert curve.at(CoreLoad(100, 0.0, 0.0)) == pytest.approx(11.0)
    assert curve.at(CoreLoad(100, 0.2, 0.5)) == pytest.approx(31.0)
    assert curve.at(CoreLoad(100, 0.2, 0.5, queued=True)) == pytest.approx(31.0)
    assert CostCurve(10.0, queueing_us=9.0).at(CoreLoad(100, 0.2, 0.5, queued=True)) == pytest.approx(19.0)
    assert curve.on(2.0).at(CoreLoad(100, 0.2, 0.5)) == pytest.approx(62.0)


@pytest.mark.parametrize(
    "truth", [CostCurve(60.0), CostCurve(10.0, 50.0), CostCurve(8.0, 40.0, 15.0), CostCurve(9.0, 30.0, 10.0, 0.02), CostCurve(9.0, 30.0, 10.0, 0.02, 7.0)]
)  # fmt: skip
def test_the_parts_of_a_cost_are_found_again(truth: CostCurve) -> None:
    found = fit(LOADS, [truth.at(load) for load in LOADS])
    assert astuple(found) == pytest.approx(astuple(truth), abs=1e-6)


def test_those_who_find_others_there_share_a_pass_with_them() -> None:
    flow = Flow(throughput_rps=1_000.0, residence_s=400e-6, found_idle=0.1, found_there=3.0)
    assert load_by(flow, Setting(16, 0.005, 16)) == CoreLoad(16, 0.1, 0.25)
    assert load_by(flow, Setting(16, 0.005, 10)) == CoreLoad(16, 0.1, 0.25, queued=True)


costs_us = st.lists(st.floats(min_value=5.0, max_value=500.0), min_size=len(LOADS), max_size=len(LOADS))


shares = st.floats(0, 1)


@given(costs_us, st.tuples(shares, shares), st.tuples(shares, shares), st.integers(1, 10_000))
def test_whatever_was_measured_a_request_is_never_dearer_where_the_core_is_busier(
    costs: list[float], wakeups: tuple[float, float], passes: tuple[float, float], clients: int
) -> None:
    curve = fit(LOADS, costs)
    busier = curve.at(CoreLoad(clients, min(wakeups), min(passes)))
    assert 0 <= busier <= curve.at(CoreLoad(clients, max(wakeups), max(passes)))


def test_a_constant_cost_is_in_the_middle() -> None:
    curve = constant([10.0, 40.0])
    assert [curve.at(load) for load in LOADS] == pytest.approx([20.0] * len(LOADS))
