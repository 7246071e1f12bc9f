"""What the workloads are."""

import math

import pytest

from harness.drive.background.manners import MANNERS
from harness.errors import UsageError
from harness.oracle import oracle
from harness.plan import (
    CORE,
    OFFERED_RELAYS,
    PEAK,
    QUICK_RELAYS,
    RELAYS,
    WORKLOADS,
    by_name,
    list_of,
    why_not,
)

NAMES = tuple(workload.name for workload in WORKLOADS)


def test_an_unknown_workload_is_named() -> None:
    with pytest.raises(UsageError, match="no workload is called 'nothing'"):
        by_name("nothing")


@pytest.mark.parametrize("size_bytes", [8, 512, 4096, 7, 10])
def test_a_list_is_as_long_as_asked_for_and_legal(size_bytes: int) -> None:
    line = list_of(size_bytes)
    assert len(line) == size_bytes
    assert b"Sum of" in oracle(line.encode())


def test_every_workload_says_what_it_should_separate() -> None:
    assert all(workload.purpose and workload.separates for workload in WORKLOADS)
    assert all("\n" not in workload.purpose + workload.separates for workload in WORKLOADS)
    assert {workload.load.background.kind for workload in WORKLOADS if workload.load.background} == set(
        MANNERS
    )
    assert by_name(PEAK) in CORE
    assert all(by_name(f"line_{size}").load.line == list_of(size) for size in (8, 512, 4096))


def test_what_a_server_cannot_be_given_is_said() -> None:
    assert why_not(None, by_name("idle_10000")) == ""
    assert why_not(1000, by_name("clients_1000")) == ""
    assert "1,000 clients at once, and cannot be given 10,064" in why_not(1000, by_name("idle_10000"))
    assert "one client at a time, and cannot be given 8" in why_not(1, by_name("clients_8"))
    assert why_not(1, by_name("churn")) == "", "whoever is alone for a moment can be served alone"


def test_a_window_lasts_ten_times_as_long_as_any_client_waits_for_wait_and_pool() -> None:
    for workload in (*RELAYS, *QUICK_RELAYS):
        waiting = workload.load.upstream
        assert waiting is not None
        turn_s = max(waiting.wait_s, workload.load.clients * waiting.wait_s / waiting.pool)
        assert (workload.duration_s or 0) >= 10 * turn_s
        assert turn_s <= 0.25


def test_the_map_has_each_wait_with_each_number_of_clients() -> None:
    as_large = {
        (w.load.upstream.wait_s, w.load.clients)
        for w in RELAYS
        if w.load.upstream and w.load.upstream.pool == w.load.clients
    }
    assert len(as_large) == 16
    assert set(QUICK_RELAYS) <= set(RELAYS)
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def test_who_is_limited_by_descriptors_cannot_have_both_all_clients_and_a_pool() -> None:
    assert why_not(1000, by_name("relay_5ms_256")) == ""
    assert "cannot be given 1,000 clients and a pool of 100" in why_not(
        1000, by_name("relay_20ms_1000_pool_100")
    )
    assert why_not(64, by_name("relay_5ms_1000")) == "", "it is given 64"
    assert why_not(None, by_name("relay_5ms_1000")) == ""


def test_a_ceiling_follows_from_wait_clients_and_pool() -> None:
    assert [
        by_name(f"relay_5ms_{case}").load.ceiling_rps for case in ("16", "256", "256_pool_10", "500_pool_100")
    ] == [pytest.approx(rps) for rps in (3_200, 51_200, 2_000, 20_000)]
    assert by_name("relay_5ms_256_mixed").load.ceiling_rps == pytest.approx(51_200 / 0.9)
    assert by_name("clients_64").load.ceiling_rps == math.inf


def test_an_open_loop_around_a_relay_is_offered_a_share_of_its_ceiling() -> None:
    shares = [workload.load.rate / workload.load.ceiling_rps for workload in OFFERED_RELAYS]
    assert shares == [pytest.approx(share) for share in (0.5, 0.8, 0.95, 0.5)]


def test_after_a_stall_there_is_time_enough_to_work_off_what_has_piled_up() -> None:
    """At half of the ceiling as much can be worked off as comes: so it takes as long again as the stall."""
    stalled = by_name("relay_5ms_64_pool_16_offered_50_stall").load
    assert stalled.upstream is not None
    assert stalled.worked_off_s == pytest.approx(stalled.upstream.stall_s)
    assert stalled.relief_s >= 2 * stalled.worked_off_s
    assert by_name("relay_5ms_64_pool_16_offered_95").load.worked_off_s == 0
    assert by_name("relay_5ms_64").load.worked_off_s == 0
