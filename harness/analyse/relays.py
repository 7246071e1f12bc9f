"""Handlers that wait: who answers most, and at the least CPU, by how long they wait and for how many clients. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.analyse.blocks import Launch, counted, of_regime, under
from harness.analyse.crossings import (
    CHEAPEST,
    MEMORY,
    MOST,
    Behind,
    Divide,
    MapField,
    Place,
    divides,
    falling_behind,
)
from harness.analyse.rankings import ranking
from harness.analyse.samples.metrics import metric
from harness.analyse.samples.quantiles import Observed
from harness.analyse.shortfall import Shortfall, shortfalls
from harness.analyse.tables import Table, failed, tabulate
from harness.plan import CLOSED, CONSTANT, ONE_CORE, RELAY, RELAYS, Workload, by_name
from harness.record import add_histograms

FEWEST_FIELDS: Final = 2
"""One field alone is no map."""


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
    behind: Mapping[tuple[str, float], Behind] = field(default_factory=dict)
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


def of_relays(
    launches: Sequence[Launch], measured: Collection[str], tables: Mapping[str, Table] | None = None
) -> OfRelays:
    """Work out what is said of relays; nothing if none were measured.

    Args:
        launches: of servers as usual.
        measured: the workloads.
        tables: of all servers of one core, by workload, whose verdicts these are to be; if not given, of these launches.
    """
    workloads = [by_name(name) for name in measured if by_name(name).relayed]
    pools = dict.fromkeys(_pool(each) for each in RELAYS)
    maps = (
        relay_map(launches, [each for each in workloads if _pool(each) == pool], pool, tables)
        for pool in pools
    )
    errors = (timer_error(launches, each) for each in workloads)
    return OfRelays(
        tuple(each.name for each in workloads),
        tuple(sorted((each for each in maps if len(each.fields) >= FEWEST_FIELDS), key=_largest_first)),
        tuple(each for each in errors if each is not None),
        tuple(shortfalls(launches, [each.name for each in workloads])),
    )


def relay_map(
    launches: Sequence[Launch],
    workloads: Sequence[Workload],
    pool: int | None,
    tables: Mapping[str, Table] | None = None,
) -> RelayMap:
    """Return a map of those fields in which two servers at least have figures; arguments as of `of_relays`."""
    fields: dict[Place, MapField] = {}
    for each in workloads:
        waiting = each.load.upstream
        if waiting is None or waiting.spread != CONSTANT or each.load.arrivals != CLOSED or each == RELAY:
            continue
        table = tabulate(launches, each.name) if tables is None else tables.get(each.name)
        most = ranking(launches, each.name, metric(MOST), table=table)
        with_all = {launch.sample.cell.server for launch in launches} - {*given_fewer(launches, each.name)}
        if most is not None and table is not None:
            fields[waiting.wait_s, each.load.clients] = MapField(
                each.name,
                most,
                ranking(launches, each.name, metric(CHEAPEST), table=table),
                ranking(launches, each.name, metric(MEMORY), with_all, failed_too=True),
                {
                    (name, found.a, found.b): found
                    for name in (MOST, CHEAPEST)
                    for found in table.comparisons[name]
                },
                frozenset(failed(under(of_regime(launches, ONE_CORE), each.name))),
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


def given_fewer(launches: Sequence[Launch], workload: str) -> dict[str, int]:
    """Return the relays that were given fewer clients than a load has, since they serve no more at once, and how many."""
    return {
        launch.sample.cell.server: launch.sample.load.clients
        for launch in under(launches, workload)
        if launch.sample.load.upstream and launch.sample.load.clients < by_name(workload).load.clients
    }


def given_all(launches: Sequence[Launch], workload: str) -> list[Launch]:
    """Return the launches, of whatever workload, of those servers that were given as many clients as this one has."""
    fewer = given_fewer(launches, workload)
    return [launch for launch in launches if launch.sample.cell.server not in fewer]


def own_threads(launches: Sequence[Launch], workload: str) -> set[str]:
    """Return the servers that had a thread for each client under a workload, with as many as they were given."""
    return {
        launch.sample.cell.server
        for launch in under(of_regime(launches, ONE_CORE), workload)
        if 1 < launch.sample.load.clients <= launch.sample.server.threads
    }


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
