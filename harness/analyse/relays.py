"""Handlers that wait: who answers most, and at the least CPU, by how long they wait and for how many clients. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.blocks import Launch, counted, of_regime, under
from harness.analyse.rankings import Ranking, ranking
from harness.analyse.samples.metrics import metric
from harness.analyse.samples.quantiles import Observed
from harness.plan import CONSTANT, ONE_CORE, RELAY, RELAYS, Workload, by_name
from harness.record import add_histograms

FEWEST_FIELDS: Final = 2
"""One field alone is no map."""
Place = tuple[float, int]
"""A wait in seconds, and a number of clients."""


@dataclass(frozen=True)
class MapField:
    """One wait, with so many clients: servers of one core by what they answer, and by what a request costs them."""

    workload: str
    most: Ranking
    cheapest: Ranking | None


@dataclass(frozen=True)
class RelayMap:
    """All fields of one size of the pool.

    Attributes:
        pool: how many questions may be under way; None for as many as there are clients.
    """

    pool: int | None
    fields: dict[Place, MapField]

    @property
    def waits_s(self) -> list[float]:
        """Return the waits, the shortest first."""
        return sorted({wait_s for wait_s, _ in self.fields})

    @property
    def clients(self) -> list[int]:
        """Return the numbers of clients, the fewest first."""
        return sorted({clients for _, clients in self.fields})


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
    """

    workloads: tuple[str, ...]
    maps: tuple[RelayMap, ...]
    errors: tuple[TimerError, ...]


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
    )


def relay_map(launches: Sequence[Launch], workloads: Sequence[Workload], pool: int | None) -> RelayMap:
    """Return a map of those fields in which two servers at least have figures."""
    fields: dict[Place, MapField] = {}
    for each in workloads:
        waiting = each.load.upstream
        if waiting is None or waiting.spread != CONSTANT or each == RELAY:
            continue
        most = ranking(launches, each.name, metric("throughput_rps"))
        if most is not None:
            cheapest = ranking(launches, each.name, metric("cpu_us_per_request"))
            fields[waiting.wait_s, each.load.clients] = MapField(each.name, most, cheapest)
    return RelayMap(pool, fields)


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
