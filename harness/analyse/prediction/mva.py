"""Mean value analysis: throughput and queue of a closed network, exactly, one customer after the other. Pure.

After M. Reiser and S. S. Lavenberg, Mean-value analysis of closed multichain queueing networks, Journal of the ACM 27 (2), 1980.
The network has a queue, for the core, and a delay, where nobody waits for anybody. The answer is exact if the core serves for
exponential times in order of arrival, or any times evenly shared, and whatever the distribution of the delay.
"""

from dataclasses import dataclass
from math import sqrt

from harness.analyse.prediction.laws import Demand, Setting, mean_in_flight, utilisation


@dataclass(frozen=True)
class Flow:
    """What goes through a network, and how it finds the core.

    Attributes:
        throughput_rps: customers that come round.
        residence_s: what each spends at the core, waiting included.
        found_idle: how often one who arrives there finds nobody.
        found_there: how many he finds on average.
    """

    throughput_rps: float
    residence_s: float
    found_idle: float
    found_there: float

    @property
    def queue(self) -> float:
        """Return how many are at the core on average."""
        return mean_in_flight(self.throughput_rps, self.residence_s)


def closed(customers: int, core_s: float, delay_s: float) -> Flow:
    """Solve a closed network.

    Who arrives at the core finds it as it would be without him (the arrival theorem): so we know how long one customer more spends
    there, from that the throughput, and from that how many are there, by Little's law.

    Args:
        customers: how many there are, one at least.
        core_s: the service that each needs each time that he comes round.
        delay_s: what he spends elsewhere.
    """
    throughput_rps, queue = 0.0, 0.0
    for there in range(1, customers + 1):
        found_idle, found_there = max(0.0, 1 - utilisation(throughput_rps, core_s)), queue
        residence_s = core_s * (1 + found_there)
        throughput_rps = there / (delay_s + residence_s)
        queue = mean_in_flight(throughput_rps, residence_s)
    return Flow(throughput_rps, residence_s, found_idle, found_there)


def through_pool(setting: Setting, demand: Demand) -> Flow:
    """Solve what goes through a pool of which every connection is always in use.

    A connection is held for the wait, half of the latency, and half of the residence at the core, which grows as the core gets busy:
    as D / (1 - X D), so it is where many come from elsewhere. P = X times what it is held for is a quadratic equation in X. That
    one request holds two things at a time is beyond exact analysis; what a connection waits for at the core stands in for
    the one of them (P. A. Jacobson and E. D. Lazowska, Analyzing queueing networks with simultaneous resource possession, CACM 25 (2), 1982).
    """
    core_s, away_s = demand.core_s, setting.wait_s + demand.latency_s / 2
    a, b, c = away_s * core_s, away_s + core_s / 2 + setting.pool * core_s, setting.pool
    throughput_rps = 2 * c / (b + sqrt(b * b - 4 * a * c))
    found_idle = 1 - utilisation(throughput_rps, core_s)
    return Flow(throughput_rps, core_s / found_idle, found_idle, 1 / found_idle - 1)


def solve(setting: Setting, demand: Demand) -> Flow:
    """Solve a relay: its clients come round as fast as the core lets them, or as the pool does, whichever is less."""
    unlimited = closed(setting.clients, demand.core_s, setting.wait_s + demand.latency_s)
    if setting.clients <= setting.pool:
        return unlimited
    return min(unlimited, through_pool(setting, demand), key=lambda flow: flow.throughput_rps)
