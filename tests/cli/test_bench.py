"""What a command line of `harness bench` stands for."""

from collections.abc import Callable

import pytest

from harness.cli.bench import (
    EVERYTHING,
    BenchOptions,
    _besides,
    _core_only,
    _named,
    _other_ways,
    _plan,
    _relay_only,
    _usual_ways,
    _whole_s,
    bench,
    given_time,
)
from harness.errors import UsageError
from harness.launch.selection import ours, selected
from harness.plan import FREE, FRESH, QUICK_MAP_S, QUICK_RELAYS, RELAY, RELAYS, by_name
from harness.record import Results
from implementations.catalogue import SERVERS
from tests.makers import changed


def test_the_family_of_relays_stands_for_its_map_and_for_a_few_of_it_in_a_quick_run() -> None:
    assert _named(["relays"], None) == _named(["relays"], "full") == list(RELAYS)
    assert _named(["relays"], "quick") == list(QUICK_RELAYS)


def test_whoever_is_named_twice_is_measured_once() -> None:
    assert _named(["churn", "relays", "relay_5ms_16", "churn"], "quick") == [by_name("churn"), *QUICK_RELAYS]


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(UsageError, match="no workload is called 'relay'"):
        _named(["relay"], None)


def test_every_server_of_one_core_is_there_free_and_fresh_and_a_quick_run_gives_them_but_one_relay() -> None:
    usual = selected(("threaded", "thread_pool", "asyncio_streams", "processes"))
    ways = _other_ways(usual, "full")
    labels = [each.label for each in ways]
    servers = ("threaded", "thread_pool", "asyncio_streams")
    assert labels == [*(f"{name}+free" for name in servers), *(f"{name}+fresh" for name in servers)]
    quick = [each.label for each in _other_ways(usual, "quick")]
    assert quick == ["threaded+free", "asyncio_streams+free", "asyncio_streams+fresh"]
    everybody = [*usual, *ways]
    assert _core_only(everybody, everything=False) == {*labels}
    assert _relay_only(everybody, None, everything=False) == {*labels[3:]}
    assert _relay_only(everybody, "quick", everything=False) == {*labels[1:]}


def test_nobody_is_measured_fresh_unasked_where_clients_leave_all_the_time() -> None:
    servers = ("threaded", "asyncio_streams")
    churning = _other_ways(selected(servers), None, _usual_ways(_named(["churn", "flood"], None)))
    assert [each.label for each in churning] == [f"{name}+free" for name in servers]
    assert _usual_ways(_named(["flood"], None)) == _usual_ways([]) == (FREE, FRESH)


def test_an_interrupted_run_may_be_given_another_time_in_all(make_results: Callable[..., Results]) -> None:
    begun = make_results().manifest
    timed = changed(
        begun, whole_s=5400.0, command=("harness", "bench", "--within", "90", "--full", "--within=80")
    )
    longer = given_time(timed, 125)
    assert longer.command == ("harness", "bench", "--full", "--within", "125")
    assert longer.design.whole_s == 7500
    assert changed(longer, whole_s=5400.0, command=timed.command) == timed, "nothing else has changed"
    with pytest.raises(UsageError, match="follows from the number of its blocks"):
        given_time(changed(begun, whole_s=None), 125)


def options(*words: str) -> BenchOptions:
    asked = bench.make_context("harness bench", [*words]).params
    return BenchOptions(**{name: value for name, value in asked.items() if name not in {"resume", "stale"}})


@pytest.mark.parametrize(
    ("words", "whole_s"),
    [
        ((), None),
        (("--full",), 90 * 60),
        (("--full", "--within", "120"), 120 * 60),
        (("--full", "--workload", "relays"), None),
        (("--quick", "--workload", "relays"), QUICK_MAP_S),
        (("--workload", "churn", "--within", "2.5"), 150),
    ],
)
def test_a_run_takes_the_time_that_it_is_given(words: tuple[str, ...], whole_s: float | None) -> None:
    assert _whole_s(options(*words)) == whole_s


def test_a_full_run_leaves_out_the_named_mistake_that_would_not_pass_the_gate() -> None:
    assert {name for name in SERVERS if name.startswith("asyncio_streams+")} - {*EVERYTHING} == {
        "asyncio_streams+blocking",
        "asyncio_streams+loops",
    }


def test_who_is_measured_besides_meets_the_core_alone() -> None:
    usual = selected(("threaded", "processes"))
    besides = _besides(("threaded+free", "asyncio_streams+uvloop"), {each.label for each in usual})
    names = {"threaded+free", "asyncio_streams+uvloop"}
    assert _core_only([*usual, *besides], names, everything=False) == names


def test_nobody_is_measured_twice() -> None:
    with pytest.raises(UsageError, match="--also threaded: it is measured anyway"):
        _besides(("threaded",), {"threaded", "processes"})


def test_what_differs_as_a_relay_alone_is_measured_as_one_alone() -> None:
    named = [ours("asyncio_streams+blocking")]
    assert _relay_only(named, "full", everything=True) == {"asyncio_streams+blocking"}
    assert _relay_only(named, None, everything=False) == frozenset()


def test_the_twin_of_a_full_run_meets_what_servers_meet() -> None:
    """And not the one relay alone: who differs as a relay alone stands last in the order."""
    servers = [*selected(("threaded", "asyncio_streams")), ours("asyncio_streams+to_thread")]
    plan = _plan(options("--full"), servers, set(), None).with_twin()
    assert plan.doubled == "asyncio_streams"
    assert all(
        plan.meets("asyncio_streams+to_thread", each) == (each == RELAY.name) for each in plan.workloads
    )


def test_a_quick_run_has_shorter_blocks_and_fewer_turns_with_many_clients() -> None:
    servers = selected(("threaded", "asyncio_streams"))
    usual, quick = (_plan(options(*words), servers, set(), None).slicing for words in ((), ("--quick",)))
    assert quick.lasts_s < usual.lasts_s * 2 / 3
    assert quick.cycles < usual.cycles
    few = by_name("clients_64").load
    assert quick.under(few).slice_s == pytest.approx(usual.under(few).slice_s)


def test_a_metric_without_a_precision_is_refused() -> None:
    context = bench.make_context("harness bench", ["threaded", "--precision-of", "throughput_rps"])
    with pytest.raises(UsageError, match="--precision-of says of what --precision is"):
        bench.invoke(context)
