"""The workers of a cluster that load servers: who is there, on which machine, with whose generators; and where the server is."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from harness.drive.clocks import ClockOffset
from harness.drive.dask import START_S, Cluster, RemoteSeat, RemoteWorker, WorkerLost, reached
from harness.errors import CannotRun, MeasureError
from harness.launch.candidates import HOST
from harness.machine.connections import own_address_towards
from harness.plan import Load
from harness.record import Requests, WorkerShare
from harness.study.host import ServerHost
from harness.study.shard import Shard, what_runs_here

NO_REQUESTS: Final = Requests(planned=0, sent=0, ok=0, wrong=0, error=0, timeout=0, in_flight=0, fault="")


class Host(Protocol):
    """The server's machine, wherever it is: `ServerHost`, or one on a worker."""

    clock: ClockOffset

    def ask(self, method: str, *args: object) -> Any:  # noqa: ANN401 - what `ServerHost` returns
        """Call a method of it."""


class HostHere:
    """The server's machine is this one."""

    clock = ClockOffset(0, 0)

    def __init__(self) -> None:
        """Begin without a server."""
        self._host = ServerHost()

    def ask(self, method: str, *args: object) -> Any:  # noqa: ANN401 - likewise
        """Call a method."""
        return getattr(self._host, method)(*args)


class HostThere:
    """The server's machine is a worker's."""

    def __init__(self, seat: RemoteSeat) -> None:
        """Compare its clock with ours."""
        self.clock = seat.clock()
        self._seat = seat

    def ask(self, method: str, *args: object) -> Any:  # noqa: ANN401 - likewise
        """Call a method."""
        return self._seat.call(method, *args).within(START_S)


@dataclass
class Loader:
    """A worker in one launch: what it is to do, and what it has done.

    Attributes:
        seat: of its generator.
        number: among the parts, like cards.
        clients: how many are its.
        pinned: its generator has a core of its own.
        clock: how far it was ahead of ours before.
        requests: what became of its own so far.
        start_off_ns: how far from the agreed time it began, at worst.
        moved_ns: by how much its clock was found to have moved afterwards.
        lost: why it takes part no more.
    """

    seat: RemoteSeat
    number: int
    clients: int
    pinned: bool
    clock: ClockOffset
    requests: Requests = NO_REQUESTS
    start_off_ns: int = 0
    moved_ns: int = 0
    lost: str = ""

    @property
    def name(self) -> str:
        """Return the worker's name."""
        return self.seat.worker.name

    def share(self) -> WorkerShare:
        """Sum it up."""
        return WorkerShare(
            worker=self.name,
            clients=self.clients,
            requests=self.requests,
            clock_offset_ns=self.clock.offset_ns,
            clock_error_ns=self.clock.error_ns,
            clock_moved_ns=self.moved_ns,
            start_off_ns=self.start_off_ns,
            lost=self.lost,
        )


@dataclass
class Fleet:
    """The workers that load a server: those of a cluster that are left.

    Attributes:
        cluster: of all.
        on: where the server is to run; here if that is None.
        most: so many load at most; all if that is None.
        lost: why workers take part no more, by their names.
    """

    cluster: Cluster
    on: RemoteWorker | None = None
    most: int | None = None
    lost: dict[str, str] = field(default_factory=dict)
    _seats: dict[tuple[str, str], tuple[RemoteSeat, bool]] = field(default_factory=dict)

    @property
    def workers(self) -> list[RemoteWorker]:
        """Return those that load: the server's own does only if there is no other."""
        there = [each for each in self.cluster.workers if each.name not in self.lost]
        loading = [each for each in there if each != self.on] or there
        return loading[: self.most]

    def parts(self, label: str, load: Load) -> list[Loader]:
        """Return the workers that load a server, each with its clients, and with its clock compared with ours."""
        self._let_all_sit(label)
        workers = self.workers[: load.clients]
        if not workers:
            raise MeasureError(f"no worker is left: {'; '.join(self.lost.values())}")
        found = []
        for number, each in enumerate(workers):
            seat, pinned = self._seats[label, each.name]
            clients = len(range(number, load.clients, len(workers)))
            found.append(Loader(seat, number, clients, pinned, seat.clock()))
        return found

    def lose(self, error: WorkerLost) -> None:
        """Take note that a worker takes part no more."""
        self.lost[error.worker] = str(error)

    def host(self) -> Host:
        """Return where the server is to run."""
        if self.on is None:
            return HostHere()
        if self.on.name in self.lost:
            raise MeasureError(self.lost[self.on.name])
        return HostThere(self.cluster.seat(self.on, ServerHost))

    @property
    def host_address(self) -> str:
        """Return where workers reach the server's machine."""
        if self.on is not None:
            return self.on.host
        hosts = {each.host for each in self.cluster.workers}
        return HOST if hosts == {HOST} else own_address_towards((self.workers[0].host, 1))

    @property
    def beside_the_server(self) -> int:
        """Count the generators on the server's machine."""
        here = what_runs_here()[1] if self.on is None else self.on.machine
        return sum(each.machine == here for each in self.workers)

    def _let_all_sit(self, label: str) -> None:
        """Start the generators of a server, unless they have been started, on all workers at the same time."""
        workers = self.workers
        missing = [each for each in workers if (label, each.name) not in self._seats]
        starting = []
        for seat in self.cluster.seats(missing, Shard):
            neighbours = [each for each in workers if each.machine == seat.worker.machine]
            self._seats[label, seat.worker.name] = seat, False
            starting.append((seat, seat.call("start", neighbours.index(seat.worker), len(neighbours))))
        for seat, answer in starting:
            self._seats[label, seat.worker.name] = seat, answer.within(START_S)

    def dismiss(self, label: str) -> None:
        """End the generators of a server."""
        for key in [key for key in self._seats if key[0] == label]:
            seat, _ = self._seats.pop(key)
            with suppress(CannotRun):
                if key[1] not in self.lost:
                    seat.call("end").within(START_S)
            seat.leave()

    def end(self) -> None:
        """End all generators."""
        for label in {label for label, _ in self._seats}:
            self.dismiss(label)


@contextmanager
def fleet_of(where: str, on: str | None = None, most: int | None = None) -> Iterator[Fleet]:
    """Reach a cluster, and let its workers be ready to load servers.

    Args:
        where: `local:N`, or the address of a scheduler.
        on: the worker on which the server is to run; None for here.
        most: so many workers are to load it, and no more; None for all.

    Raises:
        CannotRun: it cannot be reached, or has not the workers that are needed.
    """
    with reached(where, what_runs_here, (most or 1) + (on is not None and most is not None)) as cluster:
        fleet = Fleet(cluster, None if on is None else cluster.named(on), most)
        try:
            yield fleet
        finally:
            fleet.end()
