"""Handlers that wait: who answers most, and at the least CPU, by how long they wait and for how many clients. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from harness.analyse.blocks import Launch, counted, of_regime, under
from harness.analyse.comparisons import Comparison, compare_all, inverse
from harness.analyse.rankings import Ranking, ranking
from harness.analyse.samples.metrics import metric
from harness.analyse.samples.quantiles import Observed
from harness.analyse.shortfall import Shortfall, shortfalls
from harness.plan import CLOSED, CONSTANT, ONE_CORE, RELAY, RELAYS, Workload, by_name
from harness.record import add_histograms

MOST, CHEAPEST, MEMORY = "throughput_rps", "cpu_us_per_request", "peak_mib"
"""What the fields of a map are about."""
FEWEST_FIELDS: Final = 2
"""One field alone is no map."""
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
    """

    workload: str
    most: Ranking
    cheapest: Ranking | None
    memory: Ranking | None
    ratios: Mapping[tuple[str, str, str], Comparison]

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


@dataclass(frozen=True)
class RelayMap:
    """All fields of one size of the pool.

    Attributes:
        pool: how many questions may be under way; None for as many as there are clients.
        divides: where the answer changes.
        behind: from how many clients on a server answers less than the best by more than `BEHIND`, by its name and the wait.
        threaded: servers that have a thread for each client, in all fields.
    """

    pool: int | None
    fields: dict[Place, MapField]
    divides: tuple[Divide, ...] = ()
    behind: Mapping[tuple[str, float], Crossing] = field(default_factory=dict)
    threaded: frozenset[str] = frozenset()

    @property
    def waits_s(self) -> list[float]:
        """Return the waits, the shortest first."""
        return sorted({wait_s for wait_s, _ in self.fields})

    @property
    def clients(self) -> list[int]:
        """Return the numbers of clients, the fewest first."""
        return sorted({clients for _, clients in self.fields})

    @property
    def fullest(self) -> tuple[Place, MapField]:
        """Return the field of the most clients, and of these the one of the longest wait: where memory is looked at."""
        place = max(self.fields, key=lambda place: (place[1], place[0]))
        return place, self.fields[place]


@dataclass(frozen=True)
class TimerError:
    """How late an upstream answered under a workload, in all launches together, and as a share of its wait."""

    workload: str
    median_us: float
    p90_us: float
    p90_share: float


@dataclass(frozen=True)
class OfRelays:
    """All that is said of relays.

    Attributes:
        workloads: in the report's order.
        maps: the largest pool first.
        errors: the instrument's own, of each workload that has launches.
        shortfalls: who stays below the ceiling though its core is not the limit.
    """

    workloads: tuple[str, ...]
    maps: tuple[RelayMap, ...]
    errors: tuple[TimerError, ...]
    shortfalls: tuple[Shortfall, ...]


def of_relays(launches: Sequence[Launch], measured: Collection[str]) -> OfRelays:
    """Work out what is said of relays; nothing if none were measured."""
    workloads = [by_name(name) for name in measured if by_name(name).relayed]
    pools = dict.fromkeys(_pool(each) for each in RELAYS)
    maps = (relay_map(launches, [each for each in workloads if _pool(each) == pool], pool) for pool in pools)
    errors = (timer_error(launches, each) for each in workloads)
    return OfRelays(
        tuple(each.name for each in workloads),
        tuple(sorted((each for each in maps if len(each.fields) >= FEWEST_FIELDS), key=_largest_first)),
        tuple(each for each in errors if each is not None),
        tuple(shortfalls(launches, [each.name for each in workloads])),
    )


def relay_map(launches: Sequence[Launch], workloads: Sequence[Workload], pool: int | None) -> RelayMap:
    """Return a map of those fields in which two servers at least have figures."""
    fields: dict[Place, MapField] = {}
    for each in workloads:
        waiting = each.load.upstream
        if waiting is None or waiting.spread != CONSTANT or each.load.arrivals != CLOSED or each == RELAY:
            continue
        most = ranking(launches, each.name, metric(MOST))
        if most is not None:
            fields[waiting.wait_s, each.load.clients] = MapField(
                each.name,
                most,
                ranking(launches, each.name, metric(CHEAPEST)),
                ranking(launches, each.name, metric(MEMORY)),
                {
                    (name, found.a, found.b): found
                    for name in (MOST, CHEAPEST)
                    for found in compare_all(of_regime(launches, ONE_CORE), each.name, metric(name))
                },
            )
    return RelayMap(
        pool, fields, tuple(divides(fields)), falling_behind(fields), all_threads(launches, fields)
    )


def all_threads(launches: Sequence[Launch], fields: Mapping[Place, MapField]) -> frozenset[str]:
    """Return the servers that had a thread for each client in whatever field they were measured, and all of its clients."""
    without = {
        launch.sample.cell.server
        for (_, clients), each in fields.items()
        for launch in under(of_regime(launches, ONE_CORE), each.workload)
        if not clients == launch.sample.load.clients <= launch.sample.server.threads
    }
    return frozenset(server for each in fields.values() for server in each.most.estimates) - without


def own_threads(launches: Sequence[Launch], workload: str) -> set[str]:
    """Return the servers that had a thread for each client under a workload, with as many as they were given."""
    return {
        launch.sample.cell.server
        for launch in under(of_regime(launches, ONE_CORE), workload)
        if 1 < launch.sample.load.clients <= launch.sample.server.threads
    }


def falling_behind(fields: Mapping[Place, MapField]) -> dict[tuple[str, float], Crossing]:
    """Say of each server and wait from how many clients on it answers less than the best by more than `BEHIND`."""
    leads: dict[tuple[str, float], list[tuple[int, Lead]]] = {}
    for (wait_s, clients), each in sorted(fields.items()):
        for server in each.most.estimates:
            lead = _lead(each, MOST, server, each.most.first)
            if lead is not None:
                leads.setdefault((server, wait_s), []).append((clients, lead))
    limit = -math.log(BEHIND)
    return {
        whose: Crossing(*(_first_below(limit, [(n, lead[bound]) for n, lead in found]) for bound in range(3)))
        for whose, found in leads.items()
    }


def _first_below(limit: float, points: Sequence[tuple[float, float]]) -> float:
    """Return where a line through points is below a limit for the first time, straight between them if places are logarithms."""
    if points[0][1] < limit:
        return 0.0
    for (begin, above), (end, below) in pairwise(points):
        if below < limit <= above:
            return between(begin, end, (above - limit) / (above - below))
    return math.inf


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


def timer_error(launches: Sequence[Launch], workload: Workload) -> TimerError | None:
    """Say how late answers were under a workload; None if nothing was asked."""
    of_workload = counted(under(of_regime(launches, ONE_CORE), workload.name))
    late = Observed(
        add_histograms(each.sample.upstream.late.histogram for each in of_workload if each.sample.upstream)
    )
    median, p90 = late.quantile(0.5).ns, late.quantile(0.9).ns
    if median is None or p90 is None or workload.load.upstream is None:
        return None
    return TimerError(workload.name, median / 1e3, p90 / 1e3, p90 / 1e9 / workload.load.upstream.wait_s)


def _pool(workload: Workload) -> int | None:
    waiting = workload.load.upstream
    return None if waiting is None or waiting.pool == workload.load.clients else waiting.pool


def _largest_first(found: RelayMap) -> float:
    return -float("inf") if found.pool is None else -found.pool
