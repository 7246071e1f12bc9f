"""The operational laws, by examples that are worked out by hand."""

import pytest

from harness.analyse.prediction.laws import (
    Demand,
    Limit,
    Setting,
    bounds,
    knee_clients,
    mean_in_flight,
    response_s,
    utilisation,
)

NEED = Demand(core_s=100e-6, latency_s=200e-6)


@pytest.mark.parametrize(
    ("clients", "pool", "ceiling_rps"), [(16, 16, 3_200), (256, 10, 2_000), (8, 100, 1_600)]
)
def test_no_relay_exceeds_its_ceiling(clients: int, pool: int, ceiling_rps: float) -> None:
    assert Setting(clients, 0.005, pool).ceiling_rps == pytest.approx(ceiling_rps)


@pytest.mark.parametrize(
    ("setting", "limit", "rps"),
    [
        (Setting(16, 0.005, 16), Limit.CLIENTS, 16 / 5.3e-3),
        (Setting(256, 0.005, 10), Limit.POOL, 10 / 5.15e-3),
        (Setting(256, 0.005, 256), Limit.CORE, 10_000),
    ],
)
def test_the_least_bound_tells_the_limit(setting: Setting, limit: Limit, rps: float) -> None:
    found = bounds(setting, NEED)
    assert found.limited_by == limit
    assert found.throughput_rps == pytest.approx(rps)


def test_what_needs_no_core_is_not_limited_by_it() -> None:
    assert bounds(Setting(1000, 0.001, 1000), Demand(0.0)).limited_by == Limit.CLIENTS


def test_the_laws_agree_with_each_other() -> None:
    """Sixteen clients that take a second to think and get 4 answers a second wait 3 s each, so 12 of them do at any time."""
    waited_s = response_s(16, 4.0, think_s=1.0)
    assert waited_s == pytest.approx(3.0)
    assert mean_in_flight(4.0, waited_s) == pytest.approx(12.0)
    assert utilisation(4.0, 0.2) == pytest.approx(0.8)


def test_at_the_knee_the_asymptotes_cross() -> None:
    clients = knee_clients(NEED.core_s, 0.005)
    assert clients == pytest.approx(51)
    assert clients / (NEED.core_s + 0.005) == pytest.approx(1 / NEED.core_s)
