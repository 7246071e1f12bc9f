"""Where a run has measured what one may ask for, and who is ahead there: by requests, CPU, tail and memory. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from harness.analyse.blocks import Launch, of_regime
from harness.analyse.comparisons import COMPARED
from harness.analyse.rankings import TAILS, Ranking, leaders, ranked_rows, ranking, tail_ranking
from harness.analyse.relays import given_all, given_fewer
from harness.analyse.samples.metrics import metric
from harness.analyse.tables import Row, Table
from harness.plan import ALL_CORES, CLOSED, CONSTANT, COSTLY, FREE, ONE_CORE, Workload, by_name, is_as_usual

PINNED: Final = "pinned"
FREELY: Final = "free"
EVERYWHERE: Final = "all"
PLACEMENTS: Final = {PINNED: ONE_CORE, FREELY: ONE_CORE, EVERYWHERE: ALL_CORES}
"""Where a server runs, and of which regime that is: on a core of its own; on all, although it uses one at a time; on all at once."""

LITTLE: Final = "little"
LONG_LINES: Final = "lines"
BESIDE_COSTLY: Final = "costly"
WORKS: Final = (LITTLE, LONG_LINES, BESIDE_COSTLY)
"""What a request computes: next to nothing; a list of 4,096 bytes; next to nothing, beside some that compute for 0.4 ms."""

MOST: Final = "most"
CHEAPEST: Final = "cheapest"
SHORTEST: Final = "shortest"
SMALLEST: Final = "smallest"
PURPOSES: Final = (MOST, CHEAPEST, SHORTEST, SMALLEST)
"""By what servers are ranked: requests/s, CPU per request, the tail of the responses, memory."""

TAIL_NAMES: Final = tuple(each.metric for each in TAILS)
LONGEST: Final = 4096
"""A line has at most so many bytes."""


class Spot(NamedTuple):
    """What was measured somewhere.

    Attributes:
        clients: each with one request under way.
        wait_s: that a handler waits for an upstream; 0 if it asks none.
        pool: how many handlers can wait at once; None for as many as there are clients.
        work: one of `WORKS`.
        placement: one of `PLACEMENTS`.
    """

    clients: int
    wait_s: float
    pool: int | None
    work: str
    placement: str


@dataclass(frozen=True)
class RankedBy:
    """Servers by a metric, and those of whom too little is known to be ranked by it."""

    metric: str
    ranking: Ranking
    without: tuple[str, ...]


@dataclass(frozen=True)
class MeasuredPoint:
    """A spot where servers were measured.

    Attributes:
        workload: by which.
        rows: of these servers, the one that answers the most first.
        ranked: by purpose; those by which nobody can be ranked are left out.
        fewer: servers that were given fewer clients, since they serve no more at once, and how many: neither their tail nor their
            memory is that of so many.
    """

    spot: Spot
    workload: str
    rows: tuple[Row, ...]
    ranked: Mapping[str, RankedBy]
    fewer: Mapping[str, int]


def is_placed(server: str, placement: str) -> bool:
    """Tell whether a server of the placement's regime, by its name, was measured so."""
    return server.endswith(f"+{FREE}") if placement == FREELY else is_as_usual(server)


def spot_of(workload: Workload, placement: str) -> Spot | None:
    """Return what one asks for if a workload is the answer; None if it is one of another kind."""
    load, waiting = workload.load, workload.load.upstream
    if load.arrivals != CLOSED or load.pipeline > 1 or load.churn:
        return None
    if waiting is not None:
        pool = None if waiting.pool == load.clients else waiting.pool
        is_even = waiting.spread == CONSTANT
        return Spot(load.clients, waiting.wait_s, pool, LITTLE, placement) if is_even else None
    if load.background is not None:
        beside = load.background.kind == COSTLY
        return Spot(load.clients, 0.0, None, BESIDE_COSTLY, placement) if beside else None
    if load.line is not None:
        return Spot(load.clients, 0.0, None, LONG_LINES, placement) if len(load.line) == LONGEST else None
    return None if workload.alone else Spot(load.clients, 0.0, None, LITTLE, placement)


def measured_points(
    tables: Mapping[str, Mapping[str, Table]], launches: Sequence[Launch]
) -> tuple[MeasuredPoint, ...]:
    """Return all points of a run, in the order of its workloads.

    Args:
        tables: by regime and workload.
        launches: of the run, all of them.
    """
    return tuple(
        point
        for placement, regime in PLACEMENTS.items()
        for name, table in tables.get(regime, {}).items()
        if (spot := spot_of(by_name(name), placement)) is not None
        if (point := _point(spot, table, launches)) is not None
    )


def _point(spot: Spot, table: Table, launches: Sequence[Launch]) -> MeasuredPoint | None:
    rows = tuple(
        row for row in table.rows if row.estimates[COMPARED[0]] and is_placed(row.server, spot.placement)
    )
    if not rows:
        return None
    mine = [
        launch
        for launch in of_regime(launches, PLACEMENTS[spot.placement])
        if is_placed(launch.sample.cell.server, spot.placement)
    ]
    fewer = given_fewer(mine, table.workload)
    return MeasuredPoint(spot, table.workload, rows, dict(_ranked(table, rows, mine, fewer)), fewer)


def _ranked(
    table: Table, rows: Sequence[Row], launches: Sequence[Launch], fewer: Collection[str]
) -> Iterator[tuple[str, RankedBy]]:
    """Rank servers: by what the tables compare, with the tables' own verdicts; by tail and memory those with all clients."""
    for purpose, name in ((MOST, COMPARED[0]), (CHEAPEST, COMPARED[1])):
        found = _of_table(table, rows, name)
        if found is not None:
            yield purpose, RankedBy(name, found, _without(rows, found))
    able = [row for row in rows if not row.failed and row.server not in fewer]
    if len(able) == 1:
        yield from _alone(able[0])
        return
    regime = launches[0].sample.placement.regime if launches else ONE_CORE
    rows = [row for row in rows if row.server not in fewer]
    with_all = given_all(launches, table.workload)
    of_tail = tail_ranking(with_all, table.workload, regime)
    if of_tail is not None:
        yield SHORTEST, RankedBy(of_tail.tail.metric, of_tail.ranking, _without(rows, of_tail.ranking))
    memory = ranking(with_all, table.workload, metric("peak_mib"), regime=regime)
    if memory is not None:
        yield SMALLEST, RankedBy("peak_mib", memory, _without(rows, memory))


def _alone(row: Row) -> Iterator[tuple[str, RankedBy]]:
    """Rank a server beside which nobody was measured: by the farthest quantile of which enough is known, and by memory."""
    tails = (name for name in TAIL_NAMES if name not in row.few and row.estimates[name])
    for purpose, name in ((SHORTEST, next(tails, None)), (SMALLEST, "peak_mib")):
        if name is not None and (found := row.estimates[name]) is not None:
            yield purpose, RankedBy(name, Ranking({row.server: found}, (row.server,)), ())


def _of_table(table: Table, rows: Iterable[Row], name: str) -> Ranking | None:
    ranked = ranked_rows((row for row in rows if row.values[name]), name)
    if not ranked:
        return None
    first = leaders(table, ranked, name)
    known = {row.server: found for row in ranked if (found := row.estimates[name]) is not None}
    return Ranking(known, tuple(row.server for row in first))


def _without(rows: Iterable[Row], found: Ranking) -> tuple[str, ...]:
    """Name those of whom too little is known; who failed is another matter."""
    return tuple(row.server for row in rows if row.server not in found.estimates and not row.failed)
