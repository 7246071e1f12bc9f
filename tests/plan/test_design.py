"""Plans: which launches there are, in which order, and how long they take."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan import (
    CORE,
    PROFILES,
    QUICK_RELAYS,
    RELAY,
    RELAY_BLOCKS,
    RELAYS,
    SLICING,
    WORKLOADS,
    Plan,
    Workload,
    by_name,
    in_slices,
    twin_of,
)
from tests.makers import changed

NAMES = tuple(workload.name for workload in WORKLOADS if not workload.relayed)
FOR_ONE = [name for name in NAMES if by_name(name).connections == 1]


def plan(seed: int = 1, blocks: int = 3) -> Plan:
    servers = ("blocking", "threaded", "other")
    return Plan(servers, NAMES, {"blocking": 1}, dict.fromkeys(NAMES, blocks), 0.1, 1.0, seed)


@given(st.integers(min_value=0, max_value=2**32), st.integers(min_value=1, max_value=8))
def test_every_server_meets_every_workload_that_it_can_serve_once_in_each_block(
    seed: int, blocks: int
) -> None:
    cells = plan(seed, blocks).cells()
    assert set(Counter(cells).values()) == {1}
    assert len(cells) == blocks * (2 * len(NAMES) + len(FOR_ONE))
    assert {cell.workload for cell in cells if cell.server == "blocking"} == set(FOR_ONE)
    assert [cell.block for cell in cells] == sorted(cell.block for cell in cells)


@given(st.integers(min_value=0, max_value=2**32))
def test_the_servers_of_a_workload_are_measured_side_by_side(seed: int) -> None:
    cells = plan(seed).cells()
    changes = sum((a.block, a.workload) != (b.block, b.workload) for a, b in pairwise(cells))
    assert changes == 3 * len(NAMES) - 1


def test_a_workload_of_fewer_blocks_is_spread_over_the_run() -> None:
    blocks = {"clients_64": 12, "churn": 3}
    cells = Plan(("a",), tuple(blocks), {}, blocks, 0.1, 1.0, 4).cells()
    assert Counter(cell.workload for cell in cells) == blocks
    places = [place for place, cell in enumerate(cells) if cell.workload == "churn"]
    assert [b - a for a, b in pairwise(places)] == pytest.approx([5, 5], abs=1)
    for name in blocks:
        own = [cell.block for cell in cells if cell.workload == name]
        assert own == sorted(own)


def test_the_seed_decides_on_the_order() -> None:
    assert plan(1).cells() == plan(1).cells()
    assert len({plan(seed).cells() for seed in range(20)}) > 1


def test_a_plan_without_a_server_is_the_same_for_the_others() -> None:
    assert {cell.server for cell in plan().without(["other"]).cells()} == {"blocking", "threaded"}


def test_the_last_server_that_serves_every_workload_is_measured_twice() -> None:
    doubled = plan().with_twin()
    assert doubled.doubled == "other"
    assert doubled.servers == (*plan().servers, twin_of("other"))
    assert plan().doubled == ""
    assert doubled.without(["other"]).servers == ("blocking", "threaded")


def test_nobody_is_measured_twice_if_nobody_serves_every_workload() -> None:
    alone = Plan(("blocking",), NAMES, {"blocking": 1}, dict.fromkeys(NAMES, 1), 0.1, 1.0, 1)
    assert alone.with_twin() == alone


def test_profiles_measure_the_core_most_often() -> None:
    assert [workload.name for workload in CORE] == [
        "ping_pong",
        "clients_64",
        "clients_500",
        "clients_64_pipeline_16",
    ]
    quick = PROFILES["quick"]
    assert [each.name for each in WORKLOADS if quick.blocks(each)] == [
        "clients_64",
        "clients_500",
        "relay_5ms_500_pool_100",
    ]
    for name, blocks in {"standard": (4, 3), "full": (4, 3)}.items():
        assert (PROFILES[name].blocks(CORE[0]), PROFILES[name].blocks(by_name("churn"))) == blocks
        often = ("clients_1000", "idle_10000", "costly", "flood")
        assert {PROFILES[name].blocks(by_name(each)) for each in often} == {4}, "what decides is told apart"


def test_a_full_run_of_ten_servers_measures_for_about_an_hour() -> None:
    servers = tuple(f"server_{number}" for number in range(10))
    full = PROFILES["full"]
    blocks = {workload.name: full.blocks(workload) for workload in WORKLOADS}
    whole = Plan(
        servers, tuple(blocks), {servers[0]: 1, servers[1]: 64}, blocks, full.warmup_s, full.duration_s, 1
    )
    assert 45 * 60 < whole.seconds() < 65 * 60, whole.seconds() / 60


def test_a_variant_meets_many_clients_that_ask_one_thing_at_a_time() -> None:
    blocks = {each.name: 1 for each in CORE}
    plan = Plan(("a", "b"), tuple(blocks), {}, blocks, 0.3, 1.0, 1, core_only=frozenset({"b"}))
    assert {cell.workload for cell in plan.cells() if cell.server == "b"} == {
        "clients_64",
        "clients_500",
    }


def test_an_estimate_counts_what_each_workload_takes() -> None:
    plan = Plan(("a",), NAMES, {}, dict.fromkeys(NAMES, 1), 0.3, 1.0, 1)
    assert plan.seconds_of("soak") == pytest.approx(plan.seconds_of("overload") + 7.5)
    assert plan.seconds_of("idle_10000") > plan.seconds_of("costly") + 1
    longer = changed(plan, slicing=changed(plan.slicing, cycles=plan.slicing.cycles + 10))
    per_slice_s = (longer.seconds_of("clients_500") - plan.seconds_of("clients_500")) / 10
    assert plan.slicing.slice_s < per_slice_s < 2 * plan.slicing.slice_s
    assert longer.seconds_of("soak") == plan.seconds_of("soak")
    assert plan.seconds() == pytest.approx(sum(map(plan.seconds_of, NAMES)))


def test_few_clients_are_loaded_in_shorter_slices_for_as_long_in_all() -> None:
    few, many = (SLICING.under(by_name(name).load) for name in ("clients_64", "clients_500"))
    assert many == SLICING
    assert (few.cycles, few.slice_s) == (4 * many.cycles, many.slice_s / 4)
    assert few.lasts_s == pytest.approx(many.lasts_s)


@given(st.integers(min_value=0, max_value=2**32))
def test_servers_on_all_cores_have_rounds_of_their_own(seed: int) -> None:
    mixed = changed(plan(seed), all_cores=frozenset({"other"}))
    assert Counter(mixed.cells()) == Counter(plan(seed).cells())
    for cells in mixed.rounds():
        assert len({cell.server == "other" for cell in cells}) == 1
        again = {cell.server for cell in mixed.again(cells, 2)}
        assert again == (set() if in_slices(cells[0].workload) else {cell.server for cell in cells})
        assert not changed(mixed, whole_s=300.0).again(cells, 2)


def test_a_variant_meets_the_core_workloads_only() -> None:
    both = ("clients_64", "churn")
    plan = Plan(
        ("one", "variant"), both, {}, dict.fromkeys(both, 2), 0.1, 1.0, 5, core_only=frozenset({"variant"})
    )
    assert {cell.workload for cell in plan.cells() if cell.server == "variant"} == {"clients_64"}
    assert {cell.workload for cell in plan.cells() if cell.server == "one"} == set(both)
    twin = {cell.workload for cell in plan.with_twin().cells() if cell.server == twin_of("one")}
    assert twin == {"clients_64"}
    churn_alone = changed(plan, workloads=("churn",), blocks={"churn": 2}).with_twin()
    assert any(cell.server == twin_of("one") for cell in churn_alone.cells())


def test_a_server_is_spared_more_clients_than_it_can_serve() -> None:
    limited = changed(plan(), most_clients={"blocking": 1, "threaded": 64})
    served = {(cell.server, by_name(cell.workload).load.clients) for cell in limited.cells()}
    assert max(clients for server, clients in served if server == "threaded") == 64
    assert max(clients for server, clients in served if server == "other") > 64


def of_relays(workloads: Sequence[Workload], blocks: int) -> Plan:
    """Return a plan of seven servers that take what they get, one that select() limits, one for 64 clients, and one for one."""
    servers = (*(f"server_{number}" for number in range(7)), "watched", "pool", "alone")
    names = tuple(workload.name for workload in workloads)
    return Plan(
        servers, names, {"alone": 1, "pool": 64, "watched": 1000}, dict.fromkeys(names, blocks), 0.3, 1.0, 1
    )


def test_the_map_of_relays_takes_no_longer_than_is_promised() -> None:
    assert of_relays(RELAYS, RELAY_BLOCKS).seconds() < 25 * 60
    assert of_relays(QUICK_RELAYS, 1).seconds() < 80


def test_a_relay_is_given_as_many_clients_as_it_serves_and_one_for_one_client_meets_the_fewest() -> None:
    met = {(cell.server, by_name(cell.workload).load.clients) for cell in of_relays(RELAYS, 1).cells()}
    assert {clients for server, clients in met if server == "pool"} == {16, 64, 256, 1000}
    assert {clients for server, clients in met if server == "alone"} == {16}


def test_who_asks_no_upstream_meets_no_relay_workload() -> None:
    both = changed(of_relays((RELAY, by_name("churn")), 1), no_relays=frozenset({"pool"}))
    assert {cell.workload for cell in both.cells() if cell.server == "pool"} == {"churn"}


def test_variants_meet_the_relay_that_every_run_measures() -> None:
    both = changed(of_relays((RELAY, QUICK_RELAYS[0]), 1), core_only=frozenset({"pool"}))
    assert {cell.workload for cell in both.cells() if cell.server == "pool"} == {RELAY.name}


def test_who_is_there_for_that_relay_meets_nothing_else() -> None:
    several = of_relays((RELAY, QUICK_RELAYS[0], by_name("clients_64")), 1)
    alone = changed(several, relay_only=frozenset({"pool"}))
    assert {cell.workload for cell in alone.cells() if cell.server == "pool"} == {RELAY.name}


def test_a_full_run_has_all_relays_and_others_the_one() -> None:
    relays = [workload for workload in WORKLOADS if workload.relayed]
    measured = {
        name: {workload for workload in relays if profile.blocks(workload)}
        for name, profile in PROFILES.items()
    }
    assert measured == {"quick": {RELAY}, "standard": {RELAY}, "full": {*relays}}
