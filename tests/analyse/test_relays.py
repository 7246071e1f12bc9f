"""Handlers that wait, on made-up launches: who is first in which field, ties as ties, and how late the upstream was."""

import math
from collections.abc import Callable, Iterable

import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.relays import MOST, Crossing, neighbours, of_relays, relay_map
from harness.analyse.samples.metrics import metric
from harness.plan import ALL_CORES, QUICK_RELAYS, RELAY, RELAYS, by_name
from harness.record import Sample
from tests.makers import changed

A, B = "threaded", "trio_nursery"
NAMES = ("relay_5ms_16", "relay_5ms_256", "relay_20ms_16", "relay_5ms_64_pool_10", "relay_5ms_16_pool_10")
Make = Callable[..., Sample]


@pytest.fixture
def make_run(make_relayed: Make) -> Callable[..., list[Sample]]:
    """Return a maker of launches of two servers: the second answers so much of the first, block by block the same."""

    def make(factor: float, names: Iterable[str] = NAMES) -> list[Sample]:
        return [
            make_relayed(
                server, block, workload=name, rps=350 * times * (1 + 0.002 * block), load=by_name(name).load
            )
            for name in names
            for block in range(4)
            for server, times in ((A, 1.0), (B, factor))
        ]

    return make


def test_each_pool_has_its_map_the_largest_first(make_run: Callable[..., list[Sample]]) -> None:
    found = of_relays(launches_of(make_run(0.5)), NAMES)
    assert [each.pool for each in found.maps] == [None, 10]
    assert list(found.maps[0].fields) == [(0.005, 16), (0.005, 256), (0.02, 16)]
    assert (found.maps[0].waits_s, found.maps[0].clients) == ([0.005, 0.02], [16, 256])
    assert found.workloads == NAMES


def test_who_answers_most_is_first_and_a_tie_is_one(make_run: Callable[..., list[Sample]]) -> None:
    apart = of_relays(launches_of(make_run(0.5)), NAMES).maps[0].fields[0.005, 16]
    tied = of_relays(launches_of(make_run(1.0)), NAMES).maps[0].fields[0.005, 16]
    other = of_relays(launches_of(make_run(2.0)), NAMES).maps[0].fields[0.005, 16]
    assert apart.most.leaders == (A,)
    assert set(tied.most.leaders) == {A, B}
    assert other.most.leaders == (B,)


GRID = tuple(f"relay_{wait}ms_{clients}" for wait in (5, 20) for clients in (16, 64, 256))


def make_grid(make_relayed: Make, factors: dict[str, float], scatter: float = 0.02) -> list[Sample]:
    """Return launches in which the second server answers so many times as much as the first, field by field."""
    uneven = (1.0, 1 + scatter, 1.0, 1 - scatter)
    return [
        make_relayed(
            server, block, workload=name, rps=350 * times * (1 + 0.002 * block), load=by_name(name).load
        )
        for name in GRID
        for block in range(4)
        for server, times in ((A, 1.0), (B, factors.get(name, 1.0) * uneven[block]))
    ]


def test_the_answer_changes_between_fields_of_which_nobody_leads_both(make_relayed: Make) -> None:
    """At 16 clients half as much, at 64 twice as much: so both are equal in the middle, at 32."""
    factors = {"relay_5ms_16": 0.5, "relay_5ms_64": 2.0, "relay_5ms_256": 2.0, "relay_20ms_256": 2.0}
    found = relay_map(launches_of(make_grid(make_relayed, factors)), [*map(by_name, GRID)], None)
    (divide,) = (each for each in found.divides if each.metric == MOST)
    assert divide.by_clients
    assert (divide.before, divide.after) == ((0.005, 16), (0.005, 64))
    assert (divide.overtaken, divide.overtaking) == (A, B)
    assert divide.crossing is not None
    assert divide.crossing.at == pytest.approx(32, rel=0.01)
    assert 16 < divide.crossing.low < divide.crossing.at < divide.crossing.high < 64


def test_the_less_is_known_the_wider_is_where_both_are_equal(make_relayed: Make) -> None:
    factors = {"relay_5ms_16": 0.5, "relay_5ms_64": 2.0, "relay_5ms_256": 2.0}
    widths = []
    for scatter in (0.01, 0.1):
        launches = launches_of(make_grid(make_relayed, factors, scatter))
        found = relay_map(launches, [*map(by_name, GRID)], None)
        (crossing,) = (each.crossing for each in found.divides if each.metric == MOST and each.by_clients)
        assert crossing is not None
        widths.append(crossing.high / crossing.low)
    assert widths[0] < widths[1]


def test_a_tie_beside_a_field_is_no_change_and_the_wait_may_change_it_too(make_relayed: Make) -> None:
    tied = relay_map(launches_of(make_grid(make_relayed, {"relay_5ms_16": 0.5})), [*map(by_name, GRID)], None)
    assert [each for each in tied.divides if each.metric == MOST] == []
    factors = {name: 0.5 if "20ms" in name else 2.0 for name in GRID}
    found = relay_map(launches_of(make_grid(make_relayed, factors)), [*map(by_name, GRID)], None)
    waits = [each for each in found.divides if each.metric == MOST]
    assert len(waits) == 3
    for each in waits:
        assert not each.by_clients
        assert each.crossing is not None
        assert each.crossing.at == pytest.approx(0.010, rel=0.01)


def test_neighbours_are_those_of_the_grid_and_what_was_not_measured_has_none() -> None:
    assert list(neighbours([(1.0, 16), (1.0, 64), (1.0, 256), (2.0, 16), (2.0, 256)])) == [
        ((1.0, 16), (1.0, 64)),
        ((1.0, 64), (1.0, 256)),
        ((1.0, 16), (2.0, 16)),
        ((1.0, 256), (2.0, 256)),
    ]


def test_a_server_falls_behind_where_it_answers_a_twentieth_less_than_the_best(make_relayed: Make) -> None:
    """As good with 16 clients, half as good with 64: so it is 5 % behind soon after 16; with 20 ms nobody is."""
    factors = {"relay_5ms_64": 0.5, "relay_5ms_256": 0.5}
    found = relay_map(launches_of(make_grid(make_relayed, factors, 0.002)), [*map(by_name, GRID)], None)
    behind = found.behind[B, 0.005]
    share = math.log(1.05) / math.log(2)
    assert behind.at == pytest.approx(16 * 4**share, rel=0.01)
    assert 16 < behind.low < behind.at < behind.high < 64
    assert found.behind[A, 0.005].at == found.behind[B, 0.02].at == math.inf


def test_who_is_behind_everywhere_is_so_from_the_fewest_on(make_relayed: Make) -> None:
    found = relay_map(
        launches_of(make_grid(make_relayed, dict.fromkeys(GRID, 0.5))), [*map(by_name, GRID)], None
    )
    assert found.behind[B, 0.005] == Crossing(0.0, 0.0, 0.0)


def test_threads_are_those_who_have_one_for_each_client_everywhere(make_relayed: Make) -> None:
    samples = [
        changed(sample, threads=sample.load.clients + (2 if sample.cell.server == A else -1))
        for sample in make_grid(make_relayed, {})
    ]
    found = relay_map(launches_of(samples), [*map(by_name, GRID)], None)
    assert found.threaded == {A}


def test_memory_is_looked_at_where_there_are_most_clients(make_relayed: Make) -> None:
    found = relay_map(launches_of(make_grid(make_relayed, {})), [*map(by_name, GRID)], None)
    place, field = found.fullest
    assert place == (0.02, 256)
    assert field.memory is not None


def test_one_field_is_no_map_and_what_every_run_measures_is_in_none(
    make_run: Callable[..., list[Sample]],
) -> None:
    one = ("relay_5ms_16",)
    assert of_relays(launches_of(make_run(0.5, one)), one).maps == ()
    own = (RELAY.name,)
    assert not relay_map(launches_of(make_run(0.5, own)), [RELAY], 100).fields


def test_who_uses_all_cores_is_on_no_map(make_relayed: Make) -> None:
    launches = launches_of(
        make_relayed(server, block, workload="relay_5ms_16", regime=ALL_CORES if server == A else "one core")
        for server in (A, B)
        for block in range(3)
    )
    assert not relay_map(launches, [by_name("relay_5ms_16")], None).fields


def test_how_late_the_upstream_was_is_said_as_a_share_of_its_wait(
    make_run: Callable[..., list[Sample]],
) -> None:
    found = of_relays(launches_of(make_run(1.0)), NAMES)
    assert len(found.errors) == len(NAMES)
    for each in found.errors:
        wait_us = {"relay_20ms_16": 20_000}.get(each.workload, 5_000)
        assert each.median_us == pytest.approx(20, rel=0.02)
        assert each.p90_share == pytest.approx(20 / wait_us, rel=0.02)


def test_a_run_without_relays_says_nothing_of_them() -> None:
    found = of_relays((), ("clients_64",))
    assert (found.workloads, found.maps, found.errors, found.shortfalls) == ((), (), (), ())


def test_figures_of_relays_are_of_relays_alone(make_relayed: Make, make_sample: Make) -> None:
    of_one = ("ceiling_rps", "ceiling_share", "mean_under_way", "core_share", "own_p50_us", "own_p99_us")
    assert all(metric(name).value(make_relayed()) for name in of_one)
    assert all(metric(name).value(make_sample()) is None for name in of_one)
    assert metric("ceiling_rps").value(make_relayed()) == 12_800


def test_the_quick_map_is_a_part_of_the_full_one() -> None:
    assert {each.name for each in QUICK_RELAYS} < {each.name for each in RELAYS}
