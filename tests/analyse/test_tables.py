"""Tables of servers."""

from collections.abc import Callable

import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.tables import tabulate
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import Results, Sample
from tests.makers import changed


def test_invalid_samples_stay_visible_and_are_not_ranked(make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample("a", block) for block in range(3)] + [
        make_sample("b", 0, wrong=1),
        make_sample("a", 3, wrong=1),
    ]
    table = tabulate(launches_of(samples), "clients_64")
    assert [row.server for row in table.rows] == ["a", "b"]
    assert table.row("a").launches == 4
    assert len(table.row("a").invalid) == 2
    assert table.row("b").estimates["throughput_rps"] is None
    assert table.comparisons["throughput_rps"] == ()


def test_a_quantile_that_some_launch_cannot_say_is_that_of_all_together(
    make_sample: Callable[..., Sample],
) -> None:
    launches = launches_of([make_sample("a", block, rps=rps) for block, rps in enumerate((80, 30_000))])
    row = tabulate(launches, "clients_64").row("a")
    pooled = row.estimates["response_p99_us"]
    assert row.values["response_p99_us"] == ()
    assert pooled is not None
    assert pooled.low is None
    assert pooled.mean == pytest.approx(4960, rel=0.02)


def test_a_quantile_behind_which_little_stands_is_known_as_one(make_sample: Callable[..., Sample]) -> None:
    few, enough = (
        tabulate(
            launches_of([make_sample("a", block, rps=30_000) for block in range(blocks)]), "clients_64"
        ).row("a")
        for blocks in (2, 4)
    )
    assert few.few == {"response_p999_us"}
    assert not enough.few
    for row in (few, enough):
        estimate = row.estimates["response_p999_us"]
        assert estimate is not None
        assert estimate.low is not None


def test_a_table_is_sorted_by_throughput(make_results: Callable[..., Results]) -> None:
    table = tabulate(launches_of(make_results(factor=2.0).samples), "clients_64")
    assert [row.server for row in table.rows] == ["trio_nursery", "threaded"]
    assert table.row("trio_nursery").letters["throughput_rps"] == "a"
    assert table.row("threaded").letters["throughput_rps"] == "b"


def test_who_failed_is_compared_and_is_not_held_against_others(make_sample: Callable[..., Sample]) -> None:
    """One launch of "c" cannot be used by a fault of its own: the others are the lucky ones."""
    samples = [
        make_sample(server, block, rps=rps + block)
        for server, rps in (("a", 1000), ("b", 2000), ("c", 3000))
        for block in range(4)
    ]
    whole, short = (
        tabulate(launches_of(each), "clients_64")
        for each in (samples, [*samples[:-1], changed(samples[-1], wrong=1)])
    )
    assert len(whole.sound("throughput_rps")) == len(short.comparisons["throughput_rps"]) == 3
    assert [{each.a, each.b} for each in short.sound("throughput_rps")] == [{"a", "b"}]
    assert short.sound("response_max") == ()


def test_a_table_is_of_one_regime(make_sample: Callable[..., Sample]) -> None:
    samples = [
        make_sample(server, block, regime=regime)
        for block in range(2)
        for server, regime in (("a", ONE_CORE), ("b", ALL_CORES))
    ]
    assert [row.server for row in tabulate(launches_of(samples), "clients_64").rows] == ["a"]
    assert [row.server for row in tabulate(launches_of(samples), "clients_64", ALL_CORES).rows] == ["b"]
