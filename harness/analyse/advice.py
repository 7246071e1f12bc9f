"""Which servers to choose in which situation, as far as a run's figures carry it, and no further. Pure.

No server's name stands here, and no sentence. Each rule looks at figures and declarations: if two servers swapped their
figures, they would swap their places. The report puts what is found into words.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.blocks import Launch, by_block, of_regime, under
from harness.analyse.rankings import BACKGROUND_RPS, TAILS, RankedTail, Ranking, Tail, ranking, tail_ranking
from harness.analyse.relays import Place, RelayMap, of_relays, own_threads
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import Estimate, estimate
from harness.plan import ALL_CORES, ONE_CORE, by_name, pass_s
from harness.record import Results, ServerFacts

FEW: Final = "clients_8"
MANY: Final = "clients_64"
HUNDREDS: Final = "clients_500"
IDLE: Final = "idle_10000"
OFFERED: Final = ("open_5k", "open_2k")
BESIDE_COSTLY: Final = "costly"
AS_SHORT: Final = 1.1
"""Code that is longer by so little is as simple."""


@dataclass(frozen=True)
class Advice:
    """What to choose: the best, and those that were not told apart from it."""

    servers: tuple[str, ...]


@dataclass(frozen=True)
class OneAtATime(Advice):
    """The shortest code of those that serve one client at a time."""

    code_lines: int


@dataclass(frozen=True)
class SimplestCode(Advice):
    """The shortest code of those that serve several clients, and what few clients get from whom."""

    shortest: tuple[ServerFacts, ...]
    speed: Ranking | None


@dataclass(frozen=True)
class MostlyIdle(Advice):
    """The least CPU for a request beside thousands of silent connections; of these, the least memory.

    Attributes:
        unable: who cannot hold so many.
        without_variants: the run had variants, and not under this workload.
    """

    cpu: Ranking
    memory: Ranking | None
    unable: tuple[str, ...]
    without_variants: bool


@dataclass(frozen=True)
class ShortTail(Advice):
    """The shortest tail with hundreds of clients; and what becomes of the difference at a moderate rate, of this workload."""

    of_hundreds: RankedTail
    at_a_rate: tuple[str, RankedTail] | None


@dataclass(frozen=True)
class NobodyLeftBehind(Advice):
    """Who treats hundreds of clients the most evenly, by the share of the one that is served worst."""

    shares: Ranking


@dataclass(frozen=True)
class ComputingOnOneCore(Advice):
    """Where light requests wait the least beside costly ones, and who answers how many of these."""

    light: RankedTail
    costly: Ranking | None


@dataclass(frozen=True)
class ComputingOnAllCores(Advice):
    """What light requests wait beside costly ones where all cores may be used, and how many of these are answered."""

    tail: Tail
    light: Estimate
    costly: Estimate | None


@dataclass(frozen=True)
class LibrariesThatBlock(Advice):
    """Who has a thread for each client, and which of them costs the least."""

    own_thread: tuple[str, ...]
    threads: int
    cpu: Ranking | None


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
    """Whose handlers wait as well as any: among those that answer most, of so many fields of the map in how many.

    Attributes:
        pool: of the map; None for as large as the clients are many.
        fields: of the map.
        leading: in how many of them each server was not told apart from the first, those of `servers` in the most.
        cheapest: the same of the least CPU for a request; and who is the first in that.
    """

    pool: int | None
    fields: int
    leading: dict[str, int]
    cheapest: dict[str, int]


@dataclass(frozen=True)
class ThreadsThatWait(Advice):
    """Where threads, one for each client, answer as much as any, and where they do not.

    Attributes:
        as_good: the fields where one of them was not told apart from the first.
        not_as_good: those where all were, with the best of them and the ranking.
    """

    as_good: tuple[Place, ...]
    not_as_good: tuple[tuple[Place, str, Ranking], ...]


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


Rule = Callable[[Results, Sequence[Launch]], Iterator[Advice]]


def advice(results: Results, launches: Sequence[Launch]) -> tuple[Advice, ...]:
    """Return what all rules recommend."""
    return tuple(each for rule in RULES for each in rule(results, launches))


def _ranked(launches: Sequence[Launch], workload: str, name: str) -> Ranking | None:
    return ranking(launches, workload, metric(name))


def simplest(results: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend the shortest code, with what it answers: of those that serve one client at a time, and several."""
    ours = [facts for facts in results.manifest.servers if facts.file and facts.regime == ONE_CORE]
    models = [facts for facts in ours if "+" not in facts.label]
    for one_at_a_time in (True, False):
        able = [facts for facts in models if ("concurrent" not in facts.declares) is one_at_a_time]
        if not able:
            continue
        fewest = min(facts.code_lines for facts in able)
        shortest = sorted(
            (facts for facts in able if facts.code_lines <= AS_SHORT * fewest),
            key=lambda each: each.code_lines,
        )
        labels = tuple(facts.label for facts in shortest)
        if one_at_a_time:
            yield OneAtATime(labels, fewest)
        else:
            speeds = (_ranked(launches, name, "throughput_rps") for name in (FEW, MANY))
            yield SimplestCode(labels, tuple(shortest), next(filter(None, speeds), None))


def mostly_idle(results: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend what costs the least CPU for a request while thousands of connections are silent."""
    found = _ranked(launches, IDLE, "cpu_us_per_request")
    if found is None:
        return
    connections = by_name(IDLE).connections
    servers = results.manifest.servers
    variants = {facts.label for facts in servers if "+" in facts.label}
    measured = {launch.sample.cell.server for launch in under(launches, IDLE)}
    yield MostlyIdle(
        found.leaders,
        found,
        ranking(launches, IDLE, metric("peak_mib"), found.leaders),
        tuple(each.label for each in servers if each.most_clients and each.most_clients < connections),
        bool(variants) and not variants & measured,
    )


def shortest_tail(_: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend the shortest tail of responses, with hundreds of clients: at a moderate rate, all are short."""
    found = tail_ranking(launches, HUNDREDS)
    if found is not None:
        offered = ((workload, tail_ranking(launches, workload)) for workload in OFFERED)
        at_a_rate = next(((workload, tail) for workload, tail in offered if tail is not None), None)
        yield ShortTail(found.ranking.leaders, found, at_a_rate)


def fair_shares(_: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend who leaves no client behind, with hundreds of them."""
    found = _ranked(launches, HUNDREDS, "worst_client_share")
    if found is not None and found.tells_apart:
        yield NobodyLeftBehind(found.leaders, found)


def costly_requests(_: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend who lets light requests wait the least beside costly ones; who uses all cores is another regime."""
    of_tail = tail_ranking(launches, BESIDE_COSTLY)
    if of_tail is not None:
        yield ComputingOnOneCore(
            of_tail.ranking.leaders, of_tail, ranking(launches, BESIDE_COSTLY, BACKGROUND_RPS)
        )
    tail = of_tail.tail if of_tail else TAILS[0]
    on_all = of_regime(launches, ALL_CORES)
    costly = by_block(on_all, BESIDE_COSTLY, BACKGROUND_RPS)
    for server, values in by_block(on_all, BESIDE_COSTLY, metric(tail.metric)).items():
        light, heavy = estimate(list(values.values())), estimate(list(costly.get(server, {}).values()))
        if light is not None:
            yield ComputingOnAllCores((server,), tail, light, heavy)


def blocking_calls(_: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend, of those whose handlers have threads of their own, the one that costs the least: a blocked call holds up no other."""
    threads: dict[str, int] = {}
    for launch in under(of_regime(launches, ONE_CORE), MANY):
        server = launch.sample.cell.server
        threads[server] = max(threads.get(server, 0), launch.sample.server.threads)
    own_thread = tuple(server for server, count in threads.items() if count >= by_name(MANY).load.clients)
    if own_thread:
        cpu = ranking(launches, MANY, metric("cpu_us_per_request"), own_thread)
        best = cpu.leaders if cpu else own_thread
        yield LibrariesThatBlock(best, own_thread, threads[best[0]], cpu)


def least_memory(_: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend who holds the least memory with some hundred clients."""
    found = _ranked(launches, HUNDREDS, "peak_mib")
    if found is not None:
        yield LeastMemory(found.leaders, found, _ranked(launches, HUNDREDS, "idle_kib_per_connection"))


def clean_stop(results: Results, _: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend who stops under load without losing a reply."""
    concurrent = {facts.label for facts in results.manifest.servers if "concurrent" in facts.declares}
    asked = [each for each in results.costs if each.server in concurrent]
    clean = [
        each
        for each in asked
        if each.lifetime.loaded_stop_s and not each.lifetime.wrong and not any(each.lifetime.exit_codes)
    ]
    if clean:
        longest_s = max(took_s for each in clean for took_s in each.lifetime.loaded_stop_s)
        yield CleanStop(tuple(each.server for each in clean), longest_s, everyone=len(clean) == len(asked))


def _maps(results: Results, launches: Sequence[Launch]) -> tuple[RelayMap, ...]:
    """Return the maps of relays in which anybody was told apart from anybody."""
    maps = of_relays(launches, results.manifest.design.workloads).maps
    return tuple(found for found in maps if any(each.most.tells_apart for each in found.fields.values()))


def waiting_handlers(results: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend who is the most often among those that answer most while handlers wait, however long, and for however many."""
    for found in _maps(results, launches)[:1]:
        fields = found.fields.values()
        leading = Counter(server for each in fields for server in each.most.leaders)
        cheapest = Counter(server for each in fields if each.cheapest for server in each.cheapest.leaders)
        most = max(leading.values())
        best = tuple(sorted(server for server, count in leading.items() if count == most))
        yield WaitingHandlers(best, found.pool, len(fields), dict(leading), dict(cheapest))


def threads_that_wait(results: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Tell where threads wait as well as any: a server is of these if it had one for each client, with as many as it was given."""
    for found in _maps(results, launches)[:1]:
        as_good, not_as_good = [], []
        threaded: set[str] = set()
        for place, each in found.fields.items():
            of_field = own_threads(launches, each.workload) & {*each.most.estimates}
            threaded |= of_field
            if of_field & {*each.most.leaders}:
                as_good.append(place)
            elif of_field:
                best = next(server for server in each.most.estimates if server in of_field)
                not_as_good.append((place, best, each.most))
        if threaded:
            yield ThreadsThatWait(tuple(sorted(threaded)), tuple(as_good), tuple(not_as_good))


def small_pool(results: Results, launches: Sequence[Launch]) -> Iterator[Advice]:
    """Recommend who has the shortest tail where many wait for few connections."""
    for found in of_relays(launches, results.manifest.design.workloads).maps[-1:]:
        if found.pool is None:
            return
        longest = max(found.fields.values(), key=lambda each: pass_s(by_name(each.workload).load))
        tail = tail_ranking(launches, longest.workload)
        share = _ranked(launches, longest.workload, "ceiling_share")
        if tail is not None and tail.ranking.tells_apart and share is not None:
            yield SmallPool(tail.ranking.leaders, longest.workload, tail, share)


RULES: Final[tuple[Rule, ...]] = (
    simplest,
    mostly_idle,
    shortest_tail,
    fair_shares,
    costly_requests,
    blocking_calls,
    waiting_handlers,
    threads_that_wait,
    small_pool,
    least_memory,
    clean_stop,
)
