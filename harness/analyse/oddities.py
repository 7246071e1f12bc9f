"""Figures that stand out, and that a reader would ask about: each with what the data say of its cause, or with nothing. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, NamedTuple

from harness.analyse.tables import Table
from harness.plan import is_as_usual
from harness.record import ConnectionLimit, EffectResult, ServerCosts

FAR: Final = 10.0
"""So many times as long as the median of the others is odd, and so many times as much in one launch as in another."""
FEW: Final = 0.9
"""A request at a time makes a server wait once for each; fewer waits are odd."""
ONE: Final = "ping_pong"
CROWD: Final = "lock-crowd"
MAPPED: Final = "receive-buffer"
LARGE: Final = "256 KiB"
HARDLY: Final = 0.1


@dataclass(frozen=True)
class Oddity:
    """A figure that stands out: of whom it is."""

    server: str


@dataclass(frozen=True)
class SlowToAnswerAll(Oddity):
    """All connections of a server were asked at once, and it took far longer than others that hold as many.

    Attributes:
        connections: that were held.
        took_s: until all were answered; `others_s` the others, in the median; `also_slow` are those of its kind that took as far too long.
        threads: it has one for each connection; `also_threads` among the others have that, too, and took less than half as long.
        shown: the effect that threads on several cores have on each other, if it was made to happen and is there; None otherwise.
    """

    connections: int
    took_s: float
    others_s: float
    also_slow: tuple[tuple[str, float], ...]
    threads: bool
    also_threads: tuple[str, ...]
    shown: EffectResult | None

    @property
    def each_ms(self) -> float:
        """Return how long each reply took, if they came one after the other."""
        return 1e3 * self.took_s / self.connections


class Waits(NamedTuple):
    """How often a server waits for each request of one client, between which bounds that lies, and the CPU that a request costs it."""

    server: str
    each: float
    least: float
    most: float
    cpu_us: float


@dataclass(frozen=True)
class SeldomSleeps(Oddity):
    """One client asks, and servers wait less than once for each request: they find the next one there already.

    Attributes:
        server: the one that waits least.
        seldom: all that do so, with it as the first.
        others_cpu_us: of a request at those that wait once, the least and the most.
    """

    seldom: tuple[Waits, ...]
    others_cpu_us: tuple[float, float]


@dataclass(frozen=True)
class EffectNotMet(Oddity):
    """An effect was made to happen, and no server shows it that might.

    Attributes:
        server: ... and others: those that might.
        effect: its title.
        faults: the most page faults that a request of any of them took.
    """

    others: tuple[str, ...]
    effect: str
    faults: float


@dataclass(frozen=True)
class Scattered(Oddity):
    """A server's launches under one load differ so much that it has no figure there.

    Attributes:
        workload: under which.
        answered_rps: in each launch, in their order.
        others_least_rps: that any other server answered there in any launch.
    """

    workload: str
    answered_rps: tuple[float, ...]
    others_least_rps: float


def oddities(
    tables: Mapping[str, Table],
    limits: Sequence[ConnectionLimit],
    costs: Sequence[ServerCosts],
    effects: Sequence[EffectResult],
    receives: Mapping[str, str],
) -> tuple[Oddity, ...]:
    """Return all that stand out.

    Args:
        tables: of servers of one core.
        limits: how many connections were held.
        costs: of requests and connections.
        effects: that were made to happen.
        receives: how large a buffer each server receives into.
    """
    return (
        *_slow_to_answer_all(limits, costs, effects),
        *(_seldom_sleep(tables[ONE]) if ONE in tables else ()),
        *_not_met(costs, effects, receives),
        *_scattered(tables),
    )


def _slow_to_answer_all(
    limits: Sequence[ConnectionLimit], costs: Sequence[ServerCosts], effects: Sequence[EffectResult]
) -> Iterator[Oddity]:
    shown = next((each for each in effects if each.effect == CROWD and each.shown), None)
    threaded = {
        each.server
        for each in costs
        if each.crowd.holdings and each.crowd.holdings[-1].threads > each.crowd.holdings[-1].connections > 1
    }
    slow: dict[tuple[int, bool], list[SlowToAnswerAll]] = {}
    for limit in limits:
        alike = [
            each
            for each in limits
            if each.server != limit.server and each.held == limit.held == each.answered
        ]
        others_s = median(each.answered_s for each in alike) if alike else 0.0
        if others_s and limit.held == limit.answered > 1 and limit.answered_s > FAR * others_s:
            also = tuple(
                each.server
                for each in alike
                if each.server in threaded and each.answered_s < limit.answered_s / 2
            )
            threads = limit.server in threaded
            found = SlowToAnswerAll(
                limit.server,
                limit.held,
                limit.answered_s,
                others_s,
                (),
                threads,
                also,
                shown if threads else None,
            )
            slow.setdefault((limit.held, threads), []).append(found)
    for alike_slow in slow.values():
        worst, *rest = sorted(alike_slow, key=lambda each: -each.took_s)
        yield replace(worst, also_slow=tuple((each.server, each.took_s) for each in rest))


def _seldom_sleep(table: Table) -> Iterator[Oddity]:
    known = [
        Waits(row.server, waits.mean, waits.low, waits.high, of_cpu.mean)
        for row in table.rows
        if is_as_usual(row.server)
        and (waits := row.estimates["switches_per_request"])
        and waits.low is not None
        and waits.high is not None
        and (of_cpu := row.estimates["cpu_us_per_request"])
    ]
    seldom = sorted((found for found in known if found.most < FEW), key=lambda found: found.each)
    others_cpu_us = [found.cpu_us for found in known if found.least > FEW]
    if seldom and others_cpu_us:
        yield SeldomSleeps(seldom[0].server, tuple(seldom), (min(others_cpu_us), max(others_cpu_us)))


def _not_met(
    costs: Sequence[ServerCosts], effects: Sequence[EffectResult], receives: Mapping[str, str]
) -> Iterator[Oddity]:
    """Look for servers with a large receive buffer that take no page faults, although the effect was shown."""
    shown = next((each for each in effects if each.effect == MAPPED and each.named_present), None)
    faults = {
        each.server: max(load.page_faults for load in each.loads)
        for each in costs
        if each.loads and receives.get(each.server) == LARGE
    }
    if shown is not None and faults and max(faults.values()) < HARDLY:
        first, *others = faults
        yield EffectNotMet(first, tuple(others), shown.title, max(faults.values()))


def _scattered(tables: Mapping[str, Table]) -> Iterator[Oddity]:
    for workload, table in tables.items():
        answered = {
            row.server: tuple(row.values["throughput_rps"])
            for row in table.rows
            if row.values["throughput_rps"]
        }
        for server, mine in answered.items():
            others = [min(theirs) for other, theirs in answered.items() if other != server]
            if others and max(mine) > FAR * min(mine):
                yield Scattered(server, workload, mine, min(others))
