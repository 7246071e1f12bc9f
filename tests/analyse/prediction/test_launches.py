"""Which launches of a run are cells of relays, and what is taken of them."""

from collections.abc import Callable

import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.prediction.cells import RelayCell
from harness.analyse.prediction.launches import relay_cells
from harness.analyse.prediction.laws import Setting
from harness.plan import ALL_CORES, EXPONENTIAL, Load, Waiting
from harness.record import Sample
from tests.analyse.prediction.relays import sample_of
from tests.makers import changed

CELL = RelayCell("a", 2, Setting(64, 0.005, 10), 1_900.0, 61.0, 33_000.0, 41_000.0)


@pytest.fixture
def launch(make_relayed: Callable[..., Sample]) -> Sample:
    return sample_of(CELL, make_relayed)


def test_a_cell_is_what_a_launch_says(launch: Sample) -> None:
    (found,) = relay_cells(launches_of([launch]))
    assert (found.server, found.block, found.setting) == (CELL.server, CELL.block, CELL.setting)
    assert (found.throughput_rps, found.cpu_us) == pytest.approx((CELL.throughput_rps, CELL.cpu_us))
    assert (found.p50_us, found.p99_us) == pytest.approx((CELL.p50_us, CELL.p99_us), rel=0.02)


def test_a_pool_is_no_larger_than_its_clients_are_many(launch: Sample) -> None:
    wide = changed(launch, load=Load(clients=64, upstream=Waiting(wait_s=0.005, pool=500)))
    (found,) = relay_cells(launches_of([wide]))
    assert found.setting == Setting(64, 0.005, 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"load": Load(clients=64), "upstream": None},
        {"load": Load(clients=64, upstream=Waiting(wait_s=0.005, pool=64, spread=EXPONENTIAL))},
        {"regime": ALL_CORES},
        {"wrong": 1},
        {"server_cpu_ns": 0},
    ],
)
def test_what_the_model_does_not_describe_is_left_out(launch: Sample, changes: dict[str, object]) -> None:
    assert not relay_cells(launches_of([changed(launch, **changes)]))
