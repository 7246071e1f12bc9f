"""What a number of blocks can tell apart: simulated, with fixed seeds."""

from pathlib import Path

import numpy as np
import pytest

from harness.analyse.statistics.inference import BOOTSTRAP_FROM, clopper_pearson, paired
from harness.analyse.statistics.power import coverage, false_verdicts, power, rate, resolvable
from harness.experiments.selftest.known_effect import archived_launches

RESULTS = Path(__file__).parents[3] / "results"


@pytest.mark.parametrize("name", ["cpu_us_per_request", "throughput_rps"])
@pytest.mark.parametrize("blocks", [5, 12])
def test_archived_launches_of_one_server_are_seldom_called_different(name: str, blocks: int) -> None:
    archive = archived_launches([RESULTS / "reference"], name)
    assert sum(map(len, archive)) > 50
    found = false_verdicts(archive, blocks, comparisons=3000, seed=1)
    assert clopper_pearson(found.hits, found.trials, 0.999)[0] <= 0.05


@pytest.mark.parametrize("blocks", [5, 8, 12])
@pytest.mark.parametrize("noise", [0.03, 0.3])
def test_the_t_interval_covers_the_truth(blocks: int, noise: float) -> None:
    found = coverage(1.06, noise, blocks, trials=2000, seed=2)
    assert 0.94 <= found.share <= 0.96


def test_the_bootstrap_covers_too_seldom_where_it_is_not_shown() -> None:
    """Why it is a check from 8 blocks on, and never the verdict."""
    rng = np.random.default_rng(3)
    covered = {5: 0, 12: 0}
    for blocks in covered:
        for _ in range(1000):
            means = np.array(rng.normal(0, 1, blocks))[rng.integers(blocks, size=(500, blocks))].mean(axis=1)
            low, high = np.quantile(means, [0.025, 0.975])
            covered[blocks] += bool(low <= 0 <= high)
    assert covered[5] < 880
    assert covered[12] > 900
    assert BOOTSTRAP_FROM == 8


def test_what_is_shown_beside_the_interval_covers_nearly_as_often() -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        ratio = paired([1.0] * 12, list(np.exp(rng.normal(0.05, 0.1, 12))))
        assert ratio is not None
        beside = ratio.bootstrap(0.95)
        assert beside is not None
        covered += beside[0] <= np.exp(0.05) <= beside[1]
    assert 0.87 <= covered / 300 <= 0.97


def test_more_blocks_less_noise_and_a_larger_effect_are_found_more_often() -> None:
    base = power(1.06, 0.05, 8, 400, 5).share
    assert power(1.06, 0.05, 16, 400, 5).share > base
    assert power(1.06, 0.03, 8, 400, 5).share > base
    assert power(1.10, 0.05, 8, 400, 5).share > base
    assert power(1 / 1.06, 0.05, 8, 400, 5).share == pytest.approx(base, abs=0.08)


@pytest.mark.parametrize("effect", [0.05, 0.06, 0.10])
def test_what_is_said_to_be_resolvable_is_found_in_four_runs_of_five(effect: float) -> None:
    """The formula against the simulation: the noise for which it says `effect`, found by halving."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if resolvable(middle, 12) < effect else (low, middle)
    noise = high / np.sqrt(2)  # of a launch; the spread is that of a difference of two
    assert power(1 + effect, noise, 12, 1000, 6).share == pytest.approx(0.8, abs=0.04)


def test_less_than_equivalence_is_not_looked_for() -> None:
    assert resolvable(0.0, 12) == resolvable(0.001, 12) == pytest.approx(0.03)
    assert resolvable(0.028 * np.sqrt(12) / 2, 12) == pytest.approx(0.0427, abs=0.005)


def test_a_rate_has_an_exact_interval() -> None:
    found = rate(20, 400)
    assert found.share == 0.05
    assert 0.03 < found.low < 0.05 < found.high < 0.08
