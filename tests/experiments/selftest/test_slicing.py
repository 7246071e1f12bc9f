"""Whether what slices cut off is noticed."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from harness.experiments.selftest.check import CheckOutcome
from harness.experiments.selftest.slicing import BLOCKS, SERVERS, WORKLOADS, slices_against_windows
from harness.record import Sample, Slice


@pytest.mark.parametrize(
    ("cut_off", "outcome"),
    [(1.0, CheckOutcome.PASSED), (0.8, CheckOutcome.FAILED)],
    ids=["nothing", "a fifth"],
)
def test_what_slices_cut_off_is_noticed(
    make_sample: Callable[..., Sample], cut_off: float, outcome: CheckOutcome
) -> None:
    rng = np.random.default_rng(14)
    samples = [
        replace(
            make_sample(server, block, workload, cpu_us=50 * math.exp(rng.normal(0, 0.05))),
            slices=tuple(Slice(cycle, 0, 0.1, 1000, int(50_000_000 * cut_off), 0) for cycle in range(10)),
        )
        for block in range(BLOCKS)
        for server in SERVERS
        for workload in WORKLOADS
    ]
    result = slices_against_windows(samples)
    assert result.outcome is outcome
    for workload in WORKLOADS:
        assert result.figures[f"threaded_{workload}_ratio"] == pytest.approx(cut_off, rel=0.06)


def test_nothing_valid_is_no_pass(make_sample: Callable[..., Sample]) -> None:
    assert slices_against_windows([make_sample("threaded")]).outcome is CheckOutcome.FAILED
