"""How many connections a server holds at once, if they come from all workers of a cluster."""

import time
from typing import Final

from harness.drive.orders import BackgroundOrder
from harness.errors import LaunchError
from harness.experiments.capacity import ANSWER_LIMIT_S, GREETING_LIMIT_S
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.plan import IDLE
from harness.record import ConnectionLimit
from harness.study.fleet import Fleet
from harness.study.shard import IdleShard

HOLD_LIMIT_S: Final = 300.0
"""So long a worker may take to let its clients come."""


def limit_from_many(fleet: Fleet, candidate: Candidate, wanted: int) -> ConnectionLimit:
    """As `capacity.limit_of`, with the connections coming from all workers of a cluster at the same time.

    Raises:
        LaunchError: it does not start at all.
        WorkerLost: a worker was lost meanwhile.
    """
    refused = ""
    if candidate.takes("max_clients"):
        try:
            return _filled_by(fleet, candidate, wanted, wanted + 1, "")
        except LaunchError as error:
            refused = str(error).partition("exit code 2, ")[2] or str(error)
    return _filled_by(fleet, candidate, wanted, None, refused)


def _filled_by(
    fleet: Fleet, candidate: Candidate, wanted: int, told: int | None, refused: str
) -> ConnectionLimit:
    """Let each worker connect its clients until it has enough, or one is not greeted; then ask each of them once."""
    began_s = time.monotonic()
    workers = fleet.workers[:wanted]
    with launch(candidate, host=fleet.host_address, max_clients=told) as launched:
        seats = fleet.cluster.seats(workers, IdleShard)
        orders = [
            BackgroundOrder(
                *launched.address,
                IDLE,
                len(range(number, wanted, len(workers))),
                GREETING_LIMIT_S,
                ANSWER_LIMIT_S,
            )
            for number in range(len(workers))
        ]
        coming = [seat.call("hold", order) for seat, order in zip(seats, orders, strict=True)]
        came = [each.within(HOLD_LIMIT_S) for each in coming]
        held_s = time.monotonic() - began_s
        asking = [seat.call("ask") for seat in seats]
        outcomes = [each.within(2 * ANSWER_LIMIT_S) for each in asking]
        return ConnectionLimit(
            server=candidate.label,
            wanted=wanted,
            told=told,
            refused=refused,
            held=sum(held for held, _ in came),
            answered=sum(each.ok for each in outcomes),
            error="; ".join(
                dict.fromkeys(filter(None, [*(why for _, why in came), *(each.fault for each in outcomes)]))
            ),
            held_s=round(held_s, 2),
            answered_s=round(time.monotonic() - began_s - held_s, 2),
        )
