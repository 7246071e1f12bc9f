"""The processes of one load: how they are started, told what to do, and waited for."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from harness.drive.orders import LEAVE, BackgroundOrder, LoadOrder, LoadOutcome, Turn, UpstreamOrder
from harness.errors import MeasureError
from harness.machine.connections import Address
from harness.machine.guard import be_guarded
from harness.machine.numerics import ONE_THREAD
from harness.machine.processes import reap
from harness.machine.resources import Cores, pinned
from harness.plan import CLOSED, Background, Load
from harness.record import PROJECT, BackgroundRequests

START_IN_NS: Final = 20_000_000
GENERATOR: Final = "harness.drive.generator"
RELAY_GENERATOR: Final = "harness.drive.relay_generator"
BACKGROUND: Final = "harness.drive.background"
GO_ON: Final = "go on"
BACKGROUND_GREETING_S: Final = 10.0
BACKGROUND_ANSWER_S: Final = 30.0
"""Ten thousand that all ask at the same moment may have to wait."""
Progress = Callable[[float, int], None]


@dataclass(frozen=True)
class Workers:
    """The processes that load a server: its generators, and that of the clients in the background, if there are any."""

    generators: Sequence["WorkerProcess"]
    background: "WorkerProcess | None"


@contextmanager
def workers_for(load: Load, cores: Cores, generators: int) -> Iterator[Workers]:
    """Start the processes of a load, each generator on a core of its own; end them afterwards."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(worker(generator_for(load), cores.generators[place : place + 1]))
            for place in range(generators)
        ]
        background = (
            stack.enter_context(worker(BACKGROUND, cores.generators[-1:])) if load.background else None
        )
        yield Workers(started, background)


def generator_for(load: Load) -> str:
    """Return the module that puts a load on a server: for a relay it is the upstream as well."""
    return RELAY_GENERATOR if load.upstream else GENERATOR


def let_upstream_listen(generator: "WorkerProcess", load: Load) -> Address | None:
    """Let a generator listen for what a relay will ask, and return where; None if nothing is to be asked."""
    if load.upstream is None:
        return None
    order = UpstreamOrder(waiting=load.upstream, clients=load.clients, seed=load.seed)
    told = generator.tell(as_line(order), "listening")
    return told["host"], told["port"]


def let_background_come(background: "WorkerProcess", address: Address, wanted: Background) -> None:
    """Let the clients in the background connect; MeasureError if they are not all greeted."""
    order = BackgroundOrder(*address, wanted.kind, wanted.clients, BACKGROUND_GREETING_S, BACKGROUND_ANSWER_S)
    came = background.tell(as_line(order), "connected")
    if came["refused"]:
        raise MeasureError(f"of {wanted.clients:,} clients in the background, {came['refused']}")


def orders_for(  # noqa: PLR0913 - what, where, and whom to look at
    address: Address, load: Load, cores: Cores, workers: Workers, server_pids: tuple[int, ...], scratch: str
) -> list[LoadOrder]:
    """Deal the clients out to the generators; the first reads the clocks of the server and of the background."""
    generators, background = len(workers.generators), workers.background
    return [
        LoadOrder(
            host=address[0],
            port=address[1],
            load=load,
            generator=place,
            generators=generators,
            times_file=f"{scratch}/times-{place}",
            server_pids=server_pids if place == 0 else (),
            background_pids=(background.pid,) if background is not None and place == 0 else (),
            cores=cores.own,
            own_core=cores.pinned and background is None,
        )
        for place in range(generators)
    ]


def take_turn(
    generators: Sequence["WorkerProcess"], load: Load, progress: Progress, *, settled: bool = False
) -> list[LoadOutcome]:
    """Let all generators start at the same moment, and wait for them; the first one's progress stands for all.

    Args:
        generators: whose clients are connected.
        load: theirs, with the times of this turn.
        progress: called with the seconds since the start and the requests sent.
        settled: whether what counts begins when every client has had a reply.
    """
    alone = len(generators) == 1 and load.arrivals == CLOSED
    start_ns = time.monotonic_ns() + (0 if alone else START_IN_NS)
    turn = as_line(Turn(start_ns=start_ns, load=load, settled=settled))
    for each in generators:
        each.tell(turn, "started")

    def of_all(elapsed_s: float, sent_by_one: int) -> None:
        progress(elapsed_s, sent_by_one * len(generators))

    return [msgspec.convert(each.tell(None, "done", of_all)["outcome"], LoadOutcome) for each in generators]


def leave(generators: Sequence["WorkerProcess"]) -> None:
    """Let all clients leave, and wait until they have left."""
    for each in generators:
        each.tell(LEAVE, "left")


def background_outcome(background: "WorkerProcess | None") -> BackgroundRequests:
    """Let the clients in the background end what they have begun; return what became of all that they asked."""
    if background is None:
        return BackgroundRequests()
    return msgspec.convert(background.tell(GO_ON, "done")["outcome"], BackgroundRequests)


class WorkerProcess:
    """A process of ours that takes part: it is told one line at a time, and tells events."""

    def __init__(self, process: subprocess.Popen[bytes], module: str) -> None:
        """Take over a process that runs one of our modules."""
        self.pid = process.pid
        self._process = process
        self._module = module

    def tell(self, line: str | None, awaited: str, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Write a line to it, unless that is None, and wait for an event of that name, passing progress on.

        Raises:
            MeasureError: it cannot do what it was told, or has ended.
        """
        if line is not None:
            self._write(line)
        while True:
            told = self._process.stdout.readline() if self._process.stdout else b""
            if not told:
                raise self._ended()
            event: dict[str, Any] = json.loads(told)
            if event["event"] == awaited:
                return event
            if event["event"] == "failed":
                raise MeasureError(event["reason"])
            progress(event["elapsed_s"], event["sent"])

    def _write(self, line: str) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> MeasureError:
        return MeasureError(f"{self._module} has ended too early")


@contextmanager
def worker(module: str, cores: Sequence[int]) -> Iterator[WorkerProcess]:
    """Start one of our modules, on these cores, and wait for nothing; end it afterwards."""
    be_guarded()
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=PROJECT,
            env=os.environ | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
    try:
        yield WorkerProcess(process, module)
    finally:
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()
        reap(process)


def as_line(order: LoadOrder | Turn | BackgroundOrder | UpstreamOrder) -> str:
    """Write an order as a process of the load reads it."""
    return msgspec.json.encode(order).decode()
