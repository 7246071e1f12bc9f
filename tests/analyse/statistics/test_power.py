"""The calibration: how often a design of blocks is right, simulated, with fixed seeds. `pytest -s` shows the results.

A rate of errors fails if its exact 99.9 % interval lies above 5 %.
"""

from pathlib import Path

import numpy as np
import pytest

from harness.analyse.statistics.inference import clopper_pearson
from harness.analyse.statistics.power import (
    NOISES,
    Rate,
    Shape,
    coverage,
    family_errors,
    normal,
    power,
    rate,
    resampled,
    residual_pools,
    resolvable,
    unequal,
    verdicts,
)
from harness.analyse.statistics.two_way import fit_logs
from harness.experiments.selftest.known_effect import archived_residuals

RESULTS = Path(__file__).parents[3] / "results"
EIGHT = Shape(servers=8, blocks=8, workloads=2)
QUICK = Shape(servers=9, blocks=4, workloads=2)
"""What `make report` measures in slices."""
PAIR = Shape(servers=2, blocks=8, workloads=1)


def told(what: str, found: Rate) -> Rate:
    print(f"{what}: {found.share:.1%} ({found.low:.1%} to {found.high:.1%}) of {found.trials}")
    return found


def allowed(found: Rate) -> bool:
    return clopper_pearson(found.hits, found.trials, 0.999)[0] <= 0.05


@pytest.mark.parametrize("shape", [EIGHT, QUICK, PAIR], ids=["eight servers", "a quick run", "two servers"])
@pytest.mark.parametrize("noise", NOISES)
def test_equal_servers_are_seldom_called_different(noise: str, shape: Shape) -> None:
    found = family_errors(NOISES[noise], shape, 300, seed=1)
    assert allowed(told(f"families of {shape.servers} equal servers told apart, {noise} noise", found))


@pytest.mark.parametrize("name", ["cpu_us_per_request", "throughput_rps"])
def test_equal_servers_with_the_noise_of_real_launches_are_seldom_called_different(name: str) -> None:
    pools = archived_residuals([RESULTS / "reference"], name)
    assert len(pools) >= EIGHT.servers
    found = family_errors(resampled(pools), EIGHT, 300, seed=2)
    assert allowed(told(f"families of equal servers told apart, noise of real launches, {name}", found))


def test_a_procedure_that_errs_too_often_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error for all, where one server scatters three times as much: why the scatters are looked at."""
    monkeypatch.setattr("harness.analyse.statistics.power.scatters", lambda _: {})
    assert not allowed(told("the same, scatters not looked at", family_errors(unequal, EIGHT, 300, seed=1)))


@pytest.mark.parametrize("shape", [EIGHT, PAIR], ids=["eight servers", "two servers"])
def test_the_intervals_of_all_pairs_hold_at_once(shape: Shape) -> None:
    found = told(f"intervals of all pairs of {shape.servers} right", coverage(normal, shape, 300, seed=3))
    low, high = clopper_pearson(found.hits, found.trials, 0.999)
    assert low <= 0.95 <= high


def test_more_blocks_less_noise_and_a_larger_effect_are_found_more_often() -> None:
    def found(effect: float, scatter: float, blocks: int) -> float:
        what = f"{effect - 1:+.0%} found among 8 servers, scatter {scatter}, {blocks} blocks"
        return told(what, power(effect, scatter, Shape(8, blocks, 1), 150, seed=4)).share

    base = found(1.1, 0.06, 8)
    assert found(1.1, 0.06, 16) > base
    assert found(1.1, 0.04, 8) > base
    assert found(1.2, 0.06, 8) > base


@pytest.mark.parametrize("effect", [0.06, 0.10])
def test_what_is_said_to_be_resolvable_is_found_in_four_runs_of_five(effect: float) -> None:
    """The formula against the simulation: the noise for which it says `effect`, found by halving."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if resolvable(middle, 12) < effect else (low, middle)
    scatter = high / np.sqrt(2)  # of a launch; the spread is that of a difference of two
    assert power(1 + effect, scatter, Shape(2, 12, 1), 1000, seed=6).share == pytest.approx(0.8, abs=0.04)


def test_less_than_equivalence_is_not_looked_for() -> None:
    assert resolvable(0.0, 12) == resolvable(0.001, 12) == pytest.approx(0.05)


def test_residuals_are_gathered_by_server_in_units_of_the_error() -> None:
    rng = np.random.default_rng(7)
    models = [fit_logs("abc", scale * rng.normal(size=(3, 200))) for scale in (0.01, 5.0)]
    pools = residual_pools([model for model in models if model is not None])
    assert [len(pool) for pool in pools] == [400] * 3
    assert [float(pool.std()) for pool in pools] == pytest.approx([0.816] * 3, rel=0.1)  # sqrt(2/3)


def test_a_run_is_judged_workload_by_workload() -> None:
    found = verdicts(np.random.default_rng(8).normal(size=(3, 4, 5)))
    assert [len(family) for family in found] == [6, 6, 6]


def test_a_rate_has_an_exact_interval() -> None:
    found = rate(20, 400)
    assert found.share == 0.05
    assert 0.03 < found.low < 0.05 < found.high < 0.08
