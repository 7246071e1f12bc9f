"""Plans: which launches, in which order."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.candidates import UsageError
from harness.plan import WORKLOADS, Plan, by_name

NAMES = tuple(workload.name for workload in WORKLOADS)


def plan(seed: int = 1, blocks: int = 3) -> Plan:
    return Plan(("blocking", "threaded", "other"), NAMES, {"blocking": 1}, blocks, 0.1, 1.0, seed)


@given(st.integers(min_value=0, max_value=2**32), st.integers(min_value=1, max_value=8))
def test_every_server_meets_every_workload_that_it_can_serve_once_in_each_block(
    seed: int, blocks: int
) -> None:
    cells = plan(seed, blocks).cells()
    assert set(Counter(cells).values()) == {1}
    assert len(cells) == blocks * (2 * len(NAMES) + 1)
    assert all(by_name(cell.workload).clients == 1 for cell in cells if cell.server == "blocking")
    assert [cell.block for cell in cells] == sorted(cell.block for cell in cells)


@given(st.integers(min_value=0, max_value=2**32))
def test_the_servers_of_a_workload_are_measured_side_by_side(seed: int) -> None:
    cells = plan(seed).cells()
    changes = sum((a.block, a.workload) != (b.block, b.workload) for a, b in pairwise(cells))
    assert changes == 3 * len(NAMES) - 1


def test_the_seed_decides_on_the_order() -> None:
    assert plan(1).cells() == plan(1).cells()
    assert len({plan(seed).cells() for seed in range(20)}) > 1


def test_a_plan_without_a_server_is_the_same_for_the_others() -> None:
    assert {cell.server for cell in plan().without(["other"]).cells()} == {"blocking", "threaded"}


def test_an_unknown_workload_is_named() -> None:
    with pytest.raises(UsageError, match="no workload is called 'nothing'"):
        by_name("nothing")


@given(st.integers(min_value=0, max_value=2**32))
def test_servers_on_all_cores_have_rounds_of_their_own(seed: int) -> None:
    mixed = replace(plan(seed), all_cores=frozenset({"other"}))
    assert Counter(mixed.cells()) == Counter(plan(seed).cells())
    for cells in mixed.rounds():
        assert len({cell.server == "other" for cell in cells}) == 1
        assert {cell.server for cell in mixed.again(cells, 2)} == {cell.server for cell in cells}


def test_a_server_is_spared_more_clients_than_it_can_serve() -> None:
    limited = replace(plan(), most_clients={"blocking": 1, "threaded": 64})
    served = {(cell.server, by_name(cell.workload).clients) for cell in limited.cells()}
    assert max(clients for server, clients in served if server == "threaded") == 64
    assert max(clients for server, clients in served if server == "other") > 64
