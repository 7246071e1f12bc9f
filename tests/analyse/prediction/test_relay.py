"""What the model of a relay predicts: the laws hold of it, and the load and the cost agree."""

from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyse.prediction.cost import CostCurve, load_by
from harness.analyse.prediction.laws import Limit, Setting
from harness.analyse.prediction.mva import solve
from harness.analyse.prediction.relay import balance, knee, predict
from tests.analyse.prediction.relays import FALLING, LATENCY_S, relay


@settings(deadline=None)
@given(st.integers(1, 400), st.floats(0.001, 0.1), st.integers(1, 400))
def test_the_load_is_that_which_its_own_cost_brings_about(clients: int, wait_s: float, pool: int) -> None:
    setting = Setting(clients, wait_s, pool)
    load, _ = balance(relay(), setting)
    demand = relay().demand(load)
    assert demand.core_s == pytest.approx(
        relay().cost.at(load_by(solve(setting, demand), setting)) / 1e6, rel=1e-3
    )


def test_a_request_in_a_crowd_costs_a_third_of_one_that_is_alone() -> None:
    alone, crowd = (predict(relay(), Setting(clients, 0.005, clients)) for clients in (1, 256))
    assert alone.cpu_us == pytest.approx(FALLING.work_us + FALLING.wakeup_us, rel=0.01)
    assert crowd.cpu_us == pytest.approx(FALLING.work_us + 256 * FALLING.work_per_client_us, rel=0.01)


@pytest.mark.parametrize(
    ("setting", "limit"),
    [
        (Setting(16, 0.02, 16), Limit.CLIENTS),
        (Setting(256, 0.02, 10), Limit.POOL),
        (Setting(600, 0.005, 600), Limit.CORE),
    ],
)
def test_it_says_what_is_the_limit(setting: Setting, limit: Limit) -> None:
    found = predict(relay(), setting)
    assert found.limited_by == limit
    assert 0.9 * setting.ceiling_rps < found.throughput_rps or limit == Limit.CORE
    assert found.throughput_rps <= setting.ceiling_rps
    assert setting.wait_s * 1e6 < found.p50_us < found.p99_us


def test_a_tail_is_longer_where_cells_had_it_longer() -> None:
    busy = Setting(256, 0.005, 256)
    even = predict(relay(), busy)
    assert even.p99_us > exp(0.4) * even.p50_us


def test_more_clients_than_the_knee_bring_nothing() -> None:
    found = knee(relay(), Setting(400, 0.005, 400))
    assert found is not None
    below, at, above = (
        predict(relay(), Setting(round(times * found.clients), 0.005, 1_000)).throughput_rps
        for times in (0.5, 1.0, 2.0)
    )
    assert below < 0.55 * found.throughput_rps
    assert 0.8 * found.throughput_rps < at < found.throughput_rps
    assert above == pytest.approx(found.throughput_rps, rel=0.05)


def test_a_pool_that_is_in_use_before_the_core_is_the_knee() -> None:
    found = knee(relay(), Setting(400, 0.02, 10))
    assert found is not None
    assert found.clients == pytest.approx(10, rel=0.1)
    assert found.throughput_rps == pytest.approx(10 / 0.02, rel=0.05)


def test_no_knee_where_no_core_was_busy() -> None:
    assert knee(relay(CostCurve(0.0, 90.0)), Setting(16, 0.02, 16)) is None


def test_a_slower_machine_makes_everything_longer() -> None:
    setting = Setting(600, 0.005, 600)
    usual, slow = predict(relay(), setting), predict(relay().on(1.5), setting)
    assert slow.cpu_us == pytest.approx(1.5 * usual.cpu_us, rel=0.01)
    assert slow.throughput_rps == pytest.approx(usual.throughput_rps / 1.5, rel=0.01)
    assert relay().on(2.0).latency_s == 2 * LATENCY_S
