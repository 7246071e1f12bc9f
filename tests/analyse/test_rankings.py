"""Rankings: who is first, who is last, and who shares a place."""

from collections.abc import Callable

from harness.analyse.blocks import launches_of
from harness.analyse.rankings import ranking
from harness.analyse.samples.metrics import metric
from harness.record import Results, Sample

THROUGHPUT = metric("throughput_rps")
FAST, MIDDLE, SLOW = (100, 101, 102), (80, 81, 82), (50, 51, 52)
"""Requests/s, by block."""


def test_servers_that_were_not_told_apart_share_a_place(make_results: Callable[..., Results]) -> None:
    found = ranking(launches_of(make_results(factor=1.0).samples), "clients_64", THROUGHPUT)
    assert found is not None
    assert set(found.leaders) == {"threaded", "trio_nursery"}


def test_nobody_is_last_by_one_launch_where_others_have_several(make_sample: Callable[..., Sample]) -> None:
    def last(blocks: int) -> str:
        rates = {"a": FAST, "b": MIDDLE, "c": SLOW[:blocks]}
        samples = [
            make_sample(name, block, rps=rps) for name in rates for block, rps in enumerate(rates[name])
        ]
        found = ranking(launches_of(samples), "clients_64", THROUGHPUT)
        assert found is not None
        assert found.leaders == ("a",)
        return found.last

    assert [last(blocks) for blocks in (1, 2)] == ["b", "c"]


def test_where_all_have_one_launch_they_are_in_order_and_not_told_apart(
    make_sample: Callable[..., Sample],
) -> None:
    samples = [make_sample(name, 0, rps=rps) for name, rps in (("a", 100), ("b", 80))]
    found = ranking(launches_of(samples), "clients_64", THROUGHPUT)
    assert found is not None
    assert (found.first, found.last, found.tells_apart) == ("a", "b", False)
