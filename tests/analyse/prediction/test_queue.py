"""The queue on a virtual clock against mean value analysis, within its own standard error, at fixed seeds."""

import random
from itertools import islice, pairwise
from statistics import fmean, stdev

import pytest

from harness.analyse.prediction.laws import Demand, Setting
from harness.analyse.prediction.mva import solve
from harness.analyse.prediction.queue import FEWEST, ROUNDS, play, responses

BATCHES, OF_EACH = 40, 1_000
NEED = Demand(core_s=100e-6, latency_s=200e-6)


def played_rps(setting: Setting, demand: Demand, seed: int) -> tuple[float, float]:
    """Return the throughput, and its standard error, from batches that follow each other."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    done = list(islice(play(setting, demand, drawn), (BATCHES + 1) * OF_EACH))
    ends = [done[(batch + 1) * OF_EACH - 1].at_s for batch in range(BATCHES + 1)]
    took_s = [after - before for before, after in pairwise(ends)]
    mean_s = fmean(took_s)
    return OF_EACH / mean_s, OF_EACH / mean_s * stdev(took_s) / mean_s / BATCHES**0.5


@pytest.mark.parametrize("clients", [1, 16, 40, 64, 250])
def test_without_a_pool_it_is_mean_value_analysis(clients: int) -> None:
    setting = Setting(clients, 0.005, clients)
    throughput_rps, error = played_rps(setting, NEED, seed=clients)
    assert abs(throughput_rps - solve(setting, NEED).throughput_rps) < 4 * error
    assert error < 0.01 * throughput_rps


@pytest.mark.parametrize(("clients", "pool"), [(64, 10), (256, 10), (250, 40), (12, 10)])
def test_with_a_pool_what_stands_in_for_it_is_near(clients: int, pool: int) -> None:
    """Exact it is not: a request holds two things at a time."""
    setting = Setting(clients, 0.005, pool)
    throughput_rps, _ = played_rps(setting, NEED, seed=pool)
    assert solve(setting, NEED).throughput_rps == pytest.approx(throughput_rps, rel=0.04)


def test_a_request_that_is_alone_takes_its_demand() -> None:
    setting = Setting(1, 0.005, 1)
    found = fmean(each.response_s for each in responses(setting, NEED))
    assert found == pytest.approx(NEED.alone_s(setting.wait_s), rel=0.001)


def test_all_wait_about_as_long_for_a_pool_that_is_handed_over_in_order() -> None:
    found = sorted(each.response_s for each in responses(Setting(256, 0.005, 10), NEED))
    assert found[-1] < 1.1 * found[0]


def test_the_same_seed_gives_the_same_times() -> None:
    setting = Setting(20, 0.005, 10)
    assert responses(setting, NEED, seed=1) == responses(setting, NEED, seed=1)
    assert responses(setting, NEED, seed=1) != responses(setting, NEED, seed=2)


@pytest.mark.parametrize(("clients", "wanted"), [(16, FEWEST), (4_000, ROUNDS * 4_000)])
def test_every_client_has_been_answered_before_anything_counts(clients: int, wanted: int) -> None:
    found = responses(Setting(clients, 0.001, clients), NEED)
    assert len(found) == wanted
    assert all(each.response_s < each.at_s for each in found)
