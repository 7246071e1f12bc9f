"""The design of a run: randomised complete blocks, and how long they take."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from msgspec import structs

from harness.plan.base import Record
from harness.plan.load import Load
from harness.plan.workloads import RELAY, RELAY_CLIENTS, WORKLOADS, Workload, by_name, why_not

LAUNCH_S: Final = 0.5
"""About what a launch takes besides its warm-up and window: two interpreters start, a server stops."""
START_S: Final = 0.35
"""The same in a block of slices, whose generators have been started before."""
TURN_S: Final = 0.005
TURN_CLIENT_S: Final = 1.2e-4
"""About what a turn takes besides its length, and for each client: every one has a reply before it counts, and one after it."""
FEW_CLIENTS: Final = 100
"""With no more a turn takes little besides its length."""
CONNECT_S: Final = 2e-4
"""About what it takes to connect a client."""
RELAY_LAUNCH_S: Final = 0.3
RELAY_CLIENT_S: Final = 1.1e-3
"""The same of a relay, whose generator runs already; a client's part is greater, since it takes a connection to the upstream as well."""
MOST_ATTEMPTS: Final = 3
"""So often is a block measured that has an invalid launch each time."""
RELAY_BLOCKS: Final = 4
"""So many launches tell whether a relay has one state or two."""
QUICK_MAP_S: Final = 175.0
"""The time that a quick map of relays takes."""
RELAY_CASES: Final = ("R",)
"""The group of cases about relays; a quick map has no time for the others."""
REPEATED_SHARE: Final = 0.2
"""Of the planned launches so many may be made again in all, however bad the machine is: a run keeps to its time."""


class Slicing(Record, frozen=True, kw_only=True):
    """How all servers of a block, alive at the same time, are loaded in turn.

    Attributes:
        cycles: in each of which every server has one slice, in an order of its own.
        slice_s: from the first mark to the second.
        finer: with few clients, a slice is so many times as short, and there are so many times as many.
        settle_s: what goes before the first mark at least; it comes when every client has had a reply.
        warmup_s: of one turn that every server has before the first cycle.
        window_s: of the continuous window, of which every server has one in each block.
    """

    cycles: int = 10
    slice_s: float = 0.1
    finer: int = 1
    settle_s: float = 0.005
    warmup_s: float = 0.2
    window_s: float = 1.0

    @property
    def lasts_s(self) -> float:
        """Return how long one server is loaded in a block."""
        return self.warmup_s + self.cycles * self.slice_s + self.window_s

    def under(self, load: Load) -> "Slicing":
        """Return the slices of as many clients as a load has.

        A machine's noise lasts some tenths of a second, and servers whose turns change faster share it: of 1 s for each server of
        a block, in slices of 0.1, 0.05 and 0.025 s, a server's value scattered by 6.5, 4.2 and 2.6 % with 64 clients, and by
        5.0, 3.4 and 3.8 % with 500 (8 servers, two shared cores). But with 500 a turn takes 0.05 to 0.1 s besides: many short
        ones leave time for fewer blocks.
        """
        if load.connections > FEW_CLIENTS:
            return self
        return structs.replace(self, cycles=self.cycles * self.finer, slice_s=self.slice_s / self.finer)

    def seconds(self, load: Load) -> float:
        """Estimate how long one launch takes."""
        slicing = self.under(load)
        turns = 1 + slicing.cycles + 1
        turn_s = slicing.settle_s + TURN_S + TURN_CLIENT_S * load.connections
        return START_S + CONNECT_S * load.connections + slicing.lasts_s + turns * turn_s


SLICING: Final = Slicing(finer=4)
"""What has given the narrowest intervals for the time."""


@dataclass(frozen=True)
class Profile:
    """How long a run is: blocks of the core workloads, and of those that take as many, and of the others; seconds in each cell.

    Attributes:
        map_blocks: of the relays that not every run measures.
        only: the workloads, if they are but these.
        whole_s: the time that all takes, what comes before and after measuring included; the blocks are as many as fit, up to
            those given.
    """

    core_blocks: int
    other_blocks: int
    warmup_s: float
    duration_s: float
    map_blocks: int = 0
    only: tuple[str, ...] = ()
    whole_s: float | None = None

    def blocks(self, workload: Workload) -> int:
        """Return how often a workload is measured that was not asked for by name; 0: not at all."""
        if self.only and workload.name not in self.only:
            return 0
        if workload.relayed and workload != RELAY:
            return self.map_blocks
        if workload == RELAY:
            return RELAY_BLOCKS if self.whole_s is None else self.core_blocks
        return self.core_blocks if workload.core or workload.often else self.other_blocks


PROFILES: Final = {
    "quick": Profile(
        core_blocks=8,
        other_blocks=0,
        warmup_s=0.3,
        duration_s=1.0,
        only=("clients_64", "clients_500", RELAY.name),
        whole_s=355.0,
    ),
    "standard": Profile(core_blocks=4, other_blocks=3, warmup_s=0.3, duration_s=1.0),
    "full": Profile(
        core_blocks=4, other_blocks=3, warmup_s=0.3, duration_s=1.0, map_blocks=3, whole_s=5400.0
    ),
}


def launch_seconds(load: Load) -> float:
    """Estimate how long a launch takes."""
    if load.upstream is not None:
        return RELAY_LAUNCH_S + RELAY_CLIENT_S * load.clients + load.lasts_s
    return LAUNCH_S + CONNECT_S * load.connections + load.lasts_s


class Cell(Record, frozen=True):
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
        core_only: the servers that meet only those of the core workloads in which many clients ask one thing at a time, and the
            one of relays that every run measures.
        relay_only: those that meet the latter alone.
        no_relays: those that cannot be told to ask an upstream.
        slicing: how the servers of a block are loaded in turn, under the workloads for which they are.
        whole_s: the time that the run is to take, all that comes before and after measuring included; None: as long as it takes.
        generators: how many processes load each server, a core each.
        gate_cases: the cases, or groups of them, that a server must pass; none for the whole suite.
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
    relay_only: frozenset[str] = frozenset()
    no_relays: frozenset[str] = frozenset()
    slicing: Slicing = SLICING
    whole_s: float | None = None
    generators: int = 1
    gate_cases: tuple[str, ...] = ()

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
        """Return the launches of a round once more; none if its servers are loaded in turn.

        Nor in a run of fixed time, which gains more by its next block: there a launch may be missing.
        """
        first = cells[0]
        if in_slices(first.workload) or self.whole_s is not None:
            return ()
        return self.round(first.block, first.workload, attempt, on_all_cores=first.server in self.all_cores)

    def cells(self) -> tuple[Cell, ...]:
        """Return all launches, if none need be made again."""
        return tuple(cell for cells in self.rounds() for cell in cells)

    def _shuffled(self, names: Sequence[str], *place: object) -> list[str]:
        """Shuffle names, the same way each time at the same place of the plan."""
        return random.Random(f"{self.seed} {place}").sample(names, len(names))  # noqa: S311 - no secret

    def meets(self, server: str, workload: str) -> bool:
        """Tell whether a server is to be measured under a workload.

        To a relay of one client at a time it makes no difference how many others wait for it: it meets the fewest.
        """
        of = next((each for each in WORKLOADS if each.name == workload), None)
        if of is None:  # a load of the caller's own
            return self.can_serve(server, workload)
        if of.relayed and (server in self.no_relays or self._is_the_same_with_fewer(server, of)):
            return False
        return self.can_serve(server, workload) and (of == RELAY or self._is_for_all(server, of))

    def _is_for_all(self, server: str, workload: Workload) -> bool:
        return server not in self.relay_only and (server not in self.core_only or _is_of_many(workload))

    def _is_the_same_with_fewer(self, server: str, workload: Workload) -> bool:
        fewest = min(RELAY_CLIENTS)
        return self.most_clients.get(server) == 1 and workload.load.clients > fewest and workload != RELAY

    def can_serve(self, server: str, workload: str) -> bool:
        """Tell whether a server can be given so many connections at once."""
        most_clients = self.most_clients.get(server)
        return most_clients is None or not why_not(most_clients, by_name(workload))

    def seconds(self) -> float:
        """Estimate how long all launches take, if none need be made again."""
        return sum(map(self.seconds_for, self.cells()))

    def seconds_for(self, cell: Cell) -> float:
        """Estimate how long this launch takes."""
        return self.seconds_under(cell.workload, self.given(cell.server, self.load_of(cell.workload)))

    def seconds_of(self, workload: str) -> float:
        """Estimate how long one launch takes."""
        return self.seconds_under(workload, self.load_of(workload))

    def seconds_under(self, workload: str, load: Load) -> float:
        """Estimate how long one launch takes, if this is what the workload does to a server."""
        return self.slicing.seconds(load) if in_slices(workload) else launch_seconds(load)

    def load_of(self, workload: str) -> Load:
        """Return what a workload does to a server; what depends on the server's peak is still missing."""
        of = by_name(workload)
        return structs.replace(
            of.load, warmup_s=of.warmup_s or self.warmup_s, duration_s=of.duration_s or self.duration_s
        )

    def given(self, server: str, load: Load) -> Load:
        """Return what of a load a server is given: of a relay's clients as many as it serves, since the others would wait for ever."""
        if load.upstream is None:
            return load
        return structs.replace(load, clients=min(load.clients, self.most_clients.get(server, load.clients)))

    def without(self, servers: Iterable[str]) -> "Plan":
        """Return the same plan for fewer servers; with a server goes its twin."""
        left_out = {name for server in servers for name in (server, twin_of(server))}
        return replace(self, servers=tuple(server for server in self.servers if server not in left_out))

    def with_twin(self) -> "Plan":
        """Return the same plan, with one server under two names: the last on one core that can serve every workload.

        Not the first, which is of threads: with 500 clients a turn of theirs takes ten times as long as others'. The second
        name meets what variants meet, if there is any of it.
        """
        any_core = any(_is_of_many(by_name(workload)) for workload in self.workloads)
        for server in reversed(self.servers):
            of_all = server not in self.all_cores | self.core_only
            if of_all and all(self.can_serve(server, workload) for workload in self.workloads):
                twin = twin_of(server)
                core_only = self.core_only | {twin} if any_core else self.core_only
                return replace(self, servers=(*self.servers, twin), core_only=core_only)
        return self

    @property
    def doubled(self) -> str:
        """Return the server that has a twin; empty if none has."""
        return next((server for server in self.servers if twin_of(server) in self.servers), "")


def _is_of_many(workload: Workload) -> bool:
    """Tell whether it belongs to the core, and many clients ask one thing at a time."""
    return workload.core and workload.load.clients > 1 and workload.load.pipeline == 1


def in_slices(workload: str) -> bool:
    """Tell whether all servers of a block are loaded in turn under a workload, those that have no entry here included."""
    return all(each.in_slices for each in WORKLOADS if each.name == workload)


def twin_of(server: str) -> str:
    """Return the second name of a server that is measured twice: what is told of the two is told of the instrument."""
    return f"{server} (again)"
