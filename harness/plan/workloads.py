"""Which servers, which workloads, how many blocks: frozen data, no I/O."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.drive.orders import CLOSED, COSTLY, FLOOD, IDLE, POISSON, SLOW_READERS, TRICKLE, Company
from harness.errors import UsageError


@dataclass(frozen=True)
class Workload:
    """One way to load a server: a closed loop, unless it says otherwise.

    Attributes:
        name: as on the command line.
        title: as in the report.
        purpose: what is done to the server, and what for.
        separates: what it should tell apart.
        clients: how many connections are measured.
        pipeline: how many requests each keeps in flight.
        line: what every request is; None for lists of three integers, all different.
        arrivals: "closed", or how the requests of an open loop arrive.
        rate: of an open loop, requests per second; 0 if it depends on the server.
        of_peak: of an open loop, its rate as a share of what the server answers in a closed loop of 64 clients.
        relief_s: how much longer the open loop goes on, at `RELIEF` of the peak.
        churn: each request comes on a connection of its own; `clients` are there at a time.
        company: who is there in the background.
        duration_s: of the measuring window, if it is not the plan's.
        core: it belongs to the few that every run measures, and measures most often.
    """

    name: str
    title: str
    purpose: str
    separates: str
    clients: int = 64
    pipeline: int = 1
    line: str | None = None
    arrivals: str = CLOSED
    rate: float = 0.0
    of_peak: float = 0.0
    relief_s: float = 0.0
    churn: bool = False
    company: Company | None = None
    duration_s: float | None = None
    core: bool = False

    @property
    def connections(self) -> int:
        """Count those that are open at once, or, if they come and go, that must be served at once for it to go on."""
        if self.churn:
            return 1
        return self.clients + (self.company.clients if self.company else 0)


OVERLOAD, RELIEF = 1.2, 0.5
"""The shares of a server's peak that are offered in an overload, and before and after it."""


def list_of(size_bytes: int) -> str:
    """Return a list of integers that is so long a line: three digits each, the last one up to six."""
    numbers = max(1, (size_bytes - 3) // 4)
    return "123," * numbers + "4" * (size_bytes - 4 * numbers)


def _closed(clients: int, separates: str) -> Workload:
    purpose = "each asks again when it has its answer"
    return Workload(f"clients_{clients}", f"{clients:,} clients", purpose, separates, clients)


def _pipelined(pipeline: int, separates: str) -> Workload:
    name, title = f"clients_64_pipeline_{pipeline}", f"64 clients, {pipeline} requests in flight each"
    return Workload(name, title, "many requests come in one segment", separates, pipeline=pipeline)


def _offered(thousands: int, separates: str) -> Workload:
    purpose = "requests come when they come, at random, the same for every server, answered or not"
    title = f"{thousands},000 requests/s offered"
    return Workload(
        f"open_{thousands}k", title, purpose, separates, arrivals=POISSON, rate=1000.0 * thousands
    )


def _of_bytes(size_bytes: int, separates: str) -> Workload:
    purpose = f"each request is one list of integers, a line of {size_bytes:,} bytes"
    title = f"lines of {size_bytes:,} bytes"
    return Workload(f"line_{size_bytes}", title, purpose, separates, line=list_of(size_bytes))


WORKLOADS: Final = (
    Workload(
        "ping_pong",
        "one client",
        "a request at a time, which even a server for one client can serve",
        "little: mostly the machine's wake-up latency",
        clients=1,
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
    _closed(1000, "the same, at the most that select() can watch"),
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
        churn=True,
    ),
    Workload(
        "idle_10000",
        "64 clients beside 10,000 idle ones",
        "10,000 open connections are silent while 64 ask; then each of them asks once",
        "what an idle connection costs: memory, and time if readiness is looked for among all",
        company=Company(IDLE, 10_000),
    ),
    Workload(
        "slow_readers",
        "64 clients beside 200 slow readers",
        "200 clients have asked a lot and read slowly, slow but alive",
        "whether one that does not read holds up the others, and what waiting to send costs",
        company=Company(SLOW_READERS, 200),
    ),
    Workload(
        "trickle",
        "64 clients beside 200 that send a byte at a time",
        "200 clients send a byte every 50 ms, so that most of what arrives completes nothing",
        "what a wake-up for less than a request costs",
        company=Company(TRICKLE, 200),
    ),
    _of_bytes(8, "the price of a request of next to nothing"),
    _of_bytes(512, "what a request's bytes cost beside the request"),
    _of_bytes(4096, "what parsing and copying cost, the same for all but for how often they copy"),
    Workload(
        "costly",
        "8 light clients beside 4 that ask costly products",
        "4 clients ask for products of 4,096-byte lines, some 0.4 ms each; measured is what the light ones wait",
        "head-of-line blocking: who waits for another one's computation",
        clients=8,
        company=Company(COSTLY, 4),
    ),
    Workload(
        "flood",
        "8 light clients beside one that floods",
        "one client pipelines as deep as the server lets it; measured is what the light ones get",
        "fairness: how much one that takes all it can get leaves to the others, and whether evenly",
        clients=8,
        company=Company(FLOOD, 1),
    ),
    Workload(
        "overload",
        "120 % of its own peak",
        "more requests come than it can answer, for the window, and then half of its peak",
        "whether it still answers as many when there are too many, and how soon it recovers",
        arrivals=POISSON,
        of_peak=OVERLOAD,
        relief_s=1.5,
    ),
    Workload(
        "soak",
        "64 clients, for long",
        "64 clients ask for 10 s without a pause; its memory is read every second",
        "memory that grows",
        duration_s=10.0,
    ),
)  # fmt: skip

PEAK: Final = "clients_64"
"""What a server answers under this workload is its peak, of which others take a share."""
OF_PEAK: Final = {workload.name: workload.of_peak for workload in WORKLOADS if workload.of_peak}
CORE: Final = tuple(workload for workload in WORKLOADS if workload.core)


def why_not(most_clients: int | None, workload: Workload) -> str:
    """Say why a server that serves only so many clients at once cannot be given a workload; "" if it can."""
    if most_clients is None or workload.connections <= most_clients:
        return ""
    if most_clients == 1:
        return f"serves one client at a time, and cannot be given {workload.connections:,}"
    return f"serves {most_clients:,} clients at once, and cannot be given {workload.connections:,}"


@dataclass(frozen=True)
class Profile:
    """How long a run is: blocks of the core workloads and of the others, and seconds in each cell."""

    core_blocks: int
    other_blocks: int
    warmup_s: float
    duration_s: float

    def blocks(self, workload: Workload) -> int:
        """Return how often a workload is measured that was not asked for by name; 0: not at all."""
        return self.core_blocks if workload.core else self.other_blocks


PROFILES: Final = {
    "quick": Profile(core_blocks=5, other_blocks=0, warmup_s=0.3, duration_s=1.0),
    "standard": Profile(core_blocks=8, other_blocks=3, warmup_s=0.3, duration_s=1.0),
    "full": Profile(core_blocks=12, other_blocks=5, warmup_s=0.3, duration_s=1.0),
}

LAUNCH_S: Final = 0.5
"""About what a launch takes besides its warm-up and window: two interpreters start, a server stops."""
CONNECT_S: Final = 2e-4
"""About what it takes to connect a client."""


def launch_seconds(connections: int, measured_s: float) -> float:
    """Estimate how long a launch takes that has so many connections, and warms up and measures for so long."""
    return LAUNCH_S + CONNECT_S * connections + measured_s


MOST_ATTEMPTS: Final = 3
"""So often is a block measured that has an invalid launch each time."""
REPEATED_SHARE: Final = 0.2
"""Of the planned launches so many may be made again in all, however bad the machine is: a run keeps to its time."""


@dataclass(frozen=True)
class Cell:
    """One launch: a server under a workload, in a block, for the first time or again."""

    block: int
    server: str
    workload: str
    attempt: int = 1


Round = tuple[Cell, ...]
"""The servers of one block under one workload, side by side: what is compared, and what is measured again together."""


@dataclass(frozen=True)
class Plan:
    """A randomised complete block design: in each block every server meets every workload that it can serve, once.

    Attributes:
        most_clients: of the servers that serve only so many at once.
        blocks: of each workload.
        all_cores: the servers that use more than one core: they are measured on their own, and not compared with others.
        core_only: the servers that meet the core workloads only.
    """

    servers: tuple[str, ...]
    workloads: tuple[str, ...]
    most_clients: Mapping[str, int]
    blocks: Mapping[str, int]
    warmup_s: float
    duration_s: float
    seed: int
    all_cores: frozenset[str] = frozenset()
    core_only: frozenset[str] = frozenset()

    def rounds(
        self, wanted: Mapping[str, int] | None = None, done: Mapping[str, int] | None = None
    ) -> tuple[Round, ...]:
        """Return all launches in the order in which they are to be made; the seed decides on it.

        Within a block the servers of one workload come right after each other, in a shuffled order, so that what is
        compared was measured under conditions as equal as can be. A workload of fewer blocks than others is spread
        over the run, so that none is measured at one end of it only.

        Args:
            wanted: blocks of each workload, if they are not to be the plan's.
            done: blocks of each workload that were measured before.
        """
        wanted = wanted or self.blocks
        done = done or {}
        most = max(wanted.values())
        rounds = [
            (block / wanted[workload], place, cells)
            for block in range(most)
            for place, workload in enumerate(self._shuffled(self.workloads, block))
            if done.get(workload, 0) <= block < wanted[workload]
            for cells in self.rounds_of(block, workload)
        ]
        return tuple(cells for _, _, cells in sorted(rounds, key=lambda each: each[:2]))

    def rounds_of(self, block: int, workload: str) -> tuple[Round, ...]:
        """Return the launches of one block under one workload: those on one core, and then those on all."""
        rounds = [self.round(block, workload, on_all_cores=on_all_cores) for on_all_cores in (False, True)]
        return tuple(cells for cells in rounds if cells)

    def round(self, block: int, workload: str, attempt: int = 1, *, on_all_cores: bool = False) -> Round:
        """Return the launches of one block under one workload, in an order of their own for each attempt."""
        return tuple(
            Cell(block, server, workload, attempt)
            for server in self._shuffled(self.servers, block, workload, attempt)
            if self.meets(server, workload) and (server in self.all_cores) == on_all_cores
        )

    def again(self, cells: Round, attempt: int) -> Round:
        """Return the launches of a round once more."""
        first = cells[0]
        return self.round(first.block, first.workload, attempt, on_all_cores=first.server in self.all_cores)

    def cells(self) -> tuple[Cell, ...]:
        """Return all launches, if none need be made again."""
        return tuple(cell for cells in self.rounds() for cell in cells)

    def _shuffled(self, names: Sequence[str], *place: object) -> list[str]:
        """Shuffle names, the same way each time at the same place of the plan."""
        return random.Random(f"{self.seed} {place}").sample(names, len(names))  # noqa: S311 - no secret

    def meets(self, server: str, workload: str) -> bool:
        """Tell whether a server is to be measured under a workload."""
        return self.can_serve(server, workload) and (server not in self.core_only or by_name(workload).core)

    def can_serve(self, server: str, workload: str) -> bool:
        """Tell whether a server can be given so many connections at once."""
        most_clients = self.most_clients.get(server)
        return most_clients is None or not why_not(most_clients, by_name(workload))

    def seconds(self) -> float:
        """Estimate how long all launches take, if none need be made again."""
        return sum(self.seconds_of(cell.workload) for cell in self.cells())

    def seconds_of(self, workload: str) -> float:
        """Estimate how long one launch takes."""
        of = by_name(workload)
        measured_s = self.warmup_s + (of.duration_s or self.duration_s) + of.relief_s
        return launch_seconds(of.connections, measured_s)

    def without(self, servers: Iterable[str]) -> "Plan":
        """Return the same plan for fewer servers; with a server goes its twin."""
        left_out = {name for server in servers for name in (server, twin_of(server))}
        return replace(self, servers=tuple(server for server in self.servers if server not in left_out))

    def with_twin(self) -> "Plan":
        """Return the same plan, with one server under two names: the first on one core that can serve every workload.

        The second name meets the core workloads only, if there are any.
        """
        any_core = any(by_name(workload).core for workload in self.workloads)
        for server in self.servers:
            on_one_core = server not in self.all_cores
            if on_one_core and all(self.can_serve(server, workload) for workload in self.workloads):
                twin = twin_of(server)
                core_only = self.core_only | {twin} if any_core else self.core_only
                return replace(self, servers=(*self.servers, twin), core_only=core_only)
        return self

    @property
    def doubled(self) -> str:
        """Return the server that has a twin; empty if none has."""
        return next((server for server in self.servers if twin_of(server) in self.servers), "")


def twin_of(server: str) -> str:
    """Return the second name of a server that is measured twice: what is told of the two is told of the instrument."""
    return f"{server} (again)"


def by_name(name: str) -> Workload:
    """Return a workload; UsageError if there is none of that name."""
    known: Mapping[str, Workload] = {workload.name: workload for workload in WORKLOADS}
    if name not in known:
        raise UsageError(f"no workload is called {name!r}; there are {', '.join(known)}")
    return known[name]
