"""A relay played on a virtual clock, request by request: for quantiles, of which mean value analysis says nothing. Pure.

It is the same network, without the two things that `mva` simplifies: a request needs the core twice, and holds its connection from
the one time to the other. Whoever waits is served in order of arrival; times on the core are exponential.
"""

import random
from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count, islice
from typing import Final, NamedTuple

from harness.analyse.prediction.laws import Demand, Setting

ROUNDS: Final = 3
"""So often is every client answered before anything counts: they begin all at once, and come apart."""
FEWEST: Final = 2_500
"""So many responses count at least: twenty-five of them lie beyond p99."""


SENT, READY_TO_ASK, ANSWERED, PASSED_ON = range(4)
"""What has just happened to a request."""
NEEDS_CORE: Final = frozenset({SENT, ANSWERED})

Event = tuple[float, int, int, float]
"""When it happens, its place among events of the same time, what it is, and when the request began: plain, of a million each."""


class Done(NamedTuple):
    """A request that was answered."""

    at_s: float
    response_s: float


def responses(setting: Setting, demand: Demand, seed: int = 0) -> list[Done]:
    """Return what is answered, in order, by a relay that has been under way for a while."""
    warm, wanted = ROUNDS * setting.clients, max(FEWEST, ROUNDS * setting.clients)
    return list(islice(play(setting, demand, random.Random(seed)), warm, warm + wanted))  # noqa: S311 - no secret


def play(setting: Setting, demand: Demand, drawn: random.Random) -> Iterator[Done]:
    """Yield what is answered, in order, without end."""
    places = count()
    events: list[Event] = [(0.0, next(places), SENT, 0.0) for _ in range(setting.clients)]
    waiting: deque[float] = deque()
    connections, core_free_s = setting.pool, 0.0
    visits_per_s, half_latency_s = 2 / demand.core_s, demand.latency_s / 2
    while True:
        now_s, _, stage, began_s = heappop(events)
        if stage in NEEDS_CORE:
            core_free_s = max(now_s, core_free_s) + drawn.expovariate(visits_per_s)
            heappush(events, (core_free_s, next(places), stage + 1, began_s))
            continue
        if stage == READY_TO_ASK:
            waiting.append(began_s)
        else:
            connections += 1
            yield Done(now_s, now_s - began_s)
            heappush(events, (now_s + half_latency_s, next(places), SENT, now_s))
        if waiting and connections:
            connections -= 1
            answered_s = now_s + setting.wait_s + half_latency_s
            heappush(events, (answered_s, next(places), ANSWERED, waiting.popleft()))
