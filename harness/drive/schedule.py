"""An open loop's schedule: when each request is to be sent, and on which connection.

Sans I/O: times are nanoseconds on whatever clock, and nothing here sleeps, sends or reads a clock. The intended times
are fixed before the first request and never slip: a server that stalls does not make its clients ask less
("coordinated omission"; wrk2, G. Tene).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from harness.plan import CONSTANT, POISSON, Load
from harness.record.buckets import Times

Due = tuple[int, int, int]
"""A request that may be sent now: its connection, when it was intended, and when it was ready (ns)."""


@dataclass(frozen=True)
class RateStep:
    """So many requests a second, for so long."""

    rate: float
    duration_s: float


def phases_of(load: Load) -> tuple[RateStep, RateStep, RateStep]:
    """Return an open loop's warm-up, its measuring window, and its relief, which mostly takes no time."""
    return (
        RateStep(load.rate if load.warmup_rate is None else load.warmup_rate, load.warmup_s),
        RateStep(load.rate, load.duration_s),
        RateStep(load.relief_rate, load.relief_s),
    )


def intended_ns(phases: Sequence[RateStep], arrivals: str, seed: int) -> Times:
    """Return when all requests are intended, counted from the start.

    Args:
        phases: steps of rate, one after the other.
        arrivals: "constant": evenly spaced, the first as its step begins; "poisson": independent of each other.
        seed: of the random ones; the same seed gives the same times.

    Raises:
        ValueError: arrivals of another name.
    """
    random = np.random.default_rng(seed)
    times, start_s = [np.zeros(0)], 0.0
    for phase in phases:
        if arrivals == CONSTANT:
            count = math.ceil(round(phase.rate * phase.duration_s, 6))
            within_s = np.arange(count) / phase.rate if count else np.zeros(0)
        elif arrivals == POISSON:
            # Given their number, a Poisson process's arrivals are independent and uniform (Kingman 1993, section 2.4).
            count = random.poisson(phase.rate * phase.duration_s)
            within_s = np.sort(random.uniform(0.0, phase.duration_s, count))
        else:
            raise ValueError(f"no arrivals are called {arrivals!r}")
        times.append(start_s + within_s)
        start_s += phase.duration_s
    return np.rint(np.concatenate(times) * 1e9).astype(np.int64)


Share = tuple[int, int]
"""Which of how many parts of a schedule."""
WHOLE: Final[Share] = (0, 1)


def share_of(times: Times, generator: int, generators: int) -> Times:
    """Return what one of several generators has to send: all of them together send exactly the schedule."""
    return times[generator::generators]


class Agenda:
    """Which request may be sent when, on which connection.

    Request i belongs to connection i modulo their number, so that both are known in advance. Each connection has at
    most `depth` requests in flight; what is intended meanwhile waits for it, in order, and none is dropped. Whoever
    asks for a turn must take it: the request counts as in flight from then on.
    """

    def __init__(self, intended: Sequence[int], connections: int, depth: int = 1) -> None:
        """Begin with nothing in flight.

        Args:
            intended: when the requests are intended, in ns, ascending.
            connections: how many there are.
            depth: how many requests each may have in flight.
        """
        self.planned = len(intended)
        self._intended = intended
        self._connections = connections
        self._room = [depth] * connections
        self._free_since_ns = [0] * connections
        self._following = list(range(connections))  # each connection's next request
        self._cursor = 0  # the first request that is not due yet

    @property
    def next_ns(self) -> float:
        """Return when the next request becomes due; infinity if all are."""
        return self._intended[self._cursor] if self._cursor < self.planned else math.inf

    def due(self, now_ns: int, most: int) -> list[Due]:
        """Return requests that have become due and whose connections are free, not more than so many."""
        found: list[Due] = []
        intended, planned = self._intended, self.planned
        while self._cursor < planned and intended[self._cursor] <= now_ns and len(found) < most:
            connection = self._cursor % self._connections
            self._cursor += 1
            if self._room[connection]:
                found.append(self._take(connection))
        return found

    def freed(self, connection: int, now_ns: int) -> Due | None:
        """Take note of a reply on a connection; return what has been waiting for it, if anything has."""
        if not self._room[connection]:
            self._free_since_ns[connection] = now_ns
        self._room[connection] += 1
        return self._take(connection) if self._following[connection] < self._cursor else None

    def lose(self, connection: int) -> None:
        """Take note that a connection is gone: its remaining requests will never be sent."""
        self._room[connection] = 0

    def _take(self, connection: int) -> Due:
        request = self._following[connection]
        self._following[connection] = request + self._connections
        self._room[connection] -= 1
        intended_ns = self._intended[request]
        return connection, intended_ns, max(intended_ns, self._free_since_ns[connection])
