"""Operational laws: they hold of whatever was measured, and ask neither for distributions nor for independence. Pure.

After P. J. Denning and J. P. Buzen, The operational analysis of queueing network models, ACM Computing Surveys 10 (3), 1978; the
bounds as in E. D. Lazowska, J. Zahorjan, G. S. Graham and K. C. Sevcik, Quantitative system performance, 1984, chapter 5.

So we see a relay: a client asks again as soon as it is answered. A request needs the core, to ask the upstream and to pass its answer
on; in between it waits, and holds a connection of the pool. What else it spends (wake-ups, the network) is its latency.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Limit(StrEnum):
    """What keeps a relay from answering more."""

    CLIENTS = "clients"
    POOL = "pool"
    CORE = "core"


@dataclass(frozen=True, order=True)
class Setting:
    """What a relay is given to do.

    Attributes:
        clients: each has one request under way.
        wait_s: what the upstream takes for an answer.
        pool: how many questions can be under way there.
    """

    clients: int
    wait_s: float
    pool: int

    @property
    def at_once(self) -> int:
        """Return how many questions there are at once at most: the other clients wait for the pool."""
        return min(self.clients, self.pool)

    @property
    def ceiling_rps(self) -> float:
        """Return what no relay exceeds, however fast it is: min(N, P) / W, by Little's law for the upstream alone."""
        return self.at_once / self.wait_s


@dataclass(frozen=True)
class Demand:
    """What a request needs besides the upstream.

    Attributes:
        core_s: half of it to ask, half of it to pass the answer on.
        latency_s: half of it before the core is needed, half of it beside the upstream's wait.
    """

    core_s: float
    latency_s: float = 0.0

    def alone_s(self, wait_s: float) -> float:
        """Return how long a request takes that has a relay to itself."""
        return self.core_s + self.latency_s + wait_s

    def held_s(self, wait_s: float) -> float:
        """Return how long it holds its connection of the pool then."""
        return (self.core_s + self.latency_s) / 2 + wait_s


@dataclass(frozen=True)
class Bounds:
    """What the throughput cannot exceed, in requests per second, and which limit each bound comes from."""

    by_limit: Mapping[Limit, float]

    @property
    def throughput_rps(self) -> float:
        """Return the least of them."""
        return min(self.by_limit.values())

    @property
    def limited_by(self) -> Limit:
        """Return which that is."""
        return min(self.by_limit, key=lambda limit: self.by_limit[limit])


def bounds(setting: Setting, demand: Demand) -> Bounds:
    """Return the asymptotic bounds: a request keeps its client, its connection and the core busy for so long at least."""
    return Bounds(
        {
            Limit.CLIENTS: setting.clients / demand.alone_s(setting.wait_s),
            Limit.POOL: setting.pool / demand.held_s(setting.wait_s),
            Limit.CORE: 1 / demand.core_s if demand.core_s else math.inf,
        }
    )


def utilisation(throughput_rps: float, core_s: float) -> float:
    """Return for which share of the time a core is busy, U = X D: the utilisation law."""
    return throughput_rps * core_s


def mean_in_flight(throughput_rps: float, time_s: float) -> float:
    """Return how many requests are where each spends so much time, N = X R: Little's law."""
    return throughput_rps * time_s


def response_s(clients: int, throughput_rps: float, think_s: float = 0.0) -> float:
    """Return the mean response time, R = N / X - Z: the interactive response time law."""
    return clients / throughput_rps - think_s


def knee_clients(core_s: float, elsewhere_s: float) -> float:
    """Return where the asymptotes cross, N* = (D + Z) / D: of more clients than that some must queue for the core."""
    return (core_s + elsewhere_s) / core_s
