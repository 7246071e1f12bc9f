"""What workers tell of their shares becomes one: exactly what is said of all requests, had one process seen them."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.drive.journal import Columns
from harness.drive.orders import LoadOrder, LoadOutcome, Reading
from harness.drive.schedule import intended_ns, phases_of
from harness.plan import CLOSED, POISSON, Load
from harness.record import Requests
from harness.study.merging import ShardTurn, merged, merged_outcome, shard_turn
from harness.study.window import in_flight_between_ns, planned_edges_ns, tally
from tests.makers import changed

STARTED_NS = 5 * 10**9
NOT_EXACT = {"response_slices_ns", "fairness_jain", "worst_client_share", "recovery_s"}


def outcome_of(load: Load, times: Columns) -> LoadOutcome:
    """Return the books of a generator that lost nothing, whose marks were where they should be."""
    sent = int(times.count.sum())
    begin_ns, end_ns = (
        STARTED_NS + int(each * 1e9) for each in (load.warmup_s, load.warmup_s + load.duration_s)
    )

    def mark(at_ns: int) -> Reading:
        return Reading(at_ns=at_ns, server_cpu_ns=0, generator_cpu_ns=at_ns // 3, spun_ns=5)

    return LoadOutcome(
        requests=Requests(
            planned=sent, sent=sent, ok=sent, wrong=0, error=0, timeout=0, in_flight=0, fault=""
        ),
        started_ns=STARTED_NS,
        begin=mark(begin_ns),
        end=mark(end_ns),
        records=len(times.count),
    )


def requests_of(load: Load, seed: int, longest_ns: int = 60_000_000) -> Columns:
    """Return the rows of all requests of a load; of an open loop those of its schedule, whatever the server made of them."""
    random = np.random.default_rng(seed)
    if load.arrivals == CLOSED:
        intended = STARTED_NS + np.sort(random.integers(0, int(load.lasts_s * 1e9), 400))
    else:
        intended = STARTED_NS + intended_ns(phases_of(load), load.arrivals, load.seed)
    many = len(intended)
    waited, took = (
        random.integers(0, longest_ns // 20, many),
        random.integers(longest_ns // 2, longest_ns, many),
    )
    return Columns(
        intended,
        intended + waited,
        intended + waited + 900,
        intended + waited + 900 + took,
        np.ones(many, dtype=np.int64),
        np.arange(many) % load.clients,
    )


def shards(load: Load, times: Columns, workers: int, late_ns: int = 0) -> list[ShardTurn]:
    """Deal requests out like cards, and let each worker sum its own up, by a clock of its own."""
    found = []
    for number in range(workers):
        own = times.where(times.client % workers == number)
        ahead_ns = number * late_ns
        there = Columns(
            own.intended_ns + ahead_ns,
            own.ready_ns + ahead_ns,
            own.sent_ns + ahead_ns,
            own.received_ns + ahead_ns,
            own.count,
            own.client // workers,
        )
        outcome = changed(outcome_of(load, there), started_ns=STARTED_NS + ahead_ns)
        order = LoadOrder(host="", port=0, load=load, generator=number, generators=workers, times_file="")
        told = msgspec.msgpack.encode(shard_turn(load, order, outcome, there))
        found.append(msgspec.msgpack.decode(told, type=ShardTurn))
    return found


LOADS = {
    "closed": Load(clients=12, warmup_s=0.1, duration_s=0.4),
    "open": Load(clients=12, warmup_s=0.1, duration_s=0.4, arrivals=POISSON, rate=900.0, seed=3),
    "relief": Load(
        clients=12,
        warmup_s=0.1,
        duration_s=0.3,
        arrivals=POISSON,
        rate=900.0,
        seed=4,
        relief_s=0.2,
        relief_rate=400.0,
    ),
}


def nearly(found: float | None, exact: float | None) -> bool:
    """Tell whether two are the same but for rounding, or are both missing."""
    return found == exact if found is None or exact is None else math.isclose(found, exact, rel_tol=1e-12)


@pytest.mark.parametrize("name", LOADS)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), workers=st.integers(1, 5), ahead_ns=st.integers(0, 10**15))
def test_parts_make_the_whole(name: str, seed: int, workers: int, ahead_ns: int) -> None:
    load = LOADS[name]
    times = requests_of(load, seed)
    parts = shards(load, times, workers, ahead_ns)
    window, of_requests = merged(load, parts)
    whole, of_whole = tally(load, outcome_of(load, times), times)
    for field in window.__struct_fields__:
        if field not in NOT_EXACT:
            assert getattr(window, field) == getattr(whole, field), field
    assert nearly(window.fairness_jain, whole.fairness_jain)
    assert nearly(window.worst_client_share, whole.worst_client_share)
    for field in ("response", "service", "queueing", "lag", "connect_ns", "response_sum_ns", "censored"):
        assert getattr(of_requests, field) == getattr(of_whole, field), field
    assert len(window.response_slices_ns) == len(whole.response_slices_ns)
    for found, exact in zip(window.response_slices_ns, whole.response_slices_ns, strict=True):
        assert exact <= found <= 1.02 * exact
    if load.relief_s:
        assert window.recovery_s is not None
    begin_ns, end_ns = planned_edges_ns(load, outcome_of(load, times))
    assert sum(each.in_flight_ns for each in parts) == in_flight_between_ns(begin_ns, end_ns, times)


def test_generators_books_add_up() -> None:
    load = LOADS["closed"]
    times = requests_of(load, 1)
    parts = shards(load, times, 3)
    together = merged_outcome(parts)
    assert together.requests.sent == together.requests.ok == 400
    assert together.records == 400
    spun = [each.outcome.begin.spun_ns for each in parts]
    assert together.begin.spun_ns == sum(spun) == 15


def test_it_is_told_how_long_the_last_client_waited_for_its_first_reply() -> None:
    load = LOADS["closed"]
    times = requests_of(load, 2)
    first = [int(times.received_ns[times.client == client].min()) for client in range(load.clients)]
    (part,) = shards(load, times, 1)
    assert part.settled_ns == max(first) - STARTED_NS


def test_no_row_of_a_request_travels() -> None:
    """What a worker tells grows with the spread of the times, and not with the number of requests."""
    load = LOADS["open"]
    few, many = (
        len(msgspec.msgpack.encode(shards(each, requests_of(each, 1, 200_000), 1)[0]))
        for each in (changed(load, rate=10_000.0), changed(load, rate=40_000.0))
    )
    assert many < 2 * few
