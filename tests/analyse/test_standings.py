"""How servers stand while they are measured: bars that overlap wherever a pair is not told apart."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.comparisons import BETTER, WORSE, compare_all
from harness.analyse.samples.metrics import metric
from harness.analyse.standings import standings
from harness.record import Placement, Sample

CPU = metric("cpu_us_per_request")


def test_one_block_has_figures_and_no_bars(make_sample: Callable[..., Sample]) -> None:
    launches = launches_of([make_sample("slow", cpu_us=50), make_sample("quick", cpu_us=20)])
    assert [(each.server, round(each.mean), each.low) for each in standings(launches, "clients_64", CPU)] == [
        ("quick", 20, None),
        ("slow", 50, None),
    ]
    assert standings(launches, "clients_500", CPU) == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("free", ["", "c", "abcdef"])
def test_bars_overlap_where_no_difference_is_known(
    make_sample: Callable[..., Sample], seed: int, free: str
) -> None:
    rng = np.random.default_rng(seed)
    costs = dict(zip("abcdef", (20, 21, 23, 26, 30, 31), strict=True))
    samples = [
        make_sample(
            server,
            block,
            cpu_us=cost * float(np.exp(rng.normal(0, 0.05))),
            placement=Placement(pinned=server not in free, free=server in free),
        )
        for block in range(6)
        for server, cost in costs.items()
    ]
    launches = launches_of(samples)
    bars = {each.server: each for each in standings(launches, "clients_64", CPU)}
    different = seen = 0
    for pair in compare_all(launches, "clients_64", CPU):
        a, b = bars[pair.a], bars[pair.b]
        assert None not in (a.low, a.high, b.low, b.high)
        apart = a.high < b.low or b.high < a.low  # type: ignore[operator] # just shown
        assert pair.verdict in {BETTER, WORSE} or not apart
        different += pair.verdict in {BETTER, WORSE}
        seen += apart
    assert 0 < different < 15
    assert seen >= 0.8 * different
