"""Which servers to choose in which situation, as far as a run's figures carry it, and no further. Pure.

No server's name stands here, and no sentence. Each rule looks at figures and declarations: if two servers swapped their
figures, they would swap their places. The report puts what is found into words.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from harness.analyse.answer import ConnectionMemory
from harness.analyse.blocks import Launch, by_block, of_regime, under
from harness.analyse.changing_places import PlaceChange, by_clients
from harness.analyse.crossings import MapField, Place
from harness.analyse.interpreters import OfInterpreters
from harness.analyse.rankings import BACKGROUND_RPS, RankedTail, Ranking, ranking, tail_ranking
from harness.analyse.relays import OfRelays, RelayMap, given_all, given_fewer, own_threads
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import estimate
from harness.analyse.tables import Row, Table, failed
from harness.plan import ALL_CORES, ONE_CORE, by_name, model_of, pass_s
from harness.record import Results, ServerFacts

FEW: Final = "clients_8"
MANY: Final = "clients_64"
HUNDREDS: Final = "clients_500"
IDLE: Final = "idle_10000"
BESIDE_COSTLY: Final = "costly"
FARTHEST: Final = "response_p999_us"
AS_SHORT: Final = 1.1
"""Code that is longer by so little than the next shorter one is as simple: a gap divides, and no fixed length."""
REMARKABLE: Final = 0.9
"""Who gets a smaller share than this of what the best get is left behind; who gets more is not worth a name."""
FAR_AHEAD: Final = 1.25
"""Who answers so many times as much is ahead, if that could be told apart."""


@dataclass(frozen=True)
class Advice:
    """What to choose: the best, and those that were not told apart from it."""

    servers: tuple[str, ...]


@dataclass(frozen=True)
class SimplestCode(Advice):
    """The shortest code of those that serve several clients, and what few clients get from whom.

    Attributes:
        shortest: by their lines; `next_lines` has the next longer one, if there is one.
        speed: by what few clients get; `clients` of them.
    """

    shortest: tuple[ServerFacts, ...]
    next_lines: int | None
    speed: Ranking | None
    clients: int


@dataclass(frozen=True)
class MostlyIdle(Advice):
    """The least memory for thousands of silent connections; of these, the least CPU for a request beside them.

    Attributes:
        connections: how many.
        memory: by the most that was ever held, all connections together.
        cpu: of a request.
        each: what one of them takes, of servers that were given so many, variants too; the least first.
        unable: who cannot hold so many.
    """

    connections: int
    memory: Ranking
    cpu: Ranking | None
    each: tuple[ConnectionMemory, ...]
    unable: tuple[str, ...]


@dataclass(frozen=True)
class ShortTail(Advice):
    """The shortest tail with hundreds of clients.

    Attributes:
        table: of all quantiles.
        unknown: models of one core that have no figures there.
    """

    of_hundreds: RankedTail
    table: Table
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class NobodyLeftBehind(Advice):
    """Any, but those that leave clients behind: of hundreds the one served worst gets a remarkably smaller share than elsewhere.

    Attributes:
        unknown: servers of one core of which it is not known, since they serve fewer, or failed.
        crowd: if any of those left behind were measured with more clients: the most, and what share they get there.
    """

    but: tuple[str, ...]
    shares: Ranking
    unknown: tuple[str, ...]
    crowd: tuple[int, Mapping[str, float]] | None


@dataclass(frozen=True)
class OnAllCores:
    """What a server makes of all cores, its generator's among them, when some requests compute.

    Attributes:
        row: of its light requests.
        costly_rps: that were answered; None if that is not known.
    """

    row: Row
    costly_rps: float | None


@dataclass(frozen=True)
class Computing(Advice):
    """Where light requests wait the least beside costly ones, on one core; and who answers how many of these.

    Attributes:
        light: by the tail.
        table: of all quantiles.
        costly: by requests/s.
        on_all_cores: those that use them, to be held against the others: they are of another regime, and not ranked.
    """

    light: RankedTail
    table: Table
    costly: Ranking | None
    on_all_cores: tuple[OnAllCores, ...]


@dataclass(frozen=True)
class LibrariesThatBlock(Advice):
    """Who has a thread for each client, and which of them costs the least.

    Attributes:
        own_thread: all of them.
        threads: that the first one has.
        cpu: of a request; None if only one was measured.
        change: where one without a thread for each begins to answer more, and did not with fewer clients.
    """

    own_thread: tuple[str, ...]
    threads: int
    cpu: Ranking | None
    change: PlaceChange | None


@dataclass(frozen=True)
class LeastMemory(Advice):
    """The least memory with some hundred clients, and what each of them takes."""

    peak: Ranking
    each: Ranking | None


@dataclass(frozen=True)
class CleanStop(Advice):
    """Who stops under load without losing a reply, within so long; the time it takes is noisy, and not ranked."""

    longest_s: float
    everyone: bool


@dataclass(frozen=True)
class WaitingHandlers(Advice):
    """Who answers most while handlers wait, in the most fields of the map.

    Not who was told apart from the first in the fewest: a noisy figure is told apart from nothing.

    Attributes:
        pool: of the map; None for as large as the clients are many.
        fields: of the map.
        apart: in how many of them any were told apart who were given all clients: elsewhere it is chance who has the best figure.
        first: in how many of these each server has it, those of `servers` in the most.
        leading: in how many each was not told apart from who has it.
        cheapest: the same of the least CPU for a request; and who is the first in that.
    """

    pool: int | None
    fields: int
    apart: int
    first: dict[str, int]
    leading: dict[str, int]
    cheapest: dict[str, int]


class Outdone(NamedTuple):
    """The best of some servers in a field of the map, and who answers so many times as much there."""

    place: Place
    best: str
    first: str
    times: float


@dataclass(frozen=True)
class ThreadsThatWait(Advice):
    """Where threads, one for each client, are not known to answer less than the first, and where they are.

    Attributes:
        as_good: the fields where one of them was not told apart from the first; `unsure` are those of them where its figure is far from
            the first one's all the same.
        not_as_good: those where all were.
        failed: those where none was ranked, since some did not answer all: `at_fault`.
        unknown: how many fields there are of which nothing of this can be told.
    """

    as_good: tuple[Place, ...]
    unsure: tuple[Outdone, ...]
    not_as_good: tuple[Outdone, ...]
    failed: tuple[Place, ...]
    at_fault: tuple[str, ...]
    unknown: int


@dataclass(frozen=True)
class SmallPool(Advice):
    """What a pool does that is smaller than the clients are many: who has the shortest tail while they wait for it.

    Attributes:
        workload: that of the longest queue.
        tail: of the responses.
        share: of the ceiling, which all reach about, what the first and the last did.
    """

    workload: str
    tail: RankedTail
    share: Ranking


@dataclass(frozen=True)
class CheapestInterpreter(Advice):
    """The interpreters on which requests cost the least CPU on one core: of so many models, in how many each was not told apart.

    Attributes:
        models: that ran on all of them.
        leading: by interpreter.
    """

    models: int
    leading: dict[str, int]


@dataclass(frozen=True)
class FreeOnAllCores(Advice):
    """Who answers most where all cores may be used, of those that were free on them in the same blocks.

    Attributes:
        pinned: the same of those that had one core: what is gained by more of them is not much where threads share a lock.
    """

    found: Ranking
    pinned: Ranking | None


@dataclass(frozen=True)
class Findings:
    """What rules look at.

    Attributes:
        results: of a run.
        launches: of its servers as usual.
        tables, on_all_cores: of the two regimes, all servers in them.
        relays: what is said of them.
        memory: what a connection takes, the least first.
        turning: where servers change places with the number of clients.
        interpreters: what is said of several.
        free: launches of servers that were free on all cores.
    """

    results: Results
    launches: Sequence[Launch]
    tables: Mapping[str, Table]
    on_all_cores: Mapping[str, Table]
    relays: OfRelays
    memory: tuple[ConnectionMemory, ...]
    turning: tuple[PlaceChange, ...]
    interpreters: OfInterpreters
    free: Sequence[Launch]


Rule = Callable[[Findings], Iterator[Advice]]


def advice(seen: Findings) -> tuple[Advice, ...]:
    """Return what all rules recommend."""
    return tuple(each for rule in RULES for each in rule(seen))


def _ranked(seen: Findings, workload: str, name: str, among: Collection[str] | None = None) -> Ranking | None:
    return ranking(seen.launches, workload, metric(name), among, table=seen.tables.get(workload))


def simplest(seen: Findings) -> Iterator[Advice]:
    """Recommend the shortest code of those that serve several clients, as far as the first gap, with what it answers."""
    models = sorted(
        (
            facts
            for facts in seen.results.manifest.servers
            if facts.file
            and facts.regime == ONE_CORE
            and facts.label == model_of(facts.label)
            and "concurrent" in facts.declares
        ),
        key=lambda each: each.code_lines,
    )
    gaps = (
        place
        for place, (one, following) in enumerate(pairwise(models), start=1)
        if following.code_lines > AS_SHORT * one.code_lines
    )
    end = next(gaps, len(models))
    if len(models) > 1:
        speeds = ((name, _ranked(seen, name, "throughput_rps")) for name in (FEW, MANY))
        workload, speed = next(((name, found) for name, found in speeds if found), (FEW, None))
        yield SimplestCode(
            tuple(facts.label for facts in models[:end]),
            tuple(models[:end]),
            models[end].code_lines if end < len(models) else None,
            speed,
            by_name(workload).load.clients,
        )


def mostly_idle(seen: Findings) -> Iterator[Advice]:
    """Recommend what takes the least memory while thousands of connections are silent; of these, the least CPU for a request."""
    memory, cpu = (_ranked(seen, IDLE, name) for name in ("peak_mib", "cpu_us_per_request"))
    if memory is None:
        return
    load = by_name(IDLE).load
    silent = load.background.clients if load.background else 0
    connections = load.connections
    unable = tuple(
        each.label
        for each in seen.results.manifest.servers
        if each.label == model_of(each.label) and each.most_clients and each.most_clients < connections
    )
    each = tuple(held for held in seen.memory if held.server not in unable)
    yield MostlyIdle(_both(memory.leaders, cpu.leaders if cpu else ()), silent, memory, cpu, each, unable)


def _both(leaders: Sequence[str], others: Collection[str]) -> tuple[str, ...]:
    """Return those of the leaders that lead in the other respect, too; all leaders if none does."""
    return tuple(server for server in leaders if server in others) or tuple(leaders)


def _not_behind(leaders: Sequence[str], farther: Ranking | None) -> tuple[str, ...]:
    """Return the leaders but those that are known to be behind farther out; all of them if that is everybody."""
    behind = {*farther.estimates} - {*farther.leaders} if farther else set()
    return tuple(server for server in leaders if server not in behind) or tuple(leaders)


def shortest_tail(seen: Findings) -> Iterator[Advice]:
    """Recommend the shortest tail of responses, with hundreds of clients."""
    found = tail_ranking(seen.launches, HUNDREDS)
    if found is not None:
        table = seen.tables[HUNDREDS]
        known = [row.server for row in table.rows if FARTHEST not in row.few]
        farther = _ranked(seen, HUNDREDS, FARTHEST, known)
        unknown = _without_figures(seen, [row.server for row in table.rows])
        yield ShortTail(_not_behind(found.ranking.leaders, farther), found, table, unknown)


def fair_shares(seen: Findings) -> Iterator[Advice]:
    """Advise against those that leave clients behind, of hundreds of them."""
    found = _ranked(seen, HUNDREDS, "worst_client_share")
    if found is None:
        return
    but = tuple(
        server
        for server in found.estimates
        if server not in found.leaders and found.mean(server) < REMARKABLE * found.mean(found.first)
    )
    if but:
        others = tuple(each for each in found.estimates if each not in but)
        unknown = _without_figures(seen, found.estimates)
        yield NobodyLeftBehind(others, but, found, unknown, _in_a_larger_crowd(seen, but))


def _without_figures(seen: Findings, known: Collection[str]) -> tuple[str, ...]:
    """Return the models of one core that have no figures."""
    models = (facts.label for facts in seen.results.manifest.servers if facts.regime == ONE_CORE)
    return tuple(each for each in models if each == model_of(each) and each not in known)


def _in_a_larger_crowd(seen: Findings, servers: Sequence[str]) -> tuple[int, dict[str, float]] | None:
    """Return the most clients, more than some hundred, that any of these had, and the share of the one served worst there."""
    for clients, name in reversed(by_clients(seen.tables).items()):
        shares = {
            row.server: share.mean
            for row in seen.tables[name].rows
            if row.server in servers and (share := row.estimates["worst_client_share"]) is not None
        }
        if shares and clients > by_name(HUNDREDS).load.clients:
            return clients, shares
    return None


def costly_requests(seen: Findings) -> Iterator[Advice]:
    """Recommend who lets light requests wait the least beside costly ones: in the tail, and half of them."""
    found = tail_ranking(seen.launches, BESIDE_COSTLY)
    if found is None:
        return
    half = _ranked(seen, BESIDE_COSTLY, "response_p50_us")
    on_all = of_regime(seen.launches, ALL_CORES)
    heavy = by_block(on_all, BESIDE_COSTLY, BACKGROUND_RPS)
    costly = {server: estimate(list(values.values())) for server, values in heavy.items()}
    rows = seen.on_all_cores[BESIDE_COSTLY].rows if BESIDE_COSTLY in seen.on_all_cores else ()
    yield Computing(
        _both(found.ranking.leaders, half.leaders if half else ()),
        found,
        seen.tables[BESIDE_COSTLY],
        ranking(seen.launches, BESIDE_COSTLY, BACKGROUND_RPS),
        tuple(
            OnAllCores(row, known.mean if (known := costly.get(row.server)) else None)
            for row in rows
            if row.valid
        ),
    )


def blocking_calls(seen: Findings) -> Iterator[Advice]:
    """Recommend, of those whose handlers have threads of their own, the one that costs the least: a blocked call holds up no other."""
    threads: dict[str, int] = {}
    for launch in under(of_regime(seen.launches, ONE_CORE), MANY):
        server = launch.sample.cell.server
        threads[server] = max(threads.get(server, 0), launch.sample.server.threads)
    own_thread = tuple(server for server, count in threads.items() if count >= by_name(MANY).load.clients)
    if own_thread:
        cpu = _ranked(seen, MANY, "cpu_us_per_request", own_thread)
        best = cpu.leaders if cpu else own_thread
        change = next(
            (each for each in seen.turning if each.few in best and each.many not in own_thread), None
        )
        yield LibrariesThatBlock(best, own_thread, threads[best[0]], cpu, change)


def least_memory(seen: Findings) -> Iterator[Advice]:
    """Recommend who holds the least memory with some hundred clients."""
    found = _ranked(seen, HUNDREDS, "peak_mib")
    if found is not None:
        each = _ranked(seen, HUNDREDS, "idle_kib_per_connection")
        yield LeastMemory(found.leaders, found, each)


def clean_stop(seen: Findings) -> Iterator[Advice]:
    """Recommend who stops under load without losing a reply."""
    results = seen.results
    concurrent = {facts.label for facts in results.manifest.servers if "concurrent" in facts.declares}
    asked = [each for each in results.costs if each.server in concurrent]
    clean = [
        each
        for each in asked
        if each.lifetime.loaded_stop_s and not each.lifetime.wrong and not any(each.lifetime.exit_codes)
    ]
    if len(asked) > 1 and clean:
        longest_s = max(took_s for each in clean for took_s in each.lifetime.loaded_stop_s)
        yield CleanStop(tuple(each.server for each in clean), longest_s, everyone=len(clean) == len(asked))


def _maps(seen: Findings) -> tuple[RelayMap, ...]:
    """Return the maps of relays in which anybody was told apart from anybody."""
    maps = seen.relays.maps
    return tuple(found for found in maps if any(each.most.tells_apart for each in found.fields.values()))


def waiting_handlers(seen: Findings) -> Iterator[Advice]:
    """Recommend who answers most the most often while handlers wait, however long, and for however many."""
    for found in _maps(seen)[:1]:
        fields = found.fields.values()
        told_apart = [each for each in fields if _tells_those_given_all_apart(seen, each)]
        first = Counter(each.most.first for each in told_apart)
        leading = Counter(server for each in told_apart for server in each.most.leaders)
        cheapest = Counter(server for each in told_apart if each.cheapest for server in each.cheapest.leaders)
        if not first:
            return
        best = tuple(sorted(server for server, count in first.items() if count == max(first.values())))
        yield WaitingHandlers(
            best, found.pool, len(fields), len(told_apart), dict(first), dict(leading), dict(cheapest)
        )


def _tells_those_given_all_apart(seen: Findings, field: MapField) -> bool:
    """Tell whether any were told apart from the first: who serves one client at a time always is, and that says nothing."""
    behind = {*field.most.estimates} - {*field.most.leaders}
    return bool(behind - {*given_fewer(seen.launches, field.workload)})


def threads_that_wait(seen: Findings) -> Iterator[Advice]:
    """Tell where threads wait as well as any: a server is of these if it had one for each client, and was given all."""
    for found in _maps(seen)[:1]:
        as_good, unsure, not_as_good, unanswered = [], [], [], []
        threaded: set[str] = set()
        at_fault: set[str] = set()
        for place, each in found.fields.items():
            having = own_threads(seen.launches, each.workload) - {*given_fewer(seen.launches, each.workload)}
            of_field = [server for server in each.most.estimates if server in having]
            threaded |= {*of_field}
            if {*of_field} & {*each.most.leaders}:
                as_good.append(place)
                ahead = each.most.mean(each.most.first) / each.most.mean(of_field[0])
                if ahead > FAR_AHEAD:
                    unsure.append(Outdone(place, of_field[0], each.most.first, ahead))
            elif of_field and (times := each.times(each.most.first, of_field[0])):
                not_as_good.append(Outdone(place, of_field[0], each.most.first, times))
            elif lost := having & failed(under(seen.launches, each.workload)):
                unanswered.append(place)
                at_fault |= lost
        if threaded:
            told = len(as_good) + len(not_as_good) + len(unanswered)
            yield ThreadsThatWait(
                tuple(sorted(threaded)),
                tuple(as_good),
                tuple(unsure),
                tuple(not_as_good),
                tuple(unanswered),
                tuple(sorted(at_fault)),
                len(found.fields) - told,
            )


def small_pool(seen: Findings) -> Iterator[Advice]:
    """Recommend who has the shortest tail where many wait for few connections."""
    for found in seen.relays.maps[-1:]:
        if found.pool is None:
            return
        longest = max(found.fields.values(), key=lambda each: pass_s(by_name(each.workload).load))
        tail = tail_ranking(given_all(seen.launches, longest.workload), longest.workload)
        share = _ranked(seen, longest.workload, "ceiling_share", tail.ranking.estimates if tail else ())
        if tail is not None and tail.ranking.tells_apart and share is not None:
            yield SmallPool(tail.ranking.leaders, longest.workload, tail, share)


def cheapest_interpreter(seen: Findings) -> Iterator[Advice]:
    """Recommend the interpreter on which most models cost the least CPU on one core, or are not told apart from that."""
    found = [group for group in seen.interpreters.groups if group.workload == MANY and not group.ways]
    most_of_them = max((len(group.servers) for group in found), default=0)
    groups = [group for group in found if len(group.servers) == most_of_them]
    own = seen.results.manifest.environment.python.rpartition(" ")[2]
    leading = Counter(
        each.named.interpreter or own
        for group in groups
        for each in group.servers
        if "a" in each.letters.get("cpu_us_per_request", "")
    )
    if leading:
        most = max(leading.values())
        best = tuple(sorted(name for name, count in leading.items() if count == most))
        yield CheapestInterpreter(best, len(groups), dict(leading))


def free_on_all_cores(seen: Findings) -> Iterator[Advice]:
    """Recommend who answers most when free on all cores, if anybody of these can use more than one at a time."""
    parallel = {facts.label for facts in seen.results.manifest.servers if "parallel" in facts.declares}
    if parallel & {launch.sample.cell.server for launch in seen.free}:
        found = ranking(seen.free, MANY, metric("throughput_rps"), table=seen.tables.get(MANY))
        if found is not None:
            yield FreeOnAllCores(found.leaders, found, _ranked(seen, MANY, "throughput_rps"))


RULES: Final[tuple[Rule, ...]] = (
    blocking_calls,
    waiting_handlers,
    threads_that_wait,
    small_pool,
    shortest_tail,
    fair_shares,
    costly_requests,
    mostly_idle,
    least_memory,
    simplest,
    clean_stop,
    cheapest_interpreter,
    free_on_all_cores,
)
"""In the order in which readers ask."""
