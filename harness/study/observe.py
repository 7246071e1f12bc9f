"""Look at a server, at its load and at the machine, while it is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from harness.drive.fleet import (
    GO_ON,
    Progress,
    Workers,
    as_line,
    background_outcome,
    leave,
    let_background_come,
    orders_for,
    take_turn,
)
from harness.drive.journal import Columns, QuestionColumns, read_questions, read_times
from harness.drive.orders import LoadOutcome, merge_outcomes
from harness.launch.process import Launched
from harness.machine.connections import Address
from harness.machine.processes import Snapshot, machine_time, resident_bytes, snapshot
from harness.machine.resources import Cores
from harness.plan import Load
from harness.record import BackgroundRequests, RequestTimes, UpstreamUse, Window, WorkerShare
from harness.study.upstream import upstream_use
from harness.study.window import in_flight_between_ns, tally

MEMORY_EVERY_S: Final = 1.0


@dataclass(frozen=True)
class TurnSeen:
    """A turn: what was done, what came of it, the times of all its requests, and how long, of all cores' time, was stolen.

    Attributes:
        questions: those to the upstream; None if there is none.
    """

    load: Load
    outcome: LoadOutcome
    times: Columns
    stolen_s: float
    machine_s: float
    questions: QuestionColumns | None = None

    @property
    def answered(self) -> int:
        """Count what was answered between the marks."""
        begin, end, received_ns = self.outcome.begin, self.outcome.end, self.times.received_ns
        return int(self.times.count[(received_ns >= begin.at_ns) & (received_ns < end.at_ns)].sum())

    @property
    def in_flight_ns(self) -> int:
        """Add up for how long each request was in flight between the marks."""
        return in_flight_between_ns(self.outcome.begin.at_ns, self.outcome.end.at_ns, self.times)

    @property
    def unsettled(self) -> bool:
        """Tell whether the first mark came too early: here it waits."""
        return False

    def tally(self) -> tuple[Window, RequestTimes]:
        """Work out the window, and what is said of its requests."""
        return tally(self.load, self.outcome, self.times)

    def upstream(self) -> UpstreamUse | None:
        """Work out what a relay asked; None if nobody was to be asked."""
        return None if self.questions is None else upstream_use(self.outcome, self.times, self.questions)


class AnyTurn(Protocol):
    """A turn, whether its generators ran beside the server or elsewhere."""

    @property
    def load(self) -> Load:
        """Return what was done."""

    @property
    def outcome(self) -> LoadOutcome:
        """Return what came of it."""

    @property
    def stolen_s(self) -> float:
        """Return how long, of all cores' time, was stolen."""

    @property
    def machine_s(self) -> float:
        """Return the whole of that time."""

    @property
    def answered(self) -> int:
        """Count what was answered between the marks."""

    @property
    def in_flight_ns(self) -> int:
        """Add up for how long each request was in flight between them."""

    @property
    def unsettled(self) -> bool:
        """Tell whether the first mark came before every client had had a reply."""

    def tally(self) -> tuple[Window, RequestTimes]:
        """Return the window, and what is said of its requests."""

    def upstream(self) -> UpstreamUse | None:
        """Return what a relay asked; None if nobody was to be asked."""


@dataclass(frozen=True)
class Observation:
    """All that was seen of one launch.

    Attributes:
        foreign_share: what others took of the cores of those who take part, if whoever has looked knows that; None if it
            follows from the turns.
        workers: of a load that came from many, what each did.
    """

    launched_s: float
    connect_s: float
    ready: Snapshot
    connected: Snapshot
    afterwards: Snapshot
    turns: tuple[AnyTurn, ...]
    background: BackgroundRequests
    memory_series_bytes: tuple[int, ...]
    foreign_share: float | None = None
    workers: tuple[WorkerShare, ...] = ()


class Session:
    """A server to which all clients of a load have connected, and which is loaded in turns, one or many.

    Attributes:
        cores: where server and generators run.
    """

    def __init__(  # noqa: PLR0913 - all who take part
        self,
        address: Address,
        launched: Launched | None,
        ready: Snapshot,
        load: Load,
        cores: Cores,
        workers: Workers,
        scratch: Path,
    ) -> None:
        """Let the clients come, those in the background first.

        Args:
            address: of the server.
            launched: the server, if it is ours.
            ready: what it was like before any client came.
            load: with the longest times of all turns.
            cores: where server and generators run.
            workers: the processes of the load.
            scratch: an empty folder, for the times.

        Raises:
            MeasureError: they cannot connect, or are not greeted.
        """
        self._leader = launched.process.pid if launched is not None else None
        self._pids = launched.pids if launched is not None else ()
        self._launched_s = launched.startup_s if launched is not None else 0.0
        self.cores = cores
        self._workers = workers
        self._ready = ready
        if workers.background is not None and load.background is not None:
            let_background_come(workers.background, address, load.background)
        orders = orders_for(address, load, cores, workers, self._pids, str(scratch))
        self._files = [Path(order.times_file) for order in orders]
        self._questions = Path(orders[0].questions_file) if load.upstream else None
        self._connect_s = sum(
            float(each.tell(as_line(order), "connected")["connect_s"])
            for each, order in zip(workers.generators, orders, strict=True)
        )
        self._connected = snapshot(self._leader)
        self._loads: list[Load] = []
        self._outcomes: list[list[LoadOutcome]] = []
        self._machine: list[tuple[float, float]] = []
        self._memory_bytes: list[int] = []
        if workers.background is not None:
            workers.background.tell(GO_ON, "started")

    def turn(self, load: Load, progress: Progress = lambda *_: None, *, settled: bool = False) -> None:
        """Let the clients take a turn; see `fleet.take_turn`."""
        memory = MemorySeries(self._pids, load)
        total_before, stolen_before = machine_time()
        outcomes = take_turn(self._workers.generators, load, memory.watched(progress), settled=settled)
        total_after, stolen_after = machine_time()
        self._loads.append(load)
        self._outcomes.append(outcomes)
        self._machine.append((stolen_after - stolen_before, max(total_after - total_before, 1e-9)))
        self._memory_bytes += memory.seen_bytes

    @property
    def generators(self) -> int:
        """Count the processes that load the server."""
        return len(self._workers.generators)

    @property
    def turns(self) -> int:
        """Count the turns that were taken."""
        return len(self._outcomes)

    def end(self) -> Observation:
        """Look once more, let all clients leave, and return what was seen."""
        afterwards = snapshot(self._leader)
        background = background_outcome(self._workers.background)
        leave(self._workers.generators)
        records = [[each.records for each in of_turn] for of_turn in self._outcomes]
        asked = [sum(each.questions for each in of_turn) for of_turn in self._outcomes]
        turns = zip(
            self._loads,
            map(merge_outcomes, self._outcomes),
            read_times(self._files, records),
            self._machine,
            [None] * len(asked) if self._questions is None else read_questions(self._questions, asked),
            strict=True,
        )
        return Observation(
            launched_s=self._launched_s,
            connect_s=self._connect_s,
            ready=self._ready,
            connected=self._connected,
            afterwards=afterwards,
            turns=tuple(
                TurnSeen(load, outcome, times, *machine, questions)
                for load, outcome, times, machine, questions in turns
            ),
            background=background,
            memory_series_bytes=tuple(self._memory_bytes),
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
