"""The open loop's schedule, on a virtual clock."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.drive.schedule import Agenda, RateStep, intended_ns, share_of

MS = 1_000_000
S = 1_000_000_000


def simulated(
    intended: Sequence[int],
    connections: int,
    serve: Callable[[int], int],
    depth: int = 1,
) -> list[tuple[int, int, int, int]]:
    """Drive an agenda against one FIFO server; return intended, ready, sent, received of each request.

    Args:
        intended: when the requests are intended.
        connections: how many there are.
        serve: from when the server could begin with a request to when it has answered it.
        depth: how many requests each connection may have in flight.
    """
    agenda = Agenda(intended, connections, depth)
    in_flight: list[tuple[int, int, int, int, int]] = []  # received, connection, intended, ready, sent
    free_ns = 0
    done = []

    def send(turn: tuple[int, int, int] | None, now_ns: int) -> None:
        nonlocal free_ns
        if turn:
            connection, intended_ns, ready_ns = turn
            free_ns = serve(max(free_ns, now_ns))
            in_flight.append((free_ns, connection, intended_ns, ready_ns, now_ns))

    while in_flight or agenda.next_ns < math.inf:
        if in_flight and in_flight[0][0] <= agenda.next_ns:
            received_ns, connection, intended_ns, ready_ns, sent_ns = in_flight.pop(0)
            done.append((intended_ns, ready_ns, sent_ns, received_ns))
            send(agenda.freed(connection, received_ns), received_ns)
        else:
            now_ns = int(agenda.next_ns)
            for turn in agenda.due(now_ns, 16):
                send(turn, now_ns)
    return done


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert list(intended_ns([RateStep(4, 1)], "constant", 0)) == [0, S // 4, S // 2, 3 * S // 4]


def test_a_second_phase_begins_when_the_first_ends() -> None:
    assert list(intended_ns([RateStep(2, 1), RateStep(0, 1), RateStep(1, 2)], "constant", 0)) == [
        0,
        S // 2,
        2 * S,
        3 * S,
    ]


@settings(deadline=None)
@given(st.floats(min_value=0.5, max_value=5000), st.floats(min_value=0.01, max_value=3))
def test_as_many_are_planned_as_the_rate_says(rate: float, duration_s: float) -> None:
    times = intended_ns([RateStep(rate, duration_s)], "constant", 0)
    assert abs(len(times) - rate * duration_s) <= 1
    assert (times < duration_s * S).all()


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_poisson_gaps_are_exponential(seed: int) -> None:
    gaps = np.diff(intended_ns([RateStep(5000, 4)], "poisson", seed))
    assert scipy.stats.kstest(gaps, "expon", args=(0, S / 5000)).pvalue > 0.001


def test_poisson_counts_vary_as_much_as_their_mean() -> None:
    counts = np.bincount(intended_ns([RateStep(1000, 50)], "poisson", 7) // (S // 10))
    assert np.var(counts) / np.mean(counts) == pytest.approx(1, abs=0.2)


def test_a_seed_decides_on_everything() -> None:
    phases = [RateStep(100, 1), RateStep(300, 1)]
    assert (intended_ns(phases, "poisson", 3) == intended_ns(phases, "poisson", 3)).all()
    assert not np.array_equal(intended_ns(phases, "poisson", 3), intended_ns(phases, "poisson", 4))


def test_unknown_arrivals_are_refused() -> None:
    with pytest.raises(ValueError, match="'bursty'"):
        intended_ns([RateStep(1, 1)], "bursty", 0)


@given(st.integers(min_value=1, max_value=5), st.integers(min_value=0, max_value=100))
def test_several_generators_send_exactly_the_schedule(generators: int, planned: int) -> None:
    times = np.arange(planned, dtype=np.int64)
    shares = [share_of(times, place, generators) for place in range(generators)]
    assert sorted(np.concatenate(shares)) == list(times)


@settings(deadline=None)
@given(
    st.lists(st.integers(min_value=0, max_value=10**6), max_size=60).map(sorted),
    st.integers(min_value=1, max_value=5),
    st.integers(min_value=1, max_value=3),
    st.integers(min_value=1, max_value=10**5),
)
def test_nothing_is_dropped_and_no_intended_time_slips(
    intended: list[int], connections: int, depth: int, delay_ns: int
) -> None:
    done = simulated(intended, connections, lambda begin_ns: begin_ns + delay_ns, depth)
    assert sorted(row[0] for row in done) == intended
    for intended_at, ready, sent, received in done:
        assert intended_at <= ready <= sent < received
        assert sent == ready, "on a virtual clock the generator has no lag"
    for at in {row[2] for row in done}:
        assert sum(sent <= at < received for _, _, sent, received in done) <= connections * depth


def test_a_fixed_delay_is_the_response() -> None:
    done = simulated(range(0, 100 * MS, MS), 4, lambda begin_ns: begin_ns + MS // 2)
    assert {received - intended for intended, _, _, received in done} == {MS // 2}


def test_a_request_whose_connection_is_busy_is_ready_when_the_reply_comes() -> None:
    agenda = Agenda([0, 5, 30], 1)
    assert agenda.due(0, 16) == [(0, 0, 0)]
    assert agenda.due(10, 16) == []
    assert agenda.freed(0, 20) == (0, 5, 20)
    assert agenda.freed(0, 40) is None
    assert agenda.due(45, 16) == [(0, 30, 40)], "due before it was free, and not noticed before it was"


def test_a_lost_connection_sends_no_more_and_the_others_go_on() -> None:
    agenda = Agenda(range(6), 2)
    assert agenda.due(1, 16) == [(0, 0, 0), (1, 1, 1)]
    agenda.lose(0)
    assert agenda.due(9, 16) == []
    assert agenda.freed(1, 9) == (1, 3, 9)
    assert agenda.freed(1, 9) == (1, 5, 9)
    assert agenda.freed(1, 9) is None
    assert agenda.next_ns == math.inf


@pytest.mark.parametrize("utilisation", [0.25, 0.5, 0.8])
def test_a_stall_is_seen_by_all_who_would_have_asked(utilisation: float) -> None:
    """The stall oracle: of a server stopped for S of T seconds, P(response > x) = (S - x) / ((1 - utilisation) T)."""
    stall_ns, total_ns, service_ns = 200 * MS, 4000 * MS, 100_000
    stopped_ns, gap_ns = 1000 * MS, round(service_ns / utilisation)

    def serve(begin_ns: int) -> int:
        if stopped_ns <= begin_ns < stopped_ns + stall_ns:
            begin_ns = stopped_ns + stall_ns
        return begin_ns + service_ns

    done = simulated(range(0, total_ns, gap_ns), 16, serve)
    responses = np.array([received - intended for intended, _, _, received in done])
    services = np.array([received - sent for _, _, sent, received in done])
    for beyond_ns in (10 * MS, 50 * MS, 100 * MS, 150 * MS):
        expected = (stall_ns - beyond_ns) / ((1 - utilisation) * total_ns)
        assert np.mean(responses > beyond_ns) == pytest.approx(expected, rel=0.03)
    assert np.sum(services > 100 * MS) <= 16, "the service view shows but one outlier for each connection"


def test_the_queue_is_that_of_the_theory() -> None:
    """M/D/1: Poisson arrivals at one FIFO server wait for rho D / (2 (1 - rho)) on average (Pollaczek, Khinchine)."""
    service_ns, utilisation = MS, 0.7
    intended = intended_ns([RateStep(utilisation * 1000, 400)], "poisson", 11)
    done = simulated(intended.tolist(), 200, lambda begin_ns: begin_ns + service_ns)
    waits = [received - intended_at - service_ns for intended_at, _, _, received in done]
    assert np.mean(waits) == pytest.approx(utilisation * service_ns / (2 * (1 - utilisation)), rel=0.05)
