"""Slices: what a turn says between its marks, and which cycles are left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.drive.journal import Columns
from harness.drive.orders import LoadOutcome, Reading
from harness.plan import Load
from harness.record import Requests, Slice
from harness.study.observe import TurnSeen
from harness.study.slices import NEIGHBOUR, slice_of, without_neighbours

LENGTH_NS = 100_000_000


def turn(begin_ns: int, rows: list[tuple[int, int, int]], **outcome: int) -> TurnSeen:
    """Return a turn with marks at a time and a slice later, of requests intended and answered, so many at a time."""
    intended, received, counts = np.array(rows or [(0, 0, 0)], dtype=np.int64).T
    zeros = np.zeros(len(counts), dtype=np.int64)
    return TurnSeen(
        Load(),
        LoadOutcome(
            requests=Requests(planned=0, sent=0, ok=0, wrong=0, error=0, timeout=0, in_flight=0, fault=""),
            started_ns=begin_ns - 5_000_000,
            begin=Reading(at_ns=begin_ns, server_cpu_ns=1000, generator_cpu_ns=0, spun_ns=0),
            end=Reading(
                at_ns=begin_ns + LENGTH_NS,
                server_cpu_ns=5000,
                generator_cpu_ns=0,
                spun_ns=0,
                generator_waited_ns=7,
            ),
            records=len(counts),
            **outcome,
        ),
        Columns(intended, intended, intended, received, counts, zeros),
        0.0,
        1.0,
    )


BEFORE = turn(0, [], ended_ns=200_000_000, server_left_ns=300)


def test_what_lies_between_the_marks_counts() -> None:
    begin_ns = 10**9
    rows = [
        (begin_ns - 10, begin_ns - 1, 1),
        (begin_ns - 10, begin_ns + 5, 2),
        (begin_ns + 5, begin_ns + LENGTH_NS, 2),
    ]
    found = slice_of(turn(begin_ns, rows, server_found_ns=450), BEFORE, 3, 1)
    assert (found.cycle, found.place, found.length_s, found.answered) == (3, 1, 0.1, 2)
    assert (found.cpu_ns, found.waited_ns) == (4000, 7)
    assert found.in_flight_ns == 2 * LENGTH_NS
    assert (found.rest_cpu_ns, found.rest_s) == (150, 0.795)


@given(
    st.integers(1, 5),
    st.lists(st.lists(st.integers(1, 60_000_000), max_size=8), min_size=1, max_size=6),
)
def test_in_a_closed_loop_as_much_is_in_flight_as_there_are_clients(
    pipeline: int, responses_ns: list[list[int]]
) -> None:
    """Whatever the responses: each client asks again at once, so that they fill its time without a gap."""
    rows = []
    for of_client in responses_ns:
        at_ns = 0
        for response_ns in [*of_client, 2 * LENGTH_NS]:
            rows.append((at_ns, at_ns + response_ns, pipeline))
            at_ns += response_ns
    assert slice_of(turn(1000, rows), BEFORE, 0, 0).in_flight_ns == len(responses_ns) * pipeline * LENGTH_NS


def slices(waited_shares: list[float]) -> list[Slice]:
    """Return a slice of each cycle, in which the generator was kept from its core for such a share."""
    return [
        Slice(cycle, 0, 0.1, 100, 1000, 0, waited_ns=int(share * 1e8))
        for cycle, share in enumerate(waited_shares)
    ]


def test_a_cycle_with_a_neighbour_is_left_out_for_all() -> None:
    both = {"a": slices([0, 0.1, 0.3, 0]), "b": slices([0, 0, 0, 0])}
    found = without_neighbours(both, pinned=both)
    for server, of_server in both.items():
        expected = [replace(each, reason=NEIGHBOUR) if each.cycle == 2 else each for each in of_server]
        assert list(found[server]) == expected


@pytest.mark.parametrize(("left_out", "of", "kept"), [(1, 3, 2), (2, 6, 4), (2, 5, 5), (3, 6, 6)])
def test_on_a_shared_machine_nothing_is_left_out(left_out: int, of: int, kept: int) -> None:
    found = without_neighbours({"a": slices([0.5] * left_out + [0.0] * (of - left_out))}, pinned={"a"})
    assert sum(not each.reason for each in found["a"]) == kept


def test_who_may_run_on_the_generators_core_is_no_neighbour() -> None:
    found = without_neighbours(
        {"free": slices([0.6, 0, 0, 0]), "pinned": slices([0, 0, 0, 0.6])}, pinned={"pinned"}
    )
    assert [[each.cycle for each in of_server if each.reason] for of_server in found.values()] == [[3], [3]]
