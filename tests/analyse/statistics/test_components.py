"""Parts of a scatter: what was put in comes out."""

import math

import numpy as np
import pytest

from harness.analyse.statistics.components import Components, components


@pytest.mark.parametrize(("slice_", "launch", "block"), [(0.1, 0.03, 0.2), (0.05, 0.1, 0.0), (0.2, 0.0, 0.1)])
def test_parts_are_found_again(slice_: float, launch: float, block: float) -> None:
    rng = np.random.default_rng(3)
    blocks, cycles, servers = 400, 10, 8
    logs = (
        rng.normal(0, 1, (1, 1, servers))
        + rng.normal(0, block, (blocks, 1, 1))
        + rng.normal(0, 0.3, (blocks, cycles, 1))  # what a cycle does to all is nobody's scatter
        + rng.normal(0, launch, (blocks, 1, servers))
        + rng.normal(0, slice_, (blocks, cycles, servers))
    )
    found = components(logs)
    assert found.slice == pytest.approx(slice_, rel=0.05)
    assert found.launch == pytest.approx(launch, rel=0.1, abs=0.02)
    assert found.block == pytest.approx(math.hypot(block, 0.3 / math.sqrt(cycles)), rel=0.1)
    measured = (logs - logs.mean(axis=2, keepdims=True)).mean(axis=1)
    scatter = (measured - measured.mean(axis=0)).std() * math.sqrt(servers / (servers - 1))
    assert found.of_a_launch(cycles) == pytest.approx(scatter, rel=0.05)


def test_the_best_number_of_cycles_is_the_cheapest() -> None:
    parts = Components(0.12, 0.04, 0.1, 10)
    best = parts.best_cycles(block_s=20.0, cycle_s=1.0)

    def cost(cycles: float) -> float:
        return (parts.launch**2 + parts.slice**2 / cycles) * (20.0 + cycles)

    assert cost(best) < min(cost(best * 0.8), cost(best * 1.25))
    assert Components(0.1, 0.0, 0.1, 10).best_cycles(20.0, 1.0) == math.inf
