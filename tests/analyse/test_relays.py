"""Handlers that wait, on made-up launches: who is first in which field, ties as ties, and how late the upstream was."""

from collections.abc import Callable, Iterable

import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.relays import of_relays, relay_map
from harness.analyse.samples.metrics import metric
from harness.plan import ALL_CORES, QUICK_RELAYS, RELAY, RELAYS, by_name
from harness.record import Sample
from tests.analyse.relay_grids import GRID, A, B, Make, make_grid
from tests.makers import changed

NAMES = ("relay_5ms_16", "relay_5ms_256", "relay_20ms_16", "relay_5ms_64_pool_10", "relay_5ms_16_pool_10")


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
