"""From times to a window: exact, on made-up times; and merging what several generators did."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analyse.samples.recovery import recovered_after_s
from harness.drive.journal import Columns
from harness.drive.orders import LoadOutcome, Reading, merge_outcomes
from harness.drive.schedule import intended_ns, phases_of, share_of
from harness.plan import Load
from harness.record import Requests, RequestTimes, Window, add_histograms
from harness.record.buckets import bucket_of
from harness.study.window import SLICES, jain_index, repeats, response_slices, tally, worst_share
from tests.makers import changed

S = 1_000_000_000
MS = 1_000_000
START = 5 * S
LOAD = Load(clients=4, warmup_s=1.0, duration_s=2.0, arrivals="constant", rate=1000.0)


def reading(at_ns: int, server_cpu_ns: int, generator_cpu_ns: int, spun_ns: int) -> Reading:
    return Reading(
        at_ns=at_ns, server_cpu_ns=server_cpu_ns, generator_cpu_ns=generator_cpu_ns, spun_ns=spun_ns
    )


def outcome(planned: int, ok: int, **changes: int) -> LoadOutcome:
    counts = {"wrong": 0, "error": 0, "timeout": 0, "in_flight": 0} | changes
    return LoadOutcome(
        requests=Requests(planned=planned, sent=ok + sum(counts.values()), ok=ok, **counts, fault=""),
        started_ns=START,
        begin=reading(START + S, 10, 20, 5),
        end=reading(START + 3 * S, 110, 220, 55),
        records=ok,
    )


def times(intended: list[int], delay_ns: int) -> Columns:
    at = np.array(intended, dtype=np.int64) + START
    return Columns(
        at, at + 1000, at + 3000, at + delay_ns, np.ones(len(at), dtype=np.int64), np.arange(len(at)) % 4
    )


def scheduled(load: Load) -> list[int]:
    return [int(at) for at in intended_ns(phases_of(load), load.arrivals, load.seed)]


def test_an_open_loops_window_is_of_what_was_intended_in_it() -> None:
    window, of_requests = tally(LOAD, outcome(3000, 3000), times(scheduled(LOAD), 10 * MS))
    assert (window.offered, window.answered, of_requests.censored, window.late) == (2000, 2000, 0, 0)
    assert window.answered_in_warmup == 990
    assert sum(of_requests.response.histogram.values()) == 2000
    assert (of_requests.response.max_ns, of_requests.service.max_ns) == (10 * MS, 10 * MS - 3000)
    assert (of_requests.queueing.max_ns, of_requests.lag.max_ns) == (1000, 2000)
    assert of_requests.response_sum_ns == 2000 * 10 * MS
    assert window.series == (100,) * 20
    assert window.warmup_series == (90, *(100,) * 9)
    assert window.response_slices_ns == (10 * MS,) * SLICES


def test_a_generator_late_at_the_edge_of_the_window_loses_nothing() -> None:
    rows, late = times(scheduled(LOAD), 10 * MS), outcome(3000, 3000)
    late = changed(late, begin=changed(late.begin, at_ns=late.begin.at_ns + 300 * MS))
    assert tally(LOAD, late, rows) == tally(LOAD, outcome(3000, 3000), rows)
    closed = changed(LOAD, arrivals="closed")
    assert tally(closed, late, rows)[0].length_s == pytest.approx(1.7)


def test_what_is_never_answered_is_censored_not_forgotten() -> None:
    answered = scheduled(LOAD)[:2500]
    window, of_requests = tally(LOAD, outcome(3000, 2500, in_flight=4), times(answered, MS))
    assert window.offered == 2000
    assert of_requests.censored == 500
    assert sum(of_requests.response.histogram.values()) + of_requests.censored == window.offered


def test_what_was_sent_late_is_counted() -> None:
    rows = times(scheduled(LOAD), 10 * MS)
    late = changed(rows, sent_ns=rows.sent_ns + np.where(rows.intended_ns % (10 * MS) == 0, 2 * MS, 0))
    assert tally(LOAD, outcome(3000, 3000), late)[0].late == 200


def test_a_closed_loops_window_is_of_what_was_answered_in_it() -> None:
    load = changed(LOAD, arrivals="closed")
    rows = times(list(range(0, 3 * S, MS)), 10 * MS)
    window, of_requests = tally(load, outcome(3000, 3000, error=2), rows)
    assert (window.offered, window.answered, of_requests.censored) == (2000, 2000, 2)
    assert sum(of_requests.response.histogram.values()) == 2000
    assert window.response_slices_ns == ()


def test_a_slice_is_summed_up_by_its_99th_of_a_hundred() -> None:
    rows = times([at * 10_000 for at in range(1000)], MS)
    slow = changed(rows, received_ns=rows.received_ns + np.where(np.arange(1000) < 2, 50 * MS, 0))
    slices = response_slices(slow, START, 10 * MS)
    assert slices[0] == 51 * MS
    assert set(slices[1:]) == {MS}
    assert response_slices(times([], 0), START, S) == (0,) * SLICES


@settings(max_examples=25)
@given(
    st.integers(min_value=1, max_value=4),
    st.integers(min_value=0, max_value=2**32),
    st.sampled_from(["constant", "poisson"]),
)
def test_several_generators_merge_exactly(generators: int, seed: int, arrivals: str) -> None:
    """What is said of all together is what each says of its share, added up."""
    load = changed(LOAD, arrivals=arrivals, seed=3)
    schedule = intended_ns(phases_of(load), arrivals, 3)
    received = schedule + np.random.default_rng(seed).integers(1, 3 * S, len(schedule))

    def window(place: int, count: int) -> tuple[Window, RequestTimes]:
        mine = share_of(schedule, place, count) + START
        at = share_of(received, place, count) + START
        rows = Columns(mine, mine, mine, at, np.ones(len(mine), dtype=np.int64), np.arange(len(mine)) % 4)
        return tally(load, outcome(len(mine), len(mine)), rows)

    whole, parts = window(0, 1), [window(place, generators) for place in range(generators)]
    responses = [of_part.response.histogram for _, of_part in parts]
    assert add_histograms(responses) == whole[1].response.histogram
    assert sum(part.answered for part, _ in parts) == whole[0].answered
    assert sum(of_part.response_sum_ns for _, of_part in parts) == whole[1].response_sum_ns
    assert tuple(map(sum, zip(*(part.series for part, _ in parts), strict=True))) == whole[0].series


def test_outcomes_merge_and_stay_conserved() -> None:
    one, two = outcome(10, 5, timeout=2), changed(outcome(20, 15, error=1, in_flight=1), fault="broken")
    both = merge_outcomes([one, two])
    requests = both.requests
    assert (requests.planned, requests.sent, requests.never_sent) == (30, 24, 6)
    lost = requests.wrong + requests.error + requests.timeout + requests.in_flight
    assert requests.sent == requests.ok + lost
    assert requests.fault == "broken"
    assert both.end == reading(one.end.at_ns, one.end.server_cpu_ns, 440, 110)
    assert merge_outcomes([one]) == one
    left, right = merge_outcomes([merge_outcomes([one, two]), one]), merge_outcomes([two, one])
    assert left == merge_outcomes([one, right])


@pytest.mark.parametrize("rate", [0.0, 500.0])
def test_the_warm_up_may_have_another_rate(rate: float) -> None:
    load = changed(LOAD, warmup_rate=rate)
    planned = scheduled(load)
    assert len(planned) == rate + 2000
    assert tally(load, outcome(len(planned), len(planned)), times(planned, MS))[0].offered == 2000


def in_flight(intended_ms: list[float], received_ms: list[float]) -> Columns:
    begun, ended = (np.rint(np.array(at_ms) * MS).astype(np.int64) for at_ms in (intended_ms, received_ms))
    return Columns(begun, begun, begun, ended, np.ones_like(begun), np.arange(len(begun)))


def test_all_who_waited_through_one_stall_are_one_observation() -> None:
    quick = [float(at) for at in range(50)]
    stalled = [50.1, 50.2, 50.3, 50.4]  # then nobody is answered for 100 ms
    rows = in_flight([*quick, *stalled], [*(at + 0.5 for at in quick), *(at + 100 for at in stalled)])
    assert sum(repeats(rows).values()) == 3
    assert max(repeats(rows)) <= bucket_of(np.array([100 * MS]))[0]


def test_a_slow_server_that_answers_all_the_time_does_not_stall() -> None:
    begun = [0.1 * number for number in range(200)]
    assert repeats(in_flight(begun, [at + 10 for at in begun])) == {}


def test_a_lone_client_has_nobody_to_share_a_stall_with() -> None:
    begun = [20.0 * number for number in range(50)]
    assert repeats(in_flight(begun, [at + 15 for at in begun])) == {}


def test_who_waits_in_a_queue_does_not_wait_for_a_stall() -> None:
    """Eight clients, each served for 5 ms in turn: no time without a reply is half of anybody's response."""
    ends = [5.0 * number for number in range(8, 100)]
    assert repeats(in_flight([end - 40 for end in ends], ends)) == {}


@pytest.mark.parametrize(
    ("shares", "jain", "worst"),
    [
        ([5, 5, 5, 5], 1.0, 1.0),
        ([8, 0, 0, 0], 0.25, 0.0),
        ([1, 2, 3], 36 / 42, 0.5),
        ([0, 0], None, None),
    ],
)
def test_fairness_is_jains_index_and_the_worst_share(
    shares: list[int], jain: float | None, worst: float | None
) -> None:
    of = np.array(shares, dtype=np.int64)
    assert jain_index(of) == (None if jain is None else pytest.approx(jain))
    assert worst_share(of) == (None if worst is None else pytest.approx(worst))


def test_a_client_without_any_answer_counts_for_fairness() -> None:
    load = changed(LOAD, arrivals="closed")
    rows = times(list(range(0, 3 * S, MS)), 10 * MS)
    even, _ = tally(load, outcome(3000, 3000), rows)
    assert even.fairness_jain == pytest.approx(1)
    starved, _ = tally(changed(load, clients=5), outcome(3000, 3000), rows)
    assert starved.fairness_jain == pytest.approx(0.8)
    assert starved.worst_client_share == 0
    assert tally(LOAD, outcome(3000, 3000), rows)[0].fairness_jain is None, "an open loop's schedule is fair"


def test_comers_and_goers_connect_and_are_never_late() -> None:
    load = changed(LOAD, arrivals="closed", churn=True)
    window, of_requests = tally(load, outcome(3000, 3000), times(list(range(0, 3 * S, MS)), 10 * MS))
    assert bucket_of(np.array([3000]))[0] in of_requests.connect_ns
    assert sum(of_requests.connect_ns.values()) == window.answered
    assert of_requests.lag.max_ns == 0
    assert tally(changed(load, churn=False), outcome(3000, 3000), times([S], MS))[1].connect_ns == {}


def test_the_relief_after_the_window_tells_when_a_server_has_recovered() -> None:
    load = changed(LOAD, relief_s=1.0, relief_rate=500.0)
    planned = np.array(scheduled(load))
    assert len(planned) == 3500
    rows = times(list(planned), MS)
    backlog = (planned >= 3 * S) & (planned < 3 * S + 300 * MS)
    slow = changed(rows, received_ns=rows.received_ns + np.where(backlog, 50 * MS, 0))
    window, of_requests = tally(load, outcome(3500, 3500), slow)
    assert window.recovery_s == pytest.approx(0.3)
    assert (window.offered, of_requests.response.max_ns, of_requests.censored) == (2000, MS, 0)
    assert tally(load, outcome(3500, 3500), rows)[0].recovery_s == 0
    never = changed(rows, received_ns=rows.received_ns + np.where(planned >= 3 * S, 50 * MS, 0))
    assert tally(load, outcome(3500, 3500), never)[0].recovery_s == 1.0
    assert tally(load, outcome(3500, 3499, in_flight=1), rows)[0].recovery_s == 1.0
    assert tally(LOAD, outcome(3000, 3000), times(scheduled(LOAD), MS))[0].recovery_s is None


def test_recovery_is_to_the_end_of_the_last_slice_beyond_the_limit() -> None:
    assert recovered_after_s([20, 5, 20, 5], 2.0, 10) == 1.5
    assert recovered_after_s([5, 10, 5], 2.0, 10) == 0.0
    assert recovered_after_s([5, 20], 2.0, 10) is None
    assert recovered_after_s([], 2.0, 10) is None
