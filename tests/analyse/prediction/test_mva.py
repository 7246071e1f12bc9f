"""Mean value analysis against what is known otherwise: a closed form, and all states of a small network one by one."""

from math import comb, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.prediction.laws import Demand, Setting, bounds
from harness.analyse.prediction.mva import closed, solve, through_pool

times_s = st.floats(min_value=1e-5, max_value=1e-3)
waits_s = st.floats(min_value=1e-3, max_value=0.1)
MVA_EXACTNESS = 1e-9


def repaired_rps(machines: int, repair_s: float, runs_s: float) -> float:
    """Return what a repairman repairs: M/M/1//N, by its closed form (L. Kleinrock, Queueing systems I, 1975, section 3.8)."""
    load = repair_s / runs_s
    ways = [comb(machines, broken) * factorial(broken) * load**broken for broken in range(machines + 1)]
    return (1 - ways[0] / sum(ways)) / repair_s


def by_all_states(customers: int, core_s: float, delay_s: float) -> tuple[float, float, float]:
    """Return throughput, queue at the core, and how often it is empty, by the product form of every state."""
    weights = [
        core_s**there * delay_s ** (customers - there) / factorial(customers - there)
        for there in range(customers + 1)
    ]
    shares = [weight / sum(weights) for weight in weights]
    return (1 - shares[0]) / core_s, sum(there * share for there, share in enumerate(shares)), shares[0]


@given(st.integers(1, 30), times_s, waits_s)
def test_it_is_the_machine_repairman(customers: int, core_s: float, delay_s: float) -> None:
    found = closed(customers, core_s, delay_s).throughput_rps
    assert found == pytest.approx(repaired_rps(customers, core_s, delay_s), rel=MVA_EXACTNESS)


@given(st.integers(2, 8), times_s, waits_s)
def test_it_is_the_product_form_of_all_states(customers: int, core_s: float, delay_s: float) -> None:
    flow = closed(customers, core_s, delay_s)
    throughput_rps, queue, _ = by_all_states(customers, core_s, delay_s)
    assert flow.throughput_rps == pytest.approx(throughput_rps, rel=MVA_EXACTNESS)
    assert flow.queue == pytest.approx(queue, rel=MVA_EXACTNESS)
    *_, empty_without_him = by_all_states(customers - 1, core_s, delay_s)
    assert flow.found_idle == pytest.approx(empty_without_him, rel=1e-6)


@given(st.integers(1, 300), times_s, waits_s)
def test_more_clients_get_more_and_none_exceeds_the_bounds(
    clients: int, core_s: float, wait_s: float
) -> None:
    setting, demand = Setting(clients, wait_s, clients), Demand(core_s)
    flow = solve(setting, demand)
    assert flow.throughput_rps <= bounds(setting, demand).throughput_rps * (1 + MVA_EXACTNESS)
    assert flow.throughput_rps <= closed(clients + 1, core_s, wait_s).throughput_rps * (1 + MVA_EXACTNESS)
    assert clients / flow.throughput_rps >= (core_s + wait_s) * (1 - MVA_EXACTNESS)


@given(st.integers(2, 300), st.integers(1, 300), times_s, times_s, waits_s)
def test_a_pool_never_helps_and_a_larger_one_never_harms(
    clients: int, pool: int, core_s: float, latency_s: float, wait_s: float
) -> None:
    demand = Demand(core_s, latency_s)
    with_pool, with_larger, unlimited = (
        solve(Setting(clients, wait_s, each), demand).throughput_rps for each in (pool, pool + 1, clients)
    )
    assert with_pool <= with_larger * (1 + MVA_EXACTNESS)
    assert with_larger <= unlimited * (1 + MVA_EXACTNESS)
    assert with_pool <= bounds(Setting(clients, wait_s, pool), demand).throughput_rps * (1 + MVA_EXACTNESS)


def test_a_pool_in_use_is_held_for_as_long_as_littles_law_says() -> None:
    demand, wait_s, pool = Demand(100e-6, 200e-6), 0.005, 10
    flow = through_pool(Setting(256, wait_s, pool), demand)
    held_s = wait_s + demand.latency_s / 2 + flow.residence_s / 2
    assert flow.throughput_rps * held_s == pytest.approx(pool)


def test_a_core_that_is_never_idle_is_found_so() -> None:
    assert closed(1, 1e-4, 0.005).found_idle == 1.0
    assert closed(1000, 1e-4, 0.005).found_idle == pytest.approx(0.0, abs=1e-6)
