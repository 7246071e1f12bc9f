"""What decides between the models: the claims on which the first screen of a report stands. Pure.

No server's name stands here, and no sentence: if two servers swapped their figures, they would swap their places.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.blocks import Launch, under
from harness.analyse.changing_places import PlaceChange, by_clients, place_changes, turning
from harness.analyse.comparisons import BETTER, WORSE, Comparison, compare_all, inverse
from harness.analyse.rankings import RankedTail, Ranking, ranking, tail_ranking
from harness.analyse.relays import given_fewer
from harness.analyse.samples.metrics import metric
from harness.analyse.slopes import Slope
from harness.analyse.tables import Row, Table
from harness.analyse.usual import is_the_usual_one
from harness.plan import FREE, FRESH, ONE_CORE, RELAY, WAYS, by_name, factors_of, model_of
from harness.record import EffectResult, Results, ServerCosts

HUNDREDS: Final = "clients_500"
OFFERED: Final = ("open_5k", "open_2k")
"""Of these that which has figures of most servers, the first of equals, tells what a model does with a core to spare."""
OTHER_WAYS: Final = {
    FREE: "servers that are free on all cores",
    FRESH: "servers before their first client has left",
    "@": "other interpreters",
}
THROUGHPUT, CPU = "throughput_rps", "cpu_us_per_request"
LOCK: Final = "placement"
"""The effect that tells of threads on several cores."""
NOTICED_US: Final = 1_000.0
"""A difference in response time that is smaller is noticed by nobody."""
KIB: Final = 1024


@dataclass(frozen=True)
class Spare:
    """What is left of the differences when requests come at a rate that all keep up with.

    Attributes:
        workload: under which, and at what rate.
        tail: of the responses.
        cores: the share of a core that each server needs for it.
        tells_cores_apart: whether the first and the last in that are known to differ.
        apart_us: by how much the last in the tail may be slower than the first, at most; infinity if that is not known.
    """

    workload: str
    rate_rps: float
    tail: RankedTail
    cores: Mapping[str, float]
    tells_cores_apart: bool
    apart_us: float

    @property
    def noticed(self) -> bool:
        """Tell whether somebody might notice who answers."""
        ranking = self.tail.ranking
        return ranking.tells_apart and ranking.mean(ranking.last) - ranking.mean(ranking.first) >= NOTICED_US

    @property
    def slight(self) -> bool:
        """Tell whether it is known that nobody notices: not to have told servers apart is not enough for that."""
        return not self.noticed and self.apart_us < NOTICED_US


@dataclass(frozen=True)
class Saturated:
    """Who answers most when all that are there ask again at once.

    Attributes:
        most: who does, by the number of clients, the fewest first.
        turning: where the server that changes places with most others does so; that of the largest swing first.
    """

    most: Mapping[int, Ranking]
    turning: tuple[PlaceChange, ...]

    @property
    def everywhere(self) -> tuple[str, ...]:
        """Return who is among the first at every number of clients."""
        first, *others = self.most.values()
        return tuple(server for server in first.leaders if all(server in each.leaders for each in others))


@dataclass(frozen=True)
class WaitingAt:
    """What one load of relays tells: who answers most, and at what CPU.

    Attributes:
        workload: which; `wait_s`, `clients` and `pool` of it.
        most: by requests/s, of those that serve several clients side by side.
        cheapest: by the CPU of a request, likewise.
        rows: of the models, and of the variants that differ from theirs.
        fewer: how many clients those were given that do not serve all.
    """

    workload: str
    wait_s: float
    clients: int
    pool: int
    most: Ranking
    cheapest: Ranking | None
    rows: tuple[Row, ...]
    fewer: Mapping[str, int]

    @property
    def ceiling_rps(self) -> float:
        """Return what wait, clients and pool allow."""
        return min(self.clients, self.pool) / self.wait_s


@dataclass(frozen=True)
class Way:
    """What one thing more makes of a server, where it is known to make a difference: another place or state, or interpreter.

    Attributes:
        server: without it.
        way: "free", "fresh", or an "@" and an interpreter.
        workload: under which that is known.
        loads: under how many both were compared, known or not.
        against: the server without it, compared with the one that has it, by metric.
    """

    server: str
    way: str
    workload: str
    loads: int
    against: Mapping[str, Comparison]


@dataclass(frozen=True)
class ConnectionMemory:
    """What a connected, silent client takes: of the process, and of the kernel for its tables and stacks.

    Attributes:
        held: so many were held at once.
    """

    server: str
    held: int
    process_kib: float
    kernel_kib: float

    @property
    def kib(self) -> float:
        """Return both together."""
        return self.process_kib + self.kernel_kib


@dataclass(frozen=True)
class ModelFigures:
    """A line of the table of models.

    Attributes:
        row: its figures under the load of the table.
        spare_cpu_us: what a request costs at the rate of `Spare`; None if that was not measured.
        memory: what a connection takes; None likewise.
        code_lines: of its file, 0 if that is not known.
    """

    row: Row
    spare_cpu_us: float | None
    memory: ConnectionMemory | None
    code_lines: int


@dataclass(frozen=True)
class Answer:
    """The claims; None, or nothing, where a run does not tell.

    Attributes:
        missing: what was not measured that might change the answer.
    """

    missing: tuple[str, ...]
    spare: Spare | None
    saturated: Saturated | None
    waiting: WaitingAt | None
    ways: tuple[Way, ...]
    lock: EffectResult | None
    memory: tuple[ConnectionMemory, ...]
    workload: str
    models: tuple[ModelFigures, ...]


def answer(
    results: Results,
    launches: Sequence[Launch],
    tables: Mapping[str, Table],
    slopes: Mapping[tuple[str, str], Slope | None],
) -> Answer:
    """Work out what decides.

    Args:
        results: of a run.
        launches: of its servers as usual.
        tables: of all servers of one core.
        slopes: what a connection adds to each field of `Holding`, by server and field.
    """
    memory = tuple(sorted(connection_memory(results.costs, slopes), key=lambda each: each.kib))
    spare = with_a_core_to_spare(launches, tables)
    workload = next((name for name in (HUNDREDS, *tables) if name in tables and tables[name].rows), "")
    return Answer(
        missing=tuple(missing(results, tables)),
        spare=spare,
        saturated=saturated(launches, tables),
        waiting=waiting_at(launches, tables),
        ways=tuple(ways(tables)),
        lock=next((each for each in results.effects if each.effect == LOCK), None),
        memory=memory,
        workload=workload,
        models=tuple(_models(results, tables, workload, spare, memory)) if workload else (),
    )


def missing(results: Results, tables: Mapping[str, Table]) -> Iterator[str]:
    """Yield what was not measured: what no run here does, and what this one did not."""
    yield "TLS"
    if not workers_of(results):
        yield "a network"
    yield f"more than {results.manifest.environment.cores} cores"
    if not any(table.rows for name, table in tables.items() if by_name(name).relayed):
        yield "handlers that wait"
    factors = {factor for table in tables.values() for row in table.rows for factor in factors_of(row.server)}
    kinds = {"@" if factor.startswith("@") else factor for factor in factors}
    yield from (text for way, text in OTHER_WAYS.items() if way not in kinds)


def workers_of(results: Results) -> tuple[str, ...]:
    """Return the workers from which a cluster loaded the servers; what is between them and these is in the figures."""
    return tuple(sorted({each.worker for sample in results.samples for each in sample.workers}))


def with_a_core_to_spare(launches: Sequence[Launch], tables: Mapping[str, Table]) -> Spare | None:
    """Say what responses and cores are at a moderate rate, at which as many servers as possible can be told of; None if at none."""
    found = [
        each
        for workload in OFFERED
        if (each := _spare_at(workload, launches, tables.get(workload))) is not None
    ]
    return max(found, key=lambda each: len(each.cores), default=None)


def _spare_at(workload: str, launches: Sequence[Launch], table: Table | None) -> Spare | None:
    tail, cpu = tail_ranking(launches, workload), ranking(launches, workload, metric(CPU), table=table)
    if tail is None or cpu is None:
        return None
    rate = by_name(workload).load.rate
    cores = {server: found.mean * rate / 1e6 for server, found in cpu.estimates.items()}
    apart_us = _apart_us(workload, launches, tail)
    return Spare(workload, rate, tail, cores, tells_cores_apart=cpu.tells_apart, apart_us=apart_us)


def _apart_us(workload: str, launches: Sequence[Launch], tail: RankedTail) -> float:
    """Return by how much the last may be slower than the first, by the upper end of the ratio of both."""
    first, last = tail.ranking.first, tail.ranking.last
    compared = compare_all(launches, workload, metric(tail.tail.metric), tail.ranking.estimates)
    ratios = [
        each.ci_high
        for found in compared
        for each in (found, inverse(found))
        if (each.a, each.b) == (first, last)
    ]
    return tail.ranking.mean(first) * (max(ratios, default=math.inf) - 1)


def saturated(launches: Sequence[Launch], tables: Mapping[str, Table]) -> Saturated | None:
    """Say who answers most, by the number of clients; None if two servers never met."""
    found = {
        clients: most
        for clients, name in by_clients(tables).items()
        if (most := ranking(launches, name, metric(THROUGHPUT), table=tables[name])) is not None
    }
    return Saturated(found, turning(place_changes(tables))) if found else None


def waiting_at(launches: Sequence[Launch], tables: Mapping[str, Table]) -> WaitingAt | None:
    """Say who answers most under the one load of relays that every run measures; None if two servers were not."""
    fewer = given_fewer(launches, RELAY.name)
    able = {
        launch.sample.cell.server
        for launch in under(launches, RELAY.name)
        if fewer.get(launch.sample.cell.server) != 1
    }
    table = tables.get(RELAY.name)
    most, cheapest = (
        ranking(launches, RELAY.name, metric(name), able, table=table) for name in (THROUGHPUT, CPU)
    )
    waiting = RELAY.load.upstream
    if most is None or waiting is None or table is None:
        return None
    return WaitingAt(
        RELAY.name,
        waiting.wait_s,
        RELAY.load.clients,
        waiting.pool,
        most,
        cheapest,
        tuple(_told(table)),
        fewer,
    )


def _told(table: Table) -> Iterator[Row]:
    """Yield the models of a table in their order, each followed by those of its variants that differ from it."""
    for row in table.rows:
        if row.valid and (row.server == model_of(row.server) or differs(table, row.server)):
            yield row


def ways(tables: Mapping[str, Table]) -> Iterator[Way]:
    """Say what place, state and interpreter make of servers, where that is known to make a difference."""
    compared: dict[tuple[str, str], dict[str, dict[str, Comparison]]] = {}
    for workload, table in tables.items():
        for name in table.comparisons:
            for found in table.sound(name):
                for each in (found, inverse(found)):
                    if (way := one_more(each.a, each.b)) is not None:
                        compared.setdefault((each.a, way), {}).setdefault(workload, {})[name] = each
    for (server, way), by_workload in compared.items():
        for workload, of_metrics in by_workload.items():
            known = {name: each for name, each in of_metrics.items() if each.verdict in {BETTER, WORSE}}
            if known:
                yield Way(server, way, workload, len(by_workload), known)


def one_more(server: str, other: str) -> str | None:
    """Return the one thing by which the other differs from a server of the same model; None if it is a variant, or more than one."""
    if model_of(server) != model_of(other) or not factors_of(server) < factors_of(other):
        return None
    more = factors_of(other) - factors_of(server)
    return (
        next((each for each in more if each in WAYS or each.startswith("@")), None)
        if len(more) == 1
        else None
    )


def connection_memory(
    costs: Sequence[ServerCosts], slopes: Mapping[tuple[str, str], Slope | None]
) -> Iterator[ConnectionMemory]:
    """Say what a connection takes of each server of one core that holds enough of them, on the interpreter that it is usually on."""
    measured = {each.server for each in costs}
    for each in costs:
        if not is_the_usual_one(each.server, measured):
            continue
        process, tables, stacks = (
            slopes.get((each.server, field))
            for field in ("rss_bytes", "page_table_bytes", "kernel_stack_bytes")
        )
        if each.regime == ONE_CORE and process and tables and stacks:
            yield ConnectionMemory(
                each.server,
                each.crowd.holdings[-1].connections,
                process.value / KIB,
                (tables.value + stacks.value) / KIB,
            )


def _models(
    results: Results,
    tables: Mapping[str, Table],
    workload: str,
    spare: Spare | None,
    memory: Sequence[ConnectionMemory],
) -> Iterator[ModelFigures]:
    """Yield the figures of the models."""
    held = {each.server: each for each in memory}
    facts = {each.label: each for each in results.manifest.servers}
    cores = spare.cores if spare else {}
    for row in _told(tables[workload]):
        known = facts.get(row.server)
        yield ModelFigures(
            row,
            cores[row.server] * 1e6 / spare.rate_rps if spare and row.server in cores else None,
            held.get(row.server),
            known.code_lines if known else 0,
        )


def differs(table: Table, variant: str) -> bool:
    """Tell whether a variant is told apart from its model, in whatever is compared."""
    pair = {variant, model_of(variant)}
    return any(
        {each.a, each.b} == pair and each.verdict in {BETTER, WORSE}
        for of_metric in table.comparisons.values()
        for each in of_metric
    )
