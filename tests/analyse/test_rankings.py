"""Rankings: who is first, who is last, and who shares a place."""

from collections.abc import Callable
from dataclasses import replace

from harness.analyse.blocks import launches_of
from harness.analyse.comparisons import UNDECIDED
from harness.analyse.rankings import leaders, not_ranked, ranked_rows, ranking, tail_ranking
from harness.analyse.samples.metrics import metric
from harness.analyse.tables import tabulate
from harness.record import Results, Sample
from tests.makers import changed

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


def test_who_is_not_ranked_is_named(make_sample: Callable[..., Sample]) -> None:
    """Else the last of those that are would pass for the last of all."""
    rates = {"a": FAST, "b": MIDDLE, "c": SLOW[:1]}
    samples = [make_sample(name, block, rps=rps) for name in rates for block, rps in enumerate(rates[name])]
    launches = launches_of(samples)
    found = ranking(launches, "clients_64", THROUGHPUT)
    assert found is not None
    assert (found.last, found.without) == ("b", ("c",))
    assert not_ranked(tabulate(launches, "clients_64").rows, "throughput_rps") == ["c"]
    some = ranking(launches, "clients_64", THROUGHPUT, ("a", "b"))
    assert some is not None
    assert some.without == ()


def test_where_all_have_one_launch_they_are_in_order_and_not_told_apart(
    make_sample: Callable[..., Sample],
) -> None:
    samples = [make_sample(name, 0, rps=rps) for name, rps in (("a", 100), ("b", 80))]
    found = ranking(launches_of(samples), "clients_64", THROUGHPUT)
    assert found is not None
    assert (found.first, found.last, found.tells_apart) == ("a", "b", False)


def test_who_failed_in_one_launch_is_not_ranked_by_the_lucky_others(
    make_sample: Callable[..., Sample],
) -> None:
    def samples(unanswered: int) -> list[Sample]:
        return [
            make_sample(name, block, rps=100 * rps, timeout=lost, sent=100 * rps + 10 + lost)
            for name, rates in (("a", FAST), ("b", MIDDLE), ("c", SLOW))
            for block, rps in enumerate(rates)
            for lost in [unanswered if (name, block) == ("a", 1) else 0]
        ]

    for unanswered, best in ((0, "a"), (3, "b")):
        launches = launches_of(samples(unanswered))
        found = ranking(launches, "clients_64", THROUGHPUT)
        assert found is not None
        assert found.first == best
        table = tabulate(launches, "clients_64")
        assert ranked_rows(table.rows, "throughput_rps")[0].server == best
    tail = tail_ranking(launches, "clients_64")
    assert tail is not None
    assert tail.without == ("a",)
    held = ranking(launches, "clients_64", metric("peak_mib"), failed_too=True)
    assert held is not None
    assert "a" in held.estimates


def test_the_first_is_whom_nobody_is_known_to_beat_whatever_blocks_the_means_are_of(
    make_sample: Callable[..., Sample],
) -> None:
    """One server was there in the two quick blocks alone."""
    quick = (1.0, 1.0, 0.2, 0.2, 0.2, 0.2)
    samples = [
        make_sample(name, block, rps=rps * 1000 * factor * (1 + 0.001 * (block % 3)))
        for name, rps, blocks in (("a", 10, 6), ("b", 8, 2), ("c", 5, 6))
        for block, factor in enumerate(quick[:blocks])
    ]
    launches = launches_of(samples)
    found = ranking(launches, "clients_64", THROUGHPUT)
    assert found is not None
    assert found.mean("b") > found.mean("a")
    assert found.leaders == ("a",)
    table = tabulate(launches, "clients_64")
    rows = ranked_rows(table.rows, "throughput_rps")
    assert [row.server for row in leaders(table, rows, "throughput_rps")] == ["a"]


def test_a_pair_has_the_verdict_of_the_table_whoever_is_ranked(make_sample: Callable[..., Sample]) -> None:
    """Two alone are told apart more easily than as a pair of many: but then one report would say both."""
    samples = [
        make_sample(name, block, cpu_us=cpu_us + block % 2)
        for name, cpu_us in (("a", 50), ("b", 60))
        for block in range(4)
    ]
    launches, cpu = launches_of(samples), metric("cpu_us_per_request")
    table = tabulate(launches, "clients_64")
    undecided = [replace(each, verdict=UNDECIDED) for each in table.comparisons[cpu.name]]
    noisy = replace(table, comparisons={**table.comparisons, cpu.name: tuple(undecided)})
    found = [ranking(launches, "clients_64", cpu, table=each) for each in (None, table, noisy)]
    assert [each.leaders if each else () for each in found] == [("a",), ("a",), ("a", "b")]


def test_who_left_a_client_with_nothing_is_not_tied_with_the_fairest(
    make_sample: Callable[..., Sample],
) -> None:
    """A share of 0 has no ratio to any other, so that no comparison tells it apart."""
    samples = [
        changed(each, window=changed(each.window, worst_client_share=share))
        for name, shares in (("fair", (0.9, 0.91, 0.92)), ("unfair", (0.5, 0.0, 0.6)))
        for block, share in enumerate(shares)
        for each in [make_sample(name, block)]
    ]
    found = ranking(launches_of(samples), "clients_64", metric("worst_client_share"))
    assert found is not None
    assert (found.leaders, found.last) == (("fair",), "unfair")
