"""Which servers, which workloads, how many blocks: frozen data, no I/O."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.candidates import UsageError


@dataclass(frozen=True)
class Workload:
    """One way to load a server: a closed loop.

    Attributes:
        name: as on the command line.
        title: as in the report.
        purpose: what it should tell apart.
        clients: how many connections.
        pipeline: how many requests each keeps in flight.
    """

    name: str
    title: str
    purpose: str
    clients: int
    pipeline: int


WORKLOADS: Final = (
    Workload(
        "ping_pong",
        "one client",
        "a request at a time: mostly the machine's wake-up latency; what blocking can serve, too",
        clients=1,
        pipeline=1,
    ),
    Workload(
        "clients_64",
        "64 clients",
        "the price of a request: each costs a pass through the model's scheduler",
        clients=64,
        pipeline=1,
    ),
    Workload(
        "clients_64_pipeline_16",
        "64 clients, 16 requests in flight each",
        "the price of a request when many come in one segment: the scheduler is shared, parsing is not",
        clients=64,
        pipeline=16,
    ),
    Workload(
        "clients_500",
        "500 clients",
        "what grows with the number of connections: memory, and time in the scheduler",
        clients=500,
        pipeline=1,
    ),
)


@dataclass(frozen=True)
class Profile:
    """How long a run is: blocks, and seconds in each cell."""

    blocks: int
    warmup_s: float
    duration_s: float


PROFILES: Final = {
    "quick": Profile(blocks=5, warmup_s=0.3, duration_s=1.0),
    "standard": Profile(blocks=8, warmup_s=0.3, duration_s=1.0),
    "full": Profile(blocks=12, warmup_s=0.5, duration_s=1.0),
}


@dataclass(frozen=True)
class Cell:
    """One launch: a server under a workload, in a block."""

    block: int
    server: str
    workload: str


@dataclass(frozen=True)
class Plan:
    """A randomised complete block design: in each block every server meets every workload that it can serve, once."""

    servers: tuple[str, ...]
    workloads: tuple[str, ...]
    one_client_only: frozenset[str]
    blocks: int
    warmup_s: float
    duration_s: float
    seed: int

    def cells(self) -> tuple[Cell, ...]:
        """Return all launches in the order in which they are to be made; the seed decides on it.

        Within a block the servers of one workload come right after each other, in a shuffled order, so that what is
        compared was measured under conditions as equal as can be.
        """
        shuffled = random.Random(self.seed)  # noqa: S311 - no secret
        return tuple(
            Cell(block, server, workload)
            for block in range(self.blocks)
            for workload in shuffled.sample(self.workloads, len(self.workloads))
            for server in shuffled.sample(self.servers, len(self.servers))
            if self.can_serve(server, workload)
        )

    def can_serve(self, server: str, workload: str) -> bool:
        """Tell whether a server serves as many clients at once."""
        return server not in self.one_client_only or by_name(workload).clients == 1

    def without(self, servers: Iterable[str]) -> "Plan":
        """Return the same plan for fewer servers."""
        left_out = set(servers)
        kept = tuple(server for server in self.servers if server not in left_out)
        return Plan(
            kept, self.workloads, self.one_client_only, self.blocks, self.warmup_s, self.duration_s, self.seed
        )


def by_name(name: str) -> Workload:
    """Return a workload; UsageError if there is none of that name."""
    known: Mapping[str, Workload] = {workload.name: workload for workload in WORKLOADS}
    if name not in known:
        raise UsageError(f"no workload is called {name!r}; there are {', '.join(known)}")
    return known[name]
