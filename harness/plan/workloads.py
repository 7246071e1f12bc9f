"""Which servers, which workloads, how many blocks: frozen data, no I/O."""

from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from harness.errors import UsageError
from harness.plan.load import (
    CONSTANT,
    COSTLY,
    EXPONENTIAL,
    FLOOD,
    IDLE,
    MIXED,
    POISSON,
    SLOW_READERS,
    STRAGGLING,
    TRICKLE,
    Background,
    Load,
    Waiting,
)


@dataclass(frozen=True)
class Workload:
    """One way to load a server: a closed loop, unless it says otherwise.

    Attributes:
        name: as on the command line.
        title: as in the report.
        purpose: what is done to the server, and what for.
        separates: what it should tell apart.
        load: what that is; how long it lasts is the plan's to say.
        warmup_s, duration_s: before, and of, the measuring window, if they are not the plan's.
        of_peak: of an open loop, its rate as a share of what the server answers in a closed loop of 64 clients; before and
            after its window it has `RELIEF` of that.
        core: it belongs to the few that every run measures, and measures most often.
        often: it tells servers apart and scatters much, so that it takes as many blocks as the core.
        alone: why it needs a server to itself, launch by launch; empty if all servers of a block can be loaded in turn.
    """

    name: str
    title: str
    purpose: str
    separates: str
    load: Load
    warmup_s: float | None = None
    duration_s: float | None = None
    of_peak: float = 0.0
    core: bool = False
    often: bool = False
    alone: str = ""

    @property
    def in_slices(self) -> bool:
        """Tell whether all servers of a block are alive at once, and loaded in turn, in short slices."""
        return not self.alone

    @property
    def relayed(self) -> bool:
        """Tell whether it is of servers that ask an upstream."""
        return self.load.upstream is not None

    @property
    def connections(self) -> int:
        """Count those that are open at once, or, if they come and go, that must be served at once for it to go on."""
        return 1 if self.load.churn else self.load.connections


OVERLOAD, RELIEF = 1.2, 0.5
"""The shares of a server's peak that are offered in an overload, and before and after it."""


def list_of(size_bytes: int) -> str:
    """Return a list of integers that is so long a line: three digits each, the last one up to six."""
    numbers = max(1, (size_bytes - 3) // 4)
    return "123," * numbers + "4" * (size_bytes - 4 * numbers)


def _closed(clients: int, separates: str) -> Workload:
    purpose = "each asks again when it has its answer"
    return Workload(f"clients_{clients}", f"{clients:,} clients", purpose, separates, Load(clients=clients))


def _pipelined(pipeline: int, separates: str) -> Workload:
    name, title = f"clients_64_pipeline_{pipeline}", f"64 clients, {pipeline} requests in flight each"
    return Workload(name, title, "many requests come in one segment", separates, Load(pipeline=pipeline))


def _offered(thousands: int, separates: str) -> Workload:
    purpose = "requests come when they come, at random, the same for every server, answered or not"
    title = f"{thousands},000 requests/s offered"
    load = Load(arrivals=POISSON, rate=1000.0 * thousands)
    return Workload(f"open_{thousands}k", title, purpose, separates, load)


def _of_bytes(size_bytes: int, separates: str) -> Workload:
    purpose = f"each request is one list of integers, a line of {size_bytes:,} bytes"
    title = f"lines of {size_bytes:,} bytes"
    return Workload(f"line_{size_bytes}", title, purpose, separates, Load(line=list_of(size_bytes)))


RELAY_WAITS_MS: Final = (1, 5, 20, 100)
RELAY_CLIENTS: Final = (16, 64, 256, 1000)
RELAY_POOLS: Final = (10, 100, None)
"""How many questions may be under way; None for as many as there are clients."""
LONGEST_QUEUE_S: Final = 0.25
"""If the pool alone let a client wait longer, it would be measured and nothing else."""
RELAY_WARMUP_S: Final = 0.05
RELAY_WINDOW_S: Final = 0.3
PASSES: Final = 10
"""A window is so many times as long at least as it takes every client to be answered once, if the server takes no time."""
WARMUP_PASSES: Final = 2
"""So many before that, and until every client has had a reply."""


TWO_STATES: Final = "threads have two states, and keep the one that a launch began with"
OFFERED_WARMUP_S: Final = 0.3
OFFERED_WINDOW_S: Final = 1.0
STALL_S: Final = 2.0
STALL_RELIEF_S: Final = 4.0
"""Twice what it takes to work off what a stall leaves at half of what wait and pool allow."""


def pass_s(load: Load) -> float:
    """Return how long it takes every client of a relay to be answered once, if the server itself takes no time."""
    return max(load.upstream.mean_s, load.clients / load.ceiling_rps) if load.upstream else 0.0


def relay(wait_ms: int, clients: int, pool: int | None = None, spread: str = CONSTANT) -> Workload:
    """Return what is done to a relay: it waits so long for each answer, with so many clients, and so many questions under way."""
    upstream = Waiting(wait_s=wait_ms / 1000, spread=spread, pool=pool or clients)
    load = Load(clients=clients, upstream=upstream)
    of_pool = f"_pool_{pool}" if pool else ""
    how = {
        CONSTANT: "waits",
        EXPONENTIAL: "exponential waits",
        STRAGGLING: "waits, one in 100 slow",
        MIXED: "waits, one in 10 none",
    }[spread]
    return Workload(
        f"relay_{wait_ms}ms_{clients}{of_pool}{'' if spread == CONSTANT else f'_{spread}'}",
        f"{clients:,} clients, {how} of {wait_ms} ms" + (f", a pool of {pool}" if pool else ""),
        "each request asks an upstream, and is answered when that has answered",
        "what it costs a model to wait, and how close it comes to what the wait, the clients and the pool allow",
        load,
        warmup_s=max(RELAY_WARMUP_S, WARMUP_PASSES * pass_s(load)),
        duration_s=max(RELAY_WINDOW_S, PASSES * pass_s(load)),
        alone=TWO_STATES,
    )


def offered_relay(percent: int) -> Workload:
    """Return what is done to a relay that is offered so much of what wait and pool allow, at random, answered or not."""
    closed = relay(5, 64, 16)
    rate = closed.load.ceiling_rps * percent / 100
    return replace(
        closed,
        name=f"{closed.name}_offered_{percent}",
        title=f"{closed.title}, offered {percent} % of what they allow",
        purpose="requests come when they come, at random, the same for every server, and each asks an upstream",
        separates="how long a request waits for a connection of the pool, and whether the server adds to it",
        load=structs.replace(closed.load, arrivals=POISSON, rate=rate),
        warmup_s=OFFERED_WARMUP_S,
        duration_s=OFFERED_WINDOW_S,
    )


def stalling_relay(percent: int) -> Workload:
    """Return the same, of an upstream that answers nothing for a while; then it goes on, and so do the requests."""
    offered = offered_relay(percent)
    waiting, rate = offered.load.upstream, offered.load.rate
    assert waiting  # noqa: S101 - it is a relay
    return replace(
        offered,
        name=f"{offered.name}_stall",
        title=f"{offered.title}, and an upstream that stalls for {STALL_S:g} s",
        separates="how soon a server has worked off what has piled up while it could answer nothing",
        load=structs.replace(
            offered.load,
            upstream=structs.replace(waiting, stall_s=STALL_S),
            relief_s=STALL_RELIEF_S,
            relief_rate=rate,
        ),
        duration_s=OFFERED_WINDOW_S + STALL_S,
    )


def _relays() -> tuple[Workload, ...]:
    grid = (
        relay(wait_ms, clients, pool)
        for pool in RELAY_POOLS
        for wait_ms in RELAY_WAITS_MS
        for clients in RELAY_CLIENTS
        if pool is None or pool < clients
    )
    return tuple(each for each in grid if each.load.upstream and pass_s(each.load) <= LONGEST_QUEUE_S)


RELAY: Final = relay(5, 500, 100)
"""The one that every run measures."""
RELAYS: Final = _relays()
"""The map: waits against clients, by pool."""
QUICK_RELAYS: Final = tuple(relay(wait_ms, clients) for wait_ms in (5, 20) for clients in (16, 256, 1000))
UNEVEN_RELAYS: Final = tuple(relay(5, 256, spread=spread) for spread in (EXPONENTIAL, STRAGGLING, MIXED))
"""The same load, of waits that are not all the same: who holds up whom."""
OFFERED_RELAYS: Final = (*map(offered_relay, (50, 80, 95)), stalling_relay(50))
"""Requests that come at random, at shares of the ceiling; and what becomes of them when the upstream stalls."""
WATCHED: Final = 1000
"""Who serves so many clients, and no more, is limited by descriptors, of which a pool takes its part; with fewer, by something else."""
FAMILY_OF_RELAYS: Final = "relays"
"""The map, as on the command line."""

WORKLOADS: Final = (
    Workload(
        "ping_pong",
        "one client",
        "a request at a time, which even a server for one client can serve",
        "little: mostly the machine's wake-up latency",
        Load(clients=1),
        core=True,
    ),
    _closed(8, "how soon a scheduler has enough to do to be busy"),
    replace(
        _closed(64, "the price of a request: each costs a pass through the model's scheduler"), core=True
    ),
    _closed(250, "where costs begin to grow with the number of connections"),
    replace(
        _closed(500, "what grows with the number of connections: memory, and time in the scheduler"), core=True
    ),
    replace(_closed(1000, "the same, at the most that select() can watch"), often=True),
    _pipelined(4, "how soon the scheduler's price is shared"),
    replace(
        _pipelined(16, "the price of a request when the scheduler is shared, and parsing is not"), core=True
    ),
    _pipelined(64, "what is left when the scheduler costs nothing: parsing, and copying"),
    _offered(2, "the response of a server that has time: latency without queueing"),
    _offered(5, "the same with more to do: how soon a server that wakes up has caught up"),
    Workload(
        "churn",
        "connections that come and go",
        "each request is a new connection: connect, greeting, one request, reply, close, 64 at a time",
        "what accepting, starting and ending a client costs: a thread, a task, a greenlet, a callback",
        Load(churn=True),
        alone="connections that were closed weigh on the kernel, and so on the next server",
    ),
    Workload(
        "idle_10000",
        "64 clients beside 10,000 idle ones",
        "10,000 open connections are silent while 64 ask; then each of them asks once",
        "what an idle connection costs: memory, and time if readiness is looked for among all",
        Load(background=Background(IDLE, 10_000)),
        often=True,
        alone="10,000 connections to each server at once are more than a process may open",
    ),
    Workload(
        "slow_readers",
        "64 clients beside 200 slow readers",
        "200 clients have asked a lot and read slowly, slow but alive",
        "whether one that does not read holds up the others, and what waiting to send costs",
        Load(background=Background(SLOW_READERS, 200)),
        alone="the clients in the background do not stop between slices",
    ),
    Workload(
        "trickle",
        "64 clients beside 200 that send a byte at a time",
        "200 clients send a byte every 50 ms, so that most of what arrives completes nothing",
        "what a wake-up for less than a request costs",
        Load(background=Background(TRICKLE, 200)),
        alone="the clients in the background do not stop between slices",
    ),
    _of_bytes(8, "the price of a request of next to nothing"),
    _of_bytes(512, "what a request's bytes cost beside the request"),
    _of_bytes(4096, "what parsing and copying cost, the same for all but for how often they copy"),
    Workload(
        "costly",
        "8 light clients beside 4 that ask costly products",
        "4 clients ask for products of 4,096-byte lines, some 0.4 ms each; measured is what the light ones wait",
        "head-of-line blocking: who waits for another one's computation",
        Load(clients=8, background=Background(COSTLY, 4)),
        often=True,
        alone="the clients in the background do not stop between slices",
    ),
    Workload(
        "flood",
        "8 light clients beside one that floods",
        "one client pipelines as deep as the server lets it; measured is what the light ones get",
        "fairness: how much one that takes all it can get leaves to the others, and whether evenly",
        Load(clients=8, background=Background(FLOOD, 1)),
        often=True,
        alone="the clients in the background do not stop between slices",
    ),
    Workload(
        "overload",
        "120 % of its own peak",
        "more requests come than it can answer, for the window, and then half of its peak",
        "whether it still answers as many when there are too many, and how soon it recovers",
        Load(arrivals=POISSON, relief_s=1.5),
        of_peak=OVERLOAD,
        alone="what is in flight after an overload is what is looked at",
    ),
    Workload(
        "soak",
        "64 clients, for long",
        "64 clients ask for 10 s without a pause; its memory is read every second",
        "memory that grows",
        Load(),
        duration_s=10.0,
        alone="memory is watched without a pause",
    ),
    RELAY,
    *RELAYS,
    *UNEVEN_RELAYS,
    *OFFERED_RELAYS,
)  # fmt: skip

PEAK: Final = "clients_64"
"""What a server answers under this workload is its peak, of which others take a share."""
OF_PEAK: Final = {workload.name: workload.of_peak for workload in WORKLOADS if workload.of_peak}
CORE: Final = tuple(workload for workload in WORKLOADS if workload.core)


def why_not(most_clients: int | None, workload: Workload) -> str:
    """Say why a server that serves only so many clients at once cannot be given a workload; "" if it can.

    A relay is given as many as it serves, since the others would wait for ever; what its pool needs must be there besides.
    """
    if most_clients is None or (workload.connections <= most_clients and not workload.relayed):
        return ""
    if workload.load.upstream is not None:
        clients, pool = workload.load.clients, workload.load.upstream.pool
        if most_clients < WATCHED or clients + pool <= most_clients:
            return ""
        return f"holds {most_clients:,} connections at once, and cannot be given {clients:,} clients and a pool of {pool:,}"
    if most_clients == 1:
        return f"serves one client at a time, and cannot be given {workload.connections:,}"
    return f"serves {most_clients:,} clients at once, and cannot be given {workload.connections:,}"


def by_name(name: str) -> Workload:
    """Return a workload; UsageError if there is none of that name."""
    known = {workload.name: workload for workload in WORKLOADS}
    if name not in known:
        raise UsageError(f"no workload is called {name!r}; there are {', '.join(known)}")
    return known[name]
