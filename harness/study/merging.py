"""What a worker tells of a turn, and how the parts of all workers become one. Pure: no process, socket or clock.

Counts add up, histograms merge bucket by bucket, and nothing is ever averaged: what is said of all is what one process would have
said that had seen all requests. The one exception is told of a stall: each worker counts it once.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec.structs import replace

from harness.drive.journal import Columns
from harness.drive.orders import LoadOrder, LoadOutcome, sum_of_requests
from harness.plan import CLOSED, Load, Record
from harness.record import Distribution, Histogram, RequestTimes, Window, add_histograms, bucket_bounds
from harness.record.buckets import histogram
from harness.study.window import SLICES, in_flight_between_ns, planned_edges_ns, recovery_s_by, tally

NINETY_NINE: Final = 0.99


class Answers(Record, frozen=True):
    """How a window's answers were shared out: to how many clients, how many, the sum of their squares, and the fewest of one."""

    clients: int
    total: int
    squares: int
    fewest: int

    def __add__(self, other: "Answers") -> "Answers":
        """Put the clients of two workers together."""
        return Answers(
            self.clients + other.clients,
            self.total + other.total,
            self.squares + other.squares,
            min(self.fewest, other.fewest),
        )

    @property
    def jain(self) -> float | None:
        """Return Jain's index; see `window.jain_index`."""
        return self.total**2 / (self.clients * self.squares) if self.squares else None

    @property
    def worst(self) -> float | None:
        """Return the least share as a part of the mean one."""
        return self.fewest * self.clients / self.total if self.total else None


class ShardTurn(Record, frozen=True, kw_only=True):
    """What came of a turn on one worker.

    Attributes:
        outcome: of its generator, by its own clock.
        window, times: of its share.
        answers: in a closed loop, how they were shared out among its clients.
        in_flight_ns: of all its requests, for how long they were in flight in the window, added up.
        settled_ns: how long after the start the last of its clients had its first reply.
        slices, relief: in an open loop, the responses of each hundredth of the window, and of the relief.
        stolen_s, machine_s: of all cores' time, what the hypervisor gave to others, and the whole.
    """

    outcome: LoadOutcome
    window: Window
    times: RequestTimes
    answers: Answers
    in_flight_ns: int
    settled_ns: int
    slices: tuple[Histogram, ...] = ()
    relief: tuple[Histogram, ...] = ()
    stolen_s: float = 0.0
    machine_s: float = 1.0


def shard_turn(load: Load, order: LoadOrder, outcome: LoadOutcome, times: Columns) -> ShardTurn:
    """Sum up a turn on the worker that has made it, so that no row of a request has to travel.

    Args:
        load: of the turn, of all workers together.
        order: which of them this is.
        outcome: of its generator.
        times: of all its requests.
    """
    begin_ns, end_ns = planned_edges_ns(load, outcome)
    window, request_times = tally(
        replace(load, clients=order.clients), outcome, times, (order.generator, order.generators)
    )
    in_window = times.where((times.received_ns >= begin_ns) & (times.received_ns < end_ns))
    answers = np.bincount(in_window.client, in_window.count, order.clients).astype(np.int64)
    is_open = load.arrivals != CLOSED
    relief_ns = int(load.relief_s * 1e9)
    return ShardTurn(
        outcome=outcome,
        window=window,
        times=request_times,
        answers=Answers(len(answers), int(answers.sum()), int((answers**2).sum()), int(answers.min())),
        in_flight_ns=in_flight_between_ns(begin_ns, end_ns, times),
        settled_ns=_settled_ns(outcome.started_ns, order.clients, times),
        slices=_sliced(times, begin_ns, end_ns - begin_ns) if is_open else (),
        relief=_sliced(times, end_ns, relief_ns) if is_open and relief_ns else (),
    )


def merged_outcome(parts: Sequence[ShardTurn]) -> LoadOutcome:
    """Return what the generators did together; its times and the server's clocks are not known to them."""
    first = parts[0].outcome
    return replace(
        first,
        requests=sum_of_requests([each.outcome.requests for each in parts]),
        records=sum(each.outcome.records for each in parts),
        begin=replace(
            first.begin,
            generator_cpu_ns=sum(each.outcome.begin.generator_cpu_ns for each in parts),
            spun_ns=sum(each.outcome.begin.spun_ns for each in parts),
        ),
        end=replace(
            first.end,
            generator_cpu_ns=sum(each.outcome.end.generator_cpu_ns for each in parts),
            spun_ns=sum(each.outcome.end.spun_ns for each in parts),
        ),
    )


def merged(load: Load, parts: Sequence[ShardTurn]) -> tuple[Window, RequestTimes]:
    """Return the window of all workers together, and its requests."""
    windows, times = [each.window for each in parts], [each.times for each in parts]
    answers = parts[0].answers
    for each in parts[1:]:
        answers += each.answers
    several = load.arrivals == CLOSED and answers.clients > 1
    window = Window(
        length_s=windows[0].length_s,
        offered=sum(each.offered for each in windows),
        answered=sum(each.answered for each in windows),
        answered_in_warmup=sum(each.answered_in_warmup for each in windows),
        late=sum(each.late for each in windows),
        series=_added([each.series for each in windows]),
        warmup_series=_added([each.warmup_series for each in windows]),
        response_slices_ns=_quantiles([each.slices for each in parts]),
        fairness_jain=answers.jain if several else None,
        worst_client_share=answers.worst if several else None,
        recovery_s=recovery_s_by(_quantiles([each.relief for each in parts]), load, merged_outcome(parts))
        if load.relief_s and load.arrivals != CLOSED
        else None,
    )
    return window, RequestTimes(
        response=merged_distribution([each.response for each in times]),
        service=merged_distribution([each.service for each in times]),
        queueing=merged_distribution([each.queueing for each in times]),
        lag=merged_distribution([each.lag for each in times]),
        connect_ns=add_histograms(each.connect_ns for each in times),
        response_sum_ns=sum(each.response_sum_ns for each in times),
        response_repeats_ns=add_histograms(each.response_repeats_ns for each in times),
        censored=sum(each.censored for each in times),
    )


def merged_distribution(parts: Sequence[Distribution]) -> Distribution:
    """Return the times of all parts together."""
    return Distribution(
        dict(sorted(add_histograms(each.histogram for each in parts).items())),
        max((each.max_ns for each in parts), default=0),
    )


def _settled_ns(started_ns: int, clients: int, times: Columns) -> int:
    """Return how long it took until every client had had a reply; the end of all if one never had."""
    first_ns = np.full(clients, np.max(times.received_ns, initial=started_ns))
    np.minimum.at(first_ns, times.client, times.received_ns)
    return int(first_ns.max() - started_ns)


def _sliced(times: Columns, begin_ns: int, length_ns: int) -> tuple[Histogram, ...]:
    """Count the responses of the requests that were intended in each slice of a time."""
    place = (times.intended_ns - begin_ns) * SLICES // max(length_ns, 1)
    inside = (place >= 0) & (place < SLICES)
    of_time, places = times.where(inside), place[inside]
    responses_ns = of_time.received_ns - of_time.intended_ns
    return tuple(
        histogram(responses_ns[places == each], of_time.count[places == each]) for each in range(SLICES)
    )


def _quantiles(parts: Sequence[Sequence[Histogram]]) -> tuple[int, ...]:
    """Return the 99 % quantile of each slice, of all workers' responses together, to a bucket's upper end; 0 if there are none."""
    return tuple(_quantile_ns(add_histograms(of_slice)) for of_slice in zip(*parts, strict=True))


def _quantile_ns(found: Histogram) -> int:
    rank, counted = int(np.ceil(NINETY_NINE * sum(found.values()))), 0
    for bucket in sorted(found):
        counted += found[bucket]
        if counted >= rank:
            return bucket_bounds(bucket)[1] - 1
    return 0


def _added(parts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*parts, strict=True)))
