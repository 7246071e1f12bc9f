"""Which servers, which workloads, how many blocks: frozen data, no I/O."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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


MOST_ATTEMPTS: Final = 3
"""So often is a block measured that has an invalid launch each time."""
REPEATED_SHARE: Final = 0.5
"""Of the planned launches so many may be made again in all, however bad the machine is."""


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
        all_cores: the servers that use more than one core: they are measured on their own, and not compared with others.
    """

    servers: tuple[str, ...]
    workloads: tuple[str, ...]
    most_clients: Mapping[str, int]
    blocks: int
    warmup_s: float
    duration_s: float
    seed: int
    all_cores: frozenset[str] = frozenset()

    def rounds(
        self, wanted: Mapping[str, int] | None = None, done: Mapping[str, int] | None = None
    ) -> tuple[Round, ...]:
        """Return all launches in the order in which they are to be made; the seed decides on it.

        Within a block the servers of one workload come right after each other, in a shuffled order, so that what is
        compared was measured under conditions as equal as can be.

        Args:
            wanted: blocks of each workload, if they are not all to have the plan's.
            done: blocks of each workload that were measured before.
        """
        wanted = wanted or dict.fromkeys(self.workloads, self.blocks)
        done = done or {}
        rounds = [
            cells
            for block in range(max(wanted.values()))
            for workload in self._shuffled(self.workloads, block)
            if done.get(workload, 0) <= block < wanted[workload]
            for cells in self.rounds_of(block, workload)
        ]
        return tuple(rounds)

    def rounds_of(self, block: int, workload: str) -> tuple[Round, ...]:
        """Return the launches of one block under one workload: those on one core, and then those on all."""
        rounds = [self.round(block, workload, on_all_cores=on_all_cores) for on_all_cores in (False, True)]
        return tuple(cells for cells in rounds if cells)

    def round(self, block: int, workload: str, attempt: int = 1, *, on_all_cores: bool = False) -> Round:
        """Return the launches of one block under one workload, in an order of their own for each attempt."""
        return tuple(
            Cell(block, server, workload, attempt)
            for server in self._shuffled(self.servers, block, workload, attempt)
            if self.can_serve(server, workload) and (server in self.all_cores) == on_all_cores
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

    def can_serve(self, server: str, workload: str) -> bool:
        """Tell whether a server serves as many clients at once."""
        return server not in self.most_clients or by_name(workload).clients <= self.most_clients[server]

    def without(self, servers: Iterable[str]) -> "Plan":
        """Return the same plan for fewer servers."""
        left_out = set(servers)
        return replace(self, servers=tuple(server for server in self.servers if server not in left_out))


def by_name(name: str) -> Workload:
    """Return a workload; UsageError if there is none of that name."""
    known: Mapping[str, Workload] = {workload.name: workload for workload in WORKLOADS}
    if name not in known:
        raise UsageError(f"no workload is called {name!r}; there are {', '.join(known)}")
    return known[name]
