"""One worker's part of a load that comes from many: the very generator that a single process uses, and a summary of each turn.

It lives on the worker. No row of a request leaves it: a turn comes back as counts and histograms.
"""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec

from harness.conformance.smoke import check_shortly, come_and_leave
from harness.drive.fleet import (
    BACKGROUND,
    GENERATOR,
    GO_ON,
    WorkerProcess,
    as_line,
    background_outcome,
    leave,
    worker,
)
from harness.drive.journal import read_times
from harness.drive.orders import BackgroundOrder, LoadOrder, LoadOutcome, Turn
from harness.errors import MeasureError
from harness.machine.connections import Address
from harness.machine.processes import machine_time
from harness.machine.resources import Cores, cores_for, machine_id
from harness.record import BackgroundRequests
from harness.study.environment import harness_hash
from harness.study.merging import ShardTurn, shard_turn

NOTHING: Final = (0.0, 0)


class Shard:
    """A generator, told from elsewhere.

    Attributes:
        news: how far it is: the seconds since the start, and the requests sent.
    """

    def __init__(self) -> None:
        """Begin without a generator."""
        self.news = NOTHING
        self._running = ExitStack()
        self._generator: WorkerProcess | None = None
        self._cores = Cores()
        self._scratch = Path()
        self._order: LoadOrder | None = None

    def start(self, place: int, places: int) -> bool:
        """Start the generator, on a core of its own if the machine has one for each, and the server; tell whether it has."""
        self._cores = cores_for(places)
        self._scratch = Path(self._running.enter_context(tempfile.TemporaryDirectory()))
        self._generator = self._running.enter_context(
            worker(GENERATOR, self._cores.generators[place : place + 1])
        )
        return self._cores.pinned

    def visit(self, label: str, address: Address, visitors: int) -> None:
        """Put a server into service; MeasureError if it answers wrongly, or cannot be reached from here."""
        if visitors:
            check_shortly(label, address)
            come_and_leave(label, address, visitors)

    def connect(self, order: LoadOrder) -> float:
        """Let the clients come; return the seconds that it took. MeasureError says who cannot, and where to."""
        self._order = msgspec.structs.replace(
            order, times_file=str(self._scratch / "times"), own_core=self._cores.pinned
        )
        try:
            return float(self._process.tell(as_line(self._order), "connected")["connect_s"])
        except MeasureError as error:
            raise MeasureError(f"at {order.host}:{order.port} {error}") from None

    def turn(self, turn: Turn) -> bytes:
        """Let the clients take a turn; return a `ShardTurn`, as short as can be."""
        order = self._order
        assert order is not None  # noqa: S101 - they are connected
        self.news = NOTHING
        total_before, stolen_before = machine_time()
        self._process.tell(as_line(turn), "started")
        told = self._process.tell(None, "done", self._take_news)["outcome"]
        total_after, stolen_after = machine_time()
        outcome = msgspec.convert(told, LoadOutcome)
        file = Path(order.times_file)
        (times,) = read_times([file], [[outcome.records]])
        file.unlink()
        found = msgspec.structs.replace(
            shard_turn(turn.load, order, outcome, times),
            stolen_s=stolen_after - stolen_before,
            machine_s=max(total_after - total_before, 1e-9),
        )
        return msgspec.msgpack.encode(found)

    def leave(self) -> None:
        """Let the clients leave."""
        leave([self._process])

    def end(self) -> None:
        """End the generator."""
        self._running.close()

    @property
    def _process(self) -> WorkerProcess:
        if self._generator is None:
            raise MeasureError("its generator was not started")
        return self._generator

    def _take_news(self, elapsed_s: float, sent: int) -> None:
        self.news = (elapsed_s, sent)


class IdleShard:
    """Clients that stay, say nothing, and are all asked once in the end: a part of as many as a server is to hold."""

    def __init__(self) -> None:
        """Begin without any."""
        self.news = NOTHING
        self._running = ExitStack()
        self._clients: WorkerProcess | None = None

    def hold(self, order: BackgroundOrder) -> tuple[int, str]:
        """Let them come; return how many were greeted, and why there are no more."""
        self._clients = self._running.enter_context(worker(BACKGROUND, ()))
        came = self._clients.tell(as_line(order), "connected")
        self._clients.tell(GO_ON, "started")
        return came["clients"], came["refused"]

    def ask(self) -> BackgroundRequests:
        """Ask all of them, and let them leave; return what became of that."""
        outcome = background_outcome(self._clients)
        self._running.close()
        return outcome


def decoded(told: bytes) -> ShardTurn:
    """Read what a shard has told of a turn."""
    return msgspec.msgpack.decode(told, type=ShardTurn)


def what_runs_here() -> tuple[str, str]:
    """Say which harness this is, and on which machine it runs."""
    return harness_hash(), machine_id()
