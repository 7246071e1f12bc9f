"""Look at a server, at its load and at the machine, while it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.drive.fleet import (
    GO_ON,
    Progress,
    Workers,
    as_line,
    background_outcome,
    let_background_come,
    orders_for,
    outcomes_of,
)
from harness.drive.journal import Columns, read_times
from harness.drive.orders import LoadOutcome, merge_outcomes
from harness.launch.process import Launched
from harness.machine.connections import Address
from harness.machine.processes import Snapshot, machine_time, resident_bytes, snapshot
from harness.machine.resources import Cores
from harness.plan import Load
from harness.record import BackgroundRequests

MEMORY_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class Observation:
    """All that was seen of one launch."""

    launched_s: float
    connect_s: float
    ready: Snapshot
    connected: Snapshot
    afterwards: Snapshot
    steal_share: float
    outcome: LoadOutcome
    times: Columns
    background: BackgroundRequests
    memory_series_bytes: tuple[int, ...]


def observe(  # noqa: PLR0913 - all who take part
    address: Address,
    launched: Launched | None,
    load: Load,
    cores: Cores,
    workers: Workers,
    scratch: str,
    progress: Progress,
) -> Observation:
    """Load a server that runs, and look at it and at the machine meanwhile."""
    leader = launched.process.pid if launched is not None else None
    pids = launched.pids if launched is not None else ()
    ready = snapshot(leader)
    memory = MemorySeries(pids, load)
    if workers.background is not None and load.background is not None:
        let_background_come(workers.background, address, load.background)
    orders = orders_for(address, load, cores, workers, pids, scratch)
    connect_s = sum(
        float(each.tell(as_line(order), "connected")["connect_s"])
        for each, order in zip(workers.generators, orders, strict=True)
    )
    connected = snapshot(leader)
    if workers.background is not None:
        workers.background.tell(GO_ON, "started")
    idle_before, stolen_before = machine_time()
    outcome = merge_outcomes(outcomes_of(workers.generators, memory.watched(progress)))
    idle_after, stolen_after = machine_time()
    afterwards = snapshot(leader)
    return Observation(
        launched_s=launched.startup_s if launched is not None else 0.0,
        connect_s=connect_s,
        ready=ready,
        connected=connected,
        afterwards=afterwards,
        steal_share=(stolen_after - stolen_before) / max(idle_after - idle_before, 1e-9),
        outcome=outcome,
        background=background_outcome(workers.background),
        times=read_times([Path(order.times_file) for order in orders]),
        memory_series_bytes=tuple(memory.seen_bytes),
    )


class MemorySeries:
    """The server's resident memory, read once a second in the measuring window, whenever progress is told."""

    def __init__(self, pids: Sequence[int], load: Load) -> None:
        """Begin with nothing."""
        self.seen_bytes: list[int] = []
        self._pids = pids
        self._next_s = load.warmup_s
        self._end_s = load.warmup_s + load.duration_s

    def watched(self, progress: Progress) -> Progress:
        """Return a progress that looks at the memory, too."""

        def look(elapsed_s: float, sent: int) -> None:
            if self._pids and self._next_s <= elapsed_s <= self._end_s:
                self._next_s += MEMORY_EVERY_S
                self.seen_bytes.append(sum(map(resident_bytes, self._pids)))
            progress(elapsed_s, sent)

        return look
