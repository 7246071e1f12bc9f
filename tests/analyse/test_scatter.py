"""How much slices scatter: of the blocks that are whole."""

from collections.abc import Callable

import numpy as np
import pytest
from msgspec import structs

from harness.analyse.blocks import Launch, launches_of
from harness.analyse.scatter import scatter
from harness.record import Sample, Slice


@pytest.fixture
def launches(make_sample: Callable[..., Sample]) -> list[Launch]:
    """Return launches of three servers in 40 blocks, whose slices scatter by 10 % and whose launches by 5 %."""
    rng = np.random.default_rng(1)
    samples = []
    for block in range(40):
        for server, cost in (("a", 20.0), ("b", 30.0), ("c", 35.0)):
            launch = cost * np.exp(rng.normal(0, 0.05))
            slices = tuple(
                Slice(cycle, 0, 0.1, 1000, int(1e6 * launch * np.exp(rng.normal(0, 0.1))), 64 * 10**8)
                for cycle in range(6)
            )
            samples.append(structs.replace(make_sample(server, block), slices=slices))
    return list(launches_of(samples))


def test_slices_and_launches_are_told_apart(launches: list[Launch]) -> None:
    found = scatter(launches, "clients_64", "cpu_us_per_request")
    assert found
    assert found.slice == pytest.approx(0.1, rel=0.2)
    assert found.launch == pytest.approx(0.05, rel=0.3)
    assert found.cycles == 6
    rates = scatter(launches, "clients_64", "throughput_rps")
    assert rates
    assert rates.slice == pytest.approx(0)


def test_a_block_with_a_gap_does_not_count(launches: list[Launch]) -> None:
    missing = [
        launch for launch in launches if launch.sample.cell.block > 1 or launch.sample.cell.server == "a"
    ]
    whole = [launch for launch in launches if launch.sample.cell.block > 1]
    assert scatter(missing, "clients_64", "cpu_us_per_request") == scatter(
        whole, "clients_64", "cpu_us_per_request"
    )
    assert scatter(launches[:3], "clients_64", "cpu_us_per_request") is None
    assert scatter(launches, "clients_500", "cpu_us_per_request") is None
