"""Servers compared, by their samples."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse import metric
from harness.compare import BETTER, EQUIVALENT, UNDECIDED, WORSE, compare_all
from harness.record import Results, Sample

THROUGHPUT = metric("throughput_rps")
CPU = metric("cpu_us_per_request")


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (0.5, 0.01, WORSE),
        (1.2, 0.01, BETTER),
        (1.0, 0.005, EQUIVALENT),
        (1.0, 0.3, UNDECIDED),
        (1.02, 0.001, EQUIVALENT),
    ],
)
def test_verdicts(make_sample: Callable[..., Sample], factor: float, noise: float, verdict: str) -> None:
    rng = np.random.default_rng(3)
    samples = [
        make_sample(server, block, rps=20_000 * speed * math.exp(rng.normal(0, noise)))
        for block in range(8)
        for server, speed in (("a", 1.0), ("b", factor))
    ]
    (comparison,) = compare_all(samples, "clients_64", THROUGHPUT)
    assert (comparison.a, comparison.b, comparison.verdict) == ("a", "b", verdict)
    assert comparison.ci_low < comparison.ratio < comparison.ci_high


def test_less_cpu_is_better(make_results: Callable[..., Results]) -> None:
    (comparison,) = compare_all(make_results(factor=0.5).samples, "clients_64", CPU)
    assert comparison.verdict == WORSE
    assert comparison.ratio == pytest.approx(2, rel=0.05)


def test_what_differs_between_blocks_does_not_hide_what_differs_within(
    make_sample: Callable[..., Sample],
) -> None:
    samples = [
        make_sample(server, block, rps=10_000 * (block + 1) * speed * (1 + 0.001 * block * sign))
        for block in range(6)
        for server, speed, sign in (("a", 1.0, 1), ("b", 0.9, -1))
    ]
    (comparison,) = compare_all(samples, "clients_64", THROUGHPUT)
    assert comparison.verdict == WORSE


def test_equal_servers_are_seldom_called_different(make_sample: Callable[..., Sample]) -> None:
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        samples = [
            make_sample(server, block, rps=2000 * math.exp(rng.normal(0, 0.1)))
            for block in range(5)
            for server in "ab"
        ]
        (comparison,) = compare_all(samples, "clients_64", THROUGHPUT)
        wrong += comparison.verdict in {BETTER, WORSE}
    assert wrong <= 20  # 5 % of 200 is 10; more than 20 would have a chance of 0.1 %
