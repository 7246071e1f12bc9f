"""From the times of all requests to what a measuring window says. Pure: no process, socket or clock."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from harness.analyse.samples.recovery import recovered_after_s
from harness.drive.journal import Columns
from harness.drive.orders import LoadOutcome
from harness.drive.schedule import WHOLE, Share, intended_ns, phases_of, share_of
from harness.plan import CLOSED, Load
from harness.record import Distribution, Histogram, RequestTimes, Window
from harness.record.buckets import Times, histogram

STEPS: Final = 20
"""A window's throughput is looked at in so many steps."""
SLICES: Final = 100
"""An open loop's response over time is looked at in so many slices."""
LATE_NS: Final = 1_000_000
STALL_NS: Final = 1_000_000
"""A shorter time without a reply is not looked at as a stall."""
STALLED_SHARE: Final = 0.5
"""A request whose response was a stall for this share or more had it for its reason."""
RECOVERED_NS: Final = 10_000_000
"""After an overload a server has recovered when 99 % of its responses take no longer than this again."""


def tally(
    load: Load, outcome: LoadOutcome, times: Columns, share: Share = WHOLE
) -> tuple[Window, RequestTimes]:
    """Work out what is said of a window, and of the requests that belong to it.

    Args:
        load: what was to be done.
        outcome: of all generators together, or of those whose share this is.
        times: likewise.
        share: which part of the schedule they had; the window of a part has the planned edges, as that of all others.
    """
    begin_ns, end_ns = edges_ns(load, outcome) if share == WHOLE else planned_edges_ns(load, outcome)
    received = times.received_ns
    in_window = (received >= begin_ns) & (received < end_ns)
    answered = int(times.count[in_window].sum())
    if load.arrivals == CLOSED:
        of_window, offered = times.where(in_window), answered
        censored = outcome.requests.sent - outcome.requests.ok
        slices: tuple[int, ...] = ()
        late = 0
        recovery_s = None
        answers = np.bincount(of_window.client, of_window.count, load.clients).astype(np.int64)
    else:
        of_window = times.where((times.intended_ns >= begin_ns) & (times.intended_ns < end_ns))
        offered = offered_in_window(load, share)
        censored = offered - int(of_window.count.sum())
        slices = response_slices(of_window, begin_ns, end_ns - begin_ns)
        late = int((of_window.sent_ns - of_window.intended_ns > LATE_NS).sum())
        recovery_s = _recovery_s(load, outcome, times.where(times.intended_ns >= end_ns), end_ns)
        answers = np.zeros(0, dtype=np.int64)
    # A churning client's request is sent as its greeting comes: until then it was not late, but connecting.
    connecting_ns = of_window.sent_ns - of_window.intended_ns
    lag_ns = of_window.sent_ns - of_window.ready_ns
    step_ns = (end_ns - begin_ns) / STEPS
    window = Window(
        length_s=(end_ns - begin_ns) / 1e9,
        offered=offered,
        answered=answered,
        answered_in_warmup=int(times.count[received < begin_ns].sum()),
        late=late,
        series=answered_series(times, begin_ns, end_ns, step_ns),
        warmup_series=answered_series(times, outcome.started_ns, begin_ns, step_ns),
        response_slices_ns=slices,
        fairness_jain=jain_index(answers) if len(answers) > 1 else None,
        worst_client_share=worst_share(answers) if len(answers) > 1 else None,
        recovery_s=recovery_s,
    )
    count, response_ns = of_window.count, of_window.received_ns - of_window.intended_ns
    return window, RequestTimes(
        response=distribution(response_ns, count),
        service=distribution(of_window.received_ns - of_window.sent_ns, count),
        queueing=distribution(of_window.ready_ns - of_window.intended_ns, count),
        lag=distribution(lag_ns * 0 if load.churn else lag_ns, count),
        connect_ns=histogram(connecting_ns, count) if load.churn else {},
        response_sum_ns=int((response_ns * count).sum()),
        response_repeats_ns=repeats(of_window),
        censored=censored,
    )


def jain_index(shares: Times) -> float | None:
    """Say how evenly something was shared (Jain, Chiu and Hawe 1984): 1 if all got the same, 1/n if one of n got all."""
    squares = int((shares**2).sum())
    return int(shares.sum()) ** 2 / (len(shares) * squares) if squares else None


def worst_share(shares: Times) -> float | None:
    """Return the least share as a part of the mean one."""
    return float(shares.min() / shares.mean()) if shares.any() else None


def _recovery_s(load: Load, outcome: LoadOutcome, of_relief: Columns, end_ns: int) -> float | None:
    """Return how long after the window the server recovered: the whole relief if it did not; None if there was none."""
    if not load.relief_s:
        return None
    return recovery_s_by(response_slices(of_relief, end_ns, int(load.relief_s * 1e9)), load, outcome)


def recovery_s_by(slices: Sequence[int], load: Load, outcome: LoadOutcome) -> float:
    """Return the same from the quantiles of the relief's slices."""
    recovered_s = recovered_after_s(slices, load.relief_s, RECOVERED_NS)
    return (
        load.relief_s
        if recovered_s is None or outcome.requests.ok < outcome.requests.planned
        else recovered_s
    )


def edges_ns(load: Load, outcome: LoadOutcome) -> tuple[int, int]:
    """Return the window's edges: as they were in a closed loop, as planned in an open one.

    If the generator was late to read the clocks at an edge, an open loop must not lose sight of what was intended then.
    """
    if load.arrivals == CLOSED:
        return outcome.begin.at_ns, outcome.end.at_ns
    return planned_edges_ns(load, outcome)


def planned_edges_ns(load: Load, outcome: LoadOutcome) -> tuple[int, int]:
    """Return the window's edges as they were planned."""
    begin_ns = outcome.started_ns + int(load.warmup_s * 1e9)
    return begin_ns, begin_ns + int(load.duration_s * 1e9)


def offered_in_window(load: Load, share: Share = WHOLE) -> int:
    """Count what a share of the schedule intends in the measuring window."""
    times = share_of(intended_ns(phases_of(load), load.arrivals, load.seed), *share)
    begin_ns = int(load.warmup_s * 1e9)
    return int(((times >= begin_ns) & (times < begin_ns + int(load.duration_s * 1e9))).sum())


def distribution(values_ns: Times, counts: Times) -> Distribution:
    """Sum values up, each given so many times."""
    return Distribution(histogram(values_ns, counts), int(np.max(values_ns, initial=0)))


def repeats(times: Columns) -> Histogram:
    """Return the responses that say nothing new, since they waited through the same stall as a longer one.

    When a server, or its machine, stands still for a moment, all requests in flight are slow for one reason. A stall is a
    time without any reply; it is the reason for a response if it makes up half of it or more. Of those with the same
    stall for a reason the longest counts as an observation, and the others are its repeats.
    """
    received_ns = np.sort(times.received_ns)
    gap_ends = 1 + np.flatnonzero(np.diff(received_ns) >= STALL_NS)
    response_ns = times.received_ns - times.intended_ns
    found = np.zeros(len(response_ns), dtype=np.bool_)
    for begin_ns, end_ns in zip(received_ns[gap_ends - 1], received_ns[gap_ends], strict=True):
        within_ns = end_ns - np.maximum(times.intended_ns, begin_ns)
        waited = (times.received_ns >= end_ns) & (within_ns > 0)
        stalled = np.flatnonzero(waited & (within_ns >= STALLED_SHARE * response_ns))
        if len(stalled):
            found[stalled] = True
            found[stalled[np.argmax(response_ns[stalled])]] = False
    return histogram(response_ns[found], times.count[found])


def answered_series(times: Columns, begin_ns: int, end_ns: int, step_ns: float) -> tuple[int, ...]:
    """Count what was answered in each step from one time to another; the last step may be shorter."""
    steps = int(np.ceil(round((end_ns - begin_ns) / step_ns, 6))) if step_ns > 0 else 0
    inside = (times.received_ns >= begin_ns) & (times.received_ns < end_ns)
    places = np.minimum((times.received_ns[inside] - begin_ns) // max(step_ns, 1), steps - 1)
    counted = np.bincount(places.astype(np.int64), weights=times.count[inside], minlength=steps)
    return tuple(int(count) for count in counted)


def in_flight_between_ns(begin_ns: int, end_ns: int, times: Columns) -> int:
    """Add up for how long each request was in flight between two times."""
    begun_ns = np.maximum(times.intended_ns, begin_ns)
    ended_ns = np.minimum(times.received_ns, end_ns)
    return int((np.maximum(ended_ns - begun_ns, 0) * times.count).sum())


def response_slices(times: Columns, begin_ns: int, length_ns: int) -> tuple[int, ...]:
    """Return the 99 % quantile (inverted distribution function) of the responses intended in each slice."""
    slices = np.clip((times.intended_ns - begin_ns) * SLICES // max(length_ns, 1), 0, SLICES - 1)
    responses = times.received_ns - times.intended_ns
    ordered = np.lexsort((responses, slices))
    edges = np.searchsorted(slices[ordered], np.arange(SLICES + 1))
    counts = np.diff(edges)
    ranks = edges[:-1] + np.maximum(np.ceil(counts * 0.99).astype(np.int64) - 1, 0)
    return tuple(
        int(responses[ordered[rank]]) if count else 0 for rank, count in zip(ranks, counts, strict=True)
    )
