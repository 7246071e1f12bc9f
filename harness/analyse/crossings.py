"""From the fields of a map of relays to where its answers change: between which fields, and from how many clients on. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from harness.analyse.comparisons import Comparison, inverse
from harness.analyse.rankings import Ranking
from harness.analyse.samples.metrics import metric

MOST, CHEAPEST, MEMORY = "throughput_rps", "cpu_us_per_request", "peak_mib"
"""What the fields of a map are about."""
Place = tuple[float, int]
"""A wait in seconds, and a number of clients."""
Lead = tuple[float, float, float]
"""By how much a server is better than another: the logarithm of the ratio, and from where to where that may lie."""
BEHIND: Final = 1.05
"""A server that answers less by this factor has fallen behind: by less than that it is as good."""


@dataclass(frozen=True)
class MapField:
    """One wait, with so many clients: servers of one core by what they answer, by what a request costs, and by their memory.

    Attributes:
        ratios: of any two servers, by metric name and their names.
        failed: servers that did not answer all there, by a fault of their own.
    """

    workload: str
    most: Ranking
    cheapest: Ranking | None
    memory: Ranking | None
    ratios: Mapping[tuple[str, str, str], Comparison]
    failed: frozenset[str] = frozenset()

    def times(self, server: str, other: str) -> float | None:
        """Return how many times as much a server answers as another; None if they were not compared."""
        lead = _lead(self, MOST, server, other)
        return None if lead is None else math.exp(lead[0])

    def leaders(self, name: str) -> tuple[str, ...]:
        """Return who is first in a metric, and who was not told apart from it; nobody if it is not known."""
        found = self.most if name == MOST else self.cheapest
        return found.leaders if found else ()


@dataclass(frozen=True)
class Crossing:
    """With how many clients, or after how many seconds of wait, something becomes true; and the interval of that.

    0 if it is true of the fewest already that were measured, infinity if it is not true of the most.
    """

    at: float
    low: float
    high: float


@dataclass(frozen=True)
class Behind(Crossing):
    """With how many clients a server has fallen behind; and the fewest and the most with which it was measured."""

    fewest: int
    most: int


@dataclass(frozen=True)
class Divide:
    """Between two neighbouring fields the answer changes: of those who lead in the one, nobody leads in the other.

    Attributes:
        metric: in which they lead.
        before, after: the fields; either their clients differ, or their waits.
        overtaken, overtaking: who is first here, and there.
        crossing: where both are equal; None if one of the two has no figures in one of the fields.
    """

    metric: str
    before: Place
    after: Place
    overtaken: str
    overtaking: str
    crossing: Crossing | None

    @property
    def by_clients(self) -> bool:
        """Tell whether it is the clients that differ."""
        return self.before[0] == self.after[0]


JUST_BEHIND: Final[Lead] = (math.nextafter(-math.log(BEHIND), -math.inf),) * 3
"""Of who failed somewhere it is known that it had fallen behind there, and not how far."""


def falling_behind(fields: Mapping[Place, MapField]) -> dict[tuple[str, float], Behind]:
    """Say of each server and wait from how many clients on it answers less than the best by more than `BEHIND`.

    Who falls behind and catches up has not yet fallen behind. Where it failed, it has at the latest.
    """
    leads: dict[tuple[str, float], list[tuple[int, Lead]]] = {}
    for (wait_s, clients), each in sorted(fields.items()):
        for server in (*each.most.estimates, *sorted(each.failed)):
            lead = JUST_BEHIND if server in each.failed else _lead(each, MOST, server, each.most.first)
            if lead is not None:
                leads.setdefault((server, wait_s), []).append((clients, lead))
    return {whose: _behind(found) for whose, found in leads.items()}


def _behind(leads: Sequence[tuple[int, Lead]]) -> Behind:
    """Say from how many clients on a server has fallen behind, by its leads over the best, the fewest clients first."""
    limit = -math.log(BEHIND)
    at, low, high = (_below_from(limit, [(n, lead[bound]) for n, lead in leads]) for bound in range(3))
    return Behind(at, low, high, leads[0][0], leads[-1][0])


def _below_from(limit: float, points: Sequence[tuple[float, float]]) -> float:
    """Return from where on a line through points is below a limit and stays there, straight between them if places are logarithms."""
    if points[-1][1] >= limit:
        return math.inf
    for (begin, above), (end, below) in reversed([*pairwise(points)]):
        if below < limit <= above:
            return between(begin, end, (above - limit) / (above - below))
    return 0.0


def between(begin: float, end: float, share: float) -> float:
    """Return what lies so far on the way from one place to another, where equal factors are equal ways."""
    return float(begin * (end / begin) ** share)


def divides(fields: Mapping[Place, MapField]) -> Iterator[Divide]:
    """Yield where the answer changes between neighbours: who answers most, and who does so at the least CPU."""
    for before, after in neighbours(fields):
        for name in (MOST, CHEAPEST):
            here, there = fields[before].leaders(name), fields[after].leaders(name)
            if here and there and not {*here} & {*there}:
                where = crossing(fields, before, after, name, here[0], there[0])
                yield Divide(name, before, after, here[0], there[0], where)


def neighbours(places: Collection[Place]) -> Iterator[tuple[Place, Place]]:
    """Yield each pair of places that lie beside each other: the next number of clients, or the next wait."""
    waits_s, clients = sorted({wait_s for wait_s, _ in places}), sorted({many for _, many in places})
    beside = [((wait_s, few), (wait_s, many)) for wait_s in waits_s for few, many in pairwise(clients)]
    above = [((short_s, many), (long_s, many)) for many in clients for short_s, long_s in pairwise(waits_s)]
    yield from (both for both in (*beside, *above) if {*both} <= {*places})


def crossing(  # noqa: PLR0913 - where, of what, and who
    fields: Mapping[Place, MapField], before: Place, after: Place, name: str, overtaken: str, overtaking: str
) -> Crossing | None:
    """Say where between two places two servers are equal, if the logarithm of their ratio changes evenly with that of the place.

    The interval is from where they are equal at the earliest to where they are at the latest, by the intervals of both ratios.
    """
    here, there = (_lead(fields[place], name, overtaking, overtaken) for place in (before, after))
    if here is None or there is None:
        return None
    begin, end = max(zip(before, after, strict=True), key=lambda ends: ends[1] / ends[0])

    if not all(behind < 0 < ahead for behind, ahead in zip(here, there, strict=True)):
        return None  # one of both is not ranked in one of the fields, and was not told apart there, or by lucky launches

    def where(behind: float, ahead: float) -> float:
        return between(begin, end, -behind / (ahead - behind))

    return Crossing(where(here[0], there[0]), where(here[2], there[2]), where(here[1], there[1]))


def _lead(of: MapField, name: str, first: str, second: str) -> Lead | None:
    """Return by how much one server is better than another: the logarithm of the ratio, and its interval's."""
    if first == second:
        return 0.0, 0.0, 0.0
    found = of.ratios.get((name, second, first))
    if found is None and (other := of.ratios.get((name, first, second))) is not None:
        found = inverse(other)
    if found is None:
        return None
    lead = math.log(found.ratio), math.log(found.ci_low), math.log(found.ci_high)
    return lead if metric(name).higher_is_better else (-lead[0], -lead[2], -lead[1])
