"""Load one server from all workers of a fleet: agreed starts, books of each worker, and what came of all together.

The counterpart of `cell` and `observe`, whose generators run beside the server. Every latency is between two readings of one
worker's clock; what the clocks have to agree on is when to begin.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from harness.drive.clocks import moved_ns
from harness.drive.dask import START_S, Awaited, WorkerLost
from harness.drive.fleet import (
    BACKGROUND,
    GO_ON,
    Progress,
    WorkerProcess,
    background_outcome,
    let_background_come,
    worker,
)
from harness.drive.orders import LoadOrder, LoadOutcome, Turn, sum_of_requests
from harness.errors import CannotRun, MeasureError
from harness.launch.candidates import Candidate
from harness.machine.processes import Snapshot
from harness.machine.resources import Cores
from harness.plan import Cell, Load
from harness.record import RequestTimes, Sample, Window
from harness.study.cell import placement_of, sample_of, visitors_of
from harness.study.fleet import Fleet, Loader
from harness.study.host import ServerTurn, Started
from harness.study.merging import ShardTurn, merged, merged_outcome
from harness.study.observe import Observation
from harness.study.shard import decoded

START_IN_NS: Final = 200_000_000
"""So long before a start it is announced, and longer where that takes longer."""
SLICE_IN_NS: Final = 50_000_000
"""The same of a slice, of which there are so many that it adds up."""
PREPARED_PER_S: Final = 4_000_000
"""So many requests of a schedule are worked out in a second, at least."""
PATIENCE_S: Final = 15.0
"""So much later than it should have answered, a worker is lost."""
FIRST_SETTLING_S: Final = 0.05
SETTLING_SPARE: Final = 1.5
SETTLING_DECAY: Final = 0.8


@dataclass(frozen=True)
class FleetTurn:
    """A turn that came from many: as `observe.TurnSeen`, but without the rows of its requests.

    Attributes:
        answered, in_flight_ns: of the window.
        settled_ns: how long after the start the last client had its first reply.
        kept_share: of the generators' own cores, of the one that was kept from it longest, in the window.
    """

    load: Load
    outcome: LoadOutcome
    window: Window
    request_times: RequestTimes
    in_flight_ns: int
    settled_ns: int
    kept_share: float
    stolen_s: float
    machine_s: float

    @property
    def answered(self) -> int:
        """Count what was answered in the window."""
        return self.window.answered

    @property
    def unsettled(self) -> bool:
        """Tell whether the window began before every client had had a reply."""
        return self.settled_ns > self.load.warmup_s * 1e9

    def tally(self) -> tuple[Window, RequestTimes]:
        """Return the window, and its requests."""
        return self.window, self.request_times

    def upstream(self) -> None:
        """Nobody was to be asked."""


class FleetSession:
    """A server to which the clients of all workers have connected, and which is loaded in turns: as `observe.Session`."""

    def __init__(self, fleet: Fleet, candidate: Candidate, load: Load, running: ExitStack) -> None:
        """Start the server, unless it runs, and let the clients come.

        Args:
            fleet: the workers.
            candidate: the server.
            load: with the longest times of all turns.
            running: ends the server, and the clients in the background.

        Raises:
            LaunchError: it does not start.
            MeasureError: the clients cannot connect.
            WorkerLost: a worker was lost meanwhile.
        """
        self._fleet = fleet
        self._turns: list[FleetTurn] = []
        self._ends_ns: list[int] = []
        self._memory_bytes: list[int] = []
        self._settle_s = FIRST_SETTLING_S
        with self._noticing():
            self._parts = fleet.parts(candidate.label, load)
            self._host = fleet.host()
            self._started = self._serve(candidate, load, running)
            self._ready = self._started.ready
            self._background = self._company(load, running)
            self._connect_s = self._connect(load)
            self._connected = self._look()

    @property
    def generators(self) -> int:
        """Count the workers that load the server."""
        return len(self._parts)

    @property
    def turns(self) -> int:
        """Count the turns that were taken."""
        return len(self._turns)

    @property
    def cores(self) -> Cores:
        """Say whether server and generators have cores of their own; where these are is the machines' business."""
        pinned = all(each.pinned for each in self._parts)
        return Cores(server=self._started.cores if pinned else (), shared=self._started.shared_cores)

    def turn(self, load: Load, progress: Progress = lambda *_: None, *, settled: bool = False) -> None:
        """Let the clients of all workers take a turn, which begins everywhere at the same time.

        Args:
            load: theirs, with the times of this turn.
            progress: called with the seconds since the start and the requests sent.
            settled: the window begins when every client should have had a reply, as long as that has taken so far.
        """
        warmup_s = max(load.warmup_s, self._settle_s) if settled else load.warmup_s
        with self._noticing():
            self._take_turn(
                replace(load, warmup_s=warmup_s), progress, SLICE_IN_NS if settled else START_IN_NS
            )
        # It follows what is seen: fast upwards, since a slice that began too early is lost, and slowly downwards.
        seen_s = SETTLING_SPARE * self._turns[-1].settled_ns / 1e9
        self._settle_s = max(seen_s, SETTLING_DECAY * self._settle_s)

    def _take_turn(self, load: Load, progress: Progress, announced_ns: int) -> None:
        start_ns = time.monotonic_ns() + announced_ns + self._telling_ns(load)
        under_way = [(part, self._begin(part, load, start_ns)) for part in self._parts if not part.lost]
        begin_ns = start_ns + int(load.warmup_s * 1e9) + self._host.clock.offset_ns
        end_ns = begin_ns + int(load.duration_s * 1e9)
        self._host.ask("watch", start_ns + self._host.clock.offset_ns, begin_ns, end_ns)
        last_s = time.monotonic() + load.lasts_s + load.timeout_s + PATIENCE_S
        told = [
            self._result(part, answer, last_s, progress) for part, answer in under_way if answer is not None
        ]
        of_server: ServerTurn = self._host.ask("seen")
        found = [each for each in told if each is not None]
        if not found:
            raise MeasureError(f"no worker is left: {'; '.join(self._fleet.lost.values())}")
        self._memory_bytes += of_server.memory_bytes
        self._turns.append(_turn_of(load, start_ns, self._parts, found, of_server))

    def end(self) -> Observation:
        """Look once more, compare the clocks once more, let all clients leave, and return what was seen."""
        afterwards = self._look()
        background = background_outcome(self._background)
        for part in (each for each in self._parts if not each.lost):
            with self._losing(part):
                part.moved_ns = moved_ns(part.clock, part.seat.clock())
                part.seat.call("leave").within(START_S)
        return Observation(
            launched_s=self._started.startup_s,
            connect_s=self._connect_s,
            ready=self._ready,
            connected=self._connected,
            afterwards=afterwards,
            turns=tuple(self._turns),
            background=background,
            memory_series_bytes=tuple(self._memory_bytes),
            foreign_share=max(each.kept_share for each in self._turns) if self.cores.pinned else 0.0,
            workers=tuple(part.share() for part in self._parts),
        )

    def _serve(self, candidate: Candidate, load: Load, running: ExitStack) -> Started:
        fleet = self._fleet
        if candidate.address is not None:
            address = candidate.address  # whose name each worker resolves for itself
            first = self._parts[0].seat
            first.call("visit", candidate.label, address, visitors_of(candidate, load)).within(START_S)
            return Started(*address)
        running.callback(self._stop)
        found: Started = self._host.ask("start", candidate, load, fleet.host_address, fleet.beside_the_server)
        return found

    def _stop(self) -> None:
        """Stop the server; one on a worker that is lost ends with that."""
        with suppress(WorkerLost):
            self._host.ask("end")

    def _company(self, load: Load, running: ExitStack) -> WorkerProcess | None:
        """Let the clients in the background come, from here; MeasureError if they are not all greeted."""
        if load.background is None:
            return None
        background = running.enter_context(worker(BACKGROUND, ()))
        let_background_come(background, (self._started.host, self._started.port), load.background)
        background.tell(GO_ON, "started")
        return background

    def _connect(self, load: Load) -> float:
        """Let the clients of all workers connect at the same time; return what the slowest took."""
        orders = [
            LoadOrder(
                host=self._started.host,
                port=self._started.port,
                load=load,
                generator=part.number,
                generators=len(self._parts),
                times_file="",
            )
            for part in self._parts
        ]
        coming = [part.seat.call("connect", order) for part, order in zip(self._parts, orders, strict=True)]
        return max(float(each.within(START_S)) for each in coming)

    def _look(self) -> Snapshot:
        found: Snapshot = self._host.ask("look")
        return found

    def _telling_ns(self, load: Load) -> int:
        """Return what it takes to tell all workers of a start, and to work out a schedule."""
        slowest_ns = max((part.clock.error_ns for part in self._parts if not part.lost), default=0)
        planned = load.rate * load.lasts_s
        return 8 * len(self._parts) * slowest_ns + int(planned / PREPARED_PER_S * 1e9)

    def _begin(self, part: Loader, load: Load, start_ns: int) -> Awaited | None:
        with self._losing(part):
            return part.seat.call("turn", Turn(start_ns=start_ns + part.clock.offset_ns, load=load))
        return None

    def _result(self, part: Loader, answer: Awaited, last_s: float, progress: Progress) -> ShardTurn | None:
        """Wait for what a worker tells of a turn; None if it is lost."""

        def meanwhile() -> None:
            if part.number == 0 and (news := part.seat.news()):
                progress(news[0], news[1] * len(self._parts))

        with self._losing(part):
            found = decoded(answer.within(last_s - time.monotonic(), meanwhile))
            outcome = found.outcome
            off_ns = abs(outcome.awake_ns - outcome.started_ns) + part.clock.error_ns
            part.start_off_ns = max(part.start_off_ns, off_ns)
            part.requests = sum_of_requests([part.requests, outcome.requests])
            return found
        return None

    @contextmanager
    def _losing(self, part: Loader) -> Iterator[None]:
        """Go on without a worker that is lost meanwhile."""
        try:
            yield
        except WorkerLost as error:
            part.lost = str(error)
            self._fleet.lose(error)
        except CannotRun as error:  # it is there, and cannot do what it was told
            part.lost = str(error)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Take note of a worker that is lost before anything is measured, and give up."""
        try:
            yield
        except WorkerLost as error:
            self._fleet.lose(error)
            raise


def _turn_of(
    load: Load, start_ns: int, parts: Sequence[Loader], found: Sequence[ShardTurn], of_server: ServerTurn
) -> FleetTurn:
    """Put together what the workers and the server's machine have told of a turn."""
    window, times = merged(load, found)
    outcome = merged_outcome(found)
    watched_ns = max(1, of_server.end.at_ns - of_server.begin.at_ns)
    window_ns = round(window.length_s * 1e9)
    used_ns = of_server.end.server_cpu_ns - of_server.begin.server_cpu_ns
    # The clocks are read a little after each edge, as soon as the server's machine lets somebody do so.
    in_window_ns = used_ns * window_ns // watched_ns
    end = replace(
        of_server.end,
        at_ns=of_server.begin.at_ns + window_ns,
        server_cpu_ns=of_server.begin.server_cpu_ns + in_window_ns,
        generator_cpu_ns=outcome.end.generator_cpu_ns,
        spun_ns=outcome.end.spun_ns,
        generator_waited_ns=max(map(_kept_ns, found)),
    )
    begin = replace(
        of_server.begin,
        generator_cpu_ns=outcome.begin.generator_cpu_ns,
        spun_ns=outcome.begin.spun_ns,
    )
    there = [each for each in parts if not each.lost]
    longest_ns = max(each.outcome.ended_ns - each.outcome.started_ns for each in found)
    stolen = max(found, key=lambda each: each.stolen_s / each.machine_s)
    return FleetTurn(
        load=load,
        outcome=replace(
            outcome,
            started_ns=start_ns,
            awake_ns=0,
            begin=begin,
            end=end,
            ended_ns=start_ns + longest_ns,
            server_found_ns=of_server.found_ns,
            server_left_ns=of_server.left_ns,
        ),
        window=window,
        request_times=times,
        in_flight_ns=sum(each.in_flight_ns for each in found),
        settled_ns=max(each.settled_ns for each in found),
        kept_share=max(map(_kept_ns, found)) / window_ns if all(each.pinned for each in there) else 0.0,
        stolen_s=stolen.stolen_s,
        machine_s=stolen.machine_s,
    )


def _kept_ns(found: ShardTurn) -> int:
    return found.outcome.end.generator_waited_ns - found.outcome.begin.generator_waited_ns


def measure_from_many(
    fleet: Fleet,
    candidate: Candidate,
    load: Load,
    progress: Progress = lambda *_: None,
    *,
    cell: Cell | None = None,
) -> Sample:
    """Launch a server, load it from all workers, stop it: as `cell.measure`."""
    if load.upstream is not None:
        raise MeasureError(
            "a relay's upstream is its generator, so that one clock sees both: it has one, here"
        )
    with ExitStack() as running:
        try:
            session = FleetSession(fleet, candidate, load, running)
            session.turn(load, progress)
            seen = session.end()
        finally:
            fleet.dismiss(candidate.label)  # before the server, which would wait for its clients to leave
    placement = placement_of(candidate, session.cores, session.generators)
    return sample_of(cell or Cell(0, candidate.label, ""), load, placement, session.cores, seen)
