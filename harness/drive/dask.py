"""Load from many processes and machines, on Dask: objects of ours live on its workers, and are called from here.

This is the second way to start generators; `fleet` is the first. Dask is an extra, and is imported when a cluster is asked for.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

from harness.drive.clocks import ClockOffset, Exchange, best_of
from harness.errors import CannotRun

REACH_S: Final = 10.0
"""So long is waited for a scheduler."""
START_S: Final = 60.0
"""And so long for what is done at once unless a machine is very busy."""
LOOK_EVERY_S: Final = 0.25
EXCHANGES: Final = 20
LOCAL: Final = "local:"
SCHEMES: Final = ("tcp://", "tls://")
Said = Mapping[str, Any]


class WorkerLost(CannotRun):
    """A worker that takes part no more.

    Attributes:
        worker: its name.
    """

    def __init__(self, worker: str, why: str) -> None:
        """Name it."""
        super().__init__(f"worker {worker} {why}")
        self.worker = worker


class Seat:
    """Dask's actor: where an object of ours lives. What that cannot do comes back in words, so that all else is Dask's trouble."""

    def __init__(self, kind: Callable[[], Any]) -> None:
        """Make the object."""
        self._tenant = kind()

    def do(self, method: str, *args: object) -> tuple[bool, Any]:
        """Call a method of it; return whether it could, and what it returned, or why not."""
        try:
            return True, getattr(self._tenant, method)(*args)
        except (CannotRun, OSError, MemoryError) as error:
            return False, str(error) or "there is not enough memory"

    def times(self) -> tuple[int, int]:
        """Return when this call was received, and when it is answered."""
        received_ns = time.monotonic_ns()
        return received_ns, time.monotonic_ns()

    @property
    def news(self) -> Any:  # noqa: ANN401 - whatever it tells
        """Return what it tells while it works; Dask reads this beside its work."""
        return self._tenant.news


@dataclass(frozen=True)
class RemoteWorker:
    """One of Dask's workers.

    Attributes:
        name: as Dask calls it.
        address: where Dask reaches it.
        machine: the same of workers on the same machine.
    """

    name: str
    address: str
    machine: str = ""

    @property
    def host(self) -> str:
        """Return its machine's address."""
        return self.address.partition("://")[2].rpartition(":")[0].strip("[]")


class Awaited:
    """What a remote object will have said."""

    def __init__(self, future: Any, seat: "RemoteSeat") -> None:  # noqa: ANN401 - Dask's, which may be missing
        """Take over a call that is under way."""
        self._future = future
        self._seat = seat

    def within(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> Any:  # noqa: ANN401 - whatever it returns
        """Wait for it, not longer than that.

        Raises:
            WorkerLost: the worker has died, or was too slow.
            CannotRun: the object could not do what it was told.
        """
        worker, limit_s = self._seat.worker.name, time.monotonic() + seconds
        while not self._future.done():
            if self._seat.is_gone:
                raise WorkerLost(worker, "has died")
            if time.monotonic() > limit_s:
                raise WorkerLost(worker, f"has not answered within {seconds:.3g} s")
            with suppress(
                OSError
            ):  # the time is over, or the connection is: both are looked at above and below
                self._future.result(LOOK_EVERY_S)
            meanwhile()
        try:
            could, told = self._future.result(LOOK_EVERY_S)
        except OSError:
            raise WorkerLost(worker, "has died") from None
        if not could:
            raise CannotRun(f"worker {worker}: {told}")
        return told


class RemoteSeat:
    """An object of ours on a worker, as it is seen from here."""

    def __init__(self, worker: RemoteWorker, future: Any, actor: Any) -> None:  # noqa: ANN401 - Dask's, likewise
        """Take over an actor, and the future that keeps it alive."""
        self.worker = worker
        self._future = future
        self._actor = actor

    @property
    def is_gone(self) -> bool:
        """Tell whether the scheduler has lost its worker."""
        return bool(self._future.status != "finished")

    def call(self, method: str, *args: object) -> Awaited:
        """Let the object begin with something."""
        try:
            return Awaited(self._actor.do(method, *args), self)
        except RuntimeError:  # so Dask says that the worker was lost
            raise WorkerLost(self.worker.name, "has died") from None

    def news(self) -> Any:  # noqa: ANN401 - whatever it tells
        """Return what the object tells of its work; None if it cannot be heard."""
        try:
            return self._actor.news
        except (OSError, RuntimeError):
            return None

    def clock(self) -> ClockOffset:
        """Compare the worker's clock with ours; WorkerLost if it does not answer."""
        return best_of(self._exchange() for _ in range(EXCHANGES))

    def leave(self) -> None:
        """Let go of the object."""
        self._future.release()

    def _exchange(self) -> Exchange:
        sent_ns = time.monotonic_ns()
        try:
            received_ns, answered_ns = self._actor.times().result(REACH_S)
        except (OSError, RuntimeError):
            raise WorkerLost(self.worker.name, "does not say what time it is") from None
        return sent_ns, received_ns, answered_ns, time.monotonic_ns()


class Cluster:
    """A cluster that was reached, and its workers, in the order of their names."""

    def __init__(self, client: Any, machine_of: Callable[[], tuple[str, str]]) -> None:  # noqa: ANN401 - Dask's, likewise
        """Hold all workers against us.

        Args:
            client: Dask's.
            machine_of: says, wherever it is called, what is run there, and on which machine.

        Raises:
            CannotRun: there are none, or one of them runs other versions than we do.
        """
        self._client = client
        self.workers = _checked(client, machine_of)

    @property
    def address(self) -> str:
        """Return where its scheduler is reached."""
        return str(self._client.scheduler.address)

    def named(self, name: str) -> RemoteWorker:
        """Return the worker of a name; CannotRun if there is none."""
        for worker in self.workers:
            if name in {worker.name, worker.address}:
                return worker
        raise CannotRun(
            f"no worker is called {name!r}; there are {', '.join(each.name for each in self.workers)}"
        )

    def seat(self, worker: RemoteWorker, kind: Callable[[], Any]) -> RemoteSeat:
        """Make an object on a worker; WorkerLost if it does not come about."""
        (found,) = self.seats([worker], kind)
        return found

    def seats(self, workers: Sequence[RemoteWorker], kind: Callable[[], Any]) -> list[RemoteSeat]:
        """Make an object on each of some workers, on all at the same time."""
        futures = [
            self._client.submit(
                Seat, kind, actor=True, workers=[each.address], allow_other_workers=False, pure=False
            )
            for each in workers
        ]
        return [self._taken(*each) for each in zip(workers, futures, strict=True)]

    @staticmethod
    def _taken(worker: RemoteWorker, future: Any) -> RemoteSeat:  # noqa: ANN401 - Dask's, likewise
        try:
            return RemoteSeat(worker, future, future.result(START_S))
        except (OSError, RuntimeError):
            raise WorkerLost(worker.name, f"has not taken its part within {START_S:g} s") from None


@contextmanager
def reached(where: str, machine_of: Callable[[], tuple[str, str]], fewest: int = 1) -> Iterator[Cluster]:
    """Start a cluster here, of `local:N` workers, or reach the one of a scheduler; let go of it afterwards.

    Args:
        where: which.
        machine_of: says, wherever it is called, what is run there, and on which machine.
        fewest: so many workers are waited for, not for long: they may have been started just now.

    Raises:
        CannotRun: Dask is not installed, the scheduler is not reached, or its workers are not to be used.
    """
    distributed = _distributed()
    with ExitStack() as stack:
        address = where
        if where.startswith(LOCAL):
            local = distributed.LocalCluster(
                n_workers=int(where.removeprefix(LOCAL)),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            address = stack.enter_context(local)
        try:
            client = distributed.Client(address, timeout=REACH_S, direct_to_workers=True)
        except (OSError, ValueError, TypeError) as error:  # the last of TLS that is not set up
            why = str(error).partition(": ")[2] or str(error) or "no answer"
            raise CannotRun(f"no scheduler is reached at {where} within {REACH_S:g} s: {why}") from None
        stack.enter_context(client)
        _await_workers(client, where, fewest)
        yield Cluster(client, machine_of)


def _distributed() -> Any:  # noqa: ANN401 - an extra
    try:
        found = import_module("distributed")
    except ImportError:
        raise CannotRun("--cluster takes Dask, which is not installed: pip install 'distributed'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is told by us, in one line
    return found


def _checked(client: Any, machine_of: Callable[[], tuple[str, str]]) -> tuple[RemoteWorker, ...]:  # noqa: ANN401 - Dask's
    """Return all workers, if every one runs what we run."""
    found = [RemoteWorker(str(said["name"]), address) for address, said in _known(client).items()]
    workers = sorted(found, key=_by_name)
    told = client.get_versions()
    places: dict[str, Any] = client.run(machine_of, on_error="return")
    ours, _ = machine_of()
    for each in workers:
        place = places.get(each.address, "it has gone")
        _compare(each.name, _versions(told["client"]), _versions(told["workers"].get(each.address, {})))
        if not isinstance(place, tuple):
            raise CannotRun(f"worker {each.name} cannot run this harness: {place}")
        _compare(each.name, {"this harness": ours}, {"this harness": place[0]})
    return tuple(replace(each, machine=places[each.address][1]) for each in workers)


def _await_workers(client: Any, where: str, fewest: int) -> None:  # noqa: ANN401 - Dask's
    """Wait until there are so many workers; CannotRun if that takes too long."""
    limit_s = time.monotonic() + REACH_S
    while (there := len(_known(client))) < fewest:
        if time.monotonic() > limit_s:
            have = f"{there} workers" if there else "no workers: start some with `dask worker`"
            raise CannotRun(
                f"the cluster at {where} has {have}" + (f", and {fewest} are needed" if there else "")
            )
        time.sleep(LOOK_EVERY_S)


def _known(client: Any) -> dict[str, Said]:  # noqa: ANN401 - Dask's
    """Return what the scheduler says of its workers, by their addresses."""
    known: dict[str, Said] = client.scheduler_info(n_workers=-1)["workers"]
    return known


def _by_name(worker: RemoteWorker) -> tuple[int, str]:
    """Put 2 before 10."""
    return (int(worker.name) if worker.name.isdigit() else 0, worker.name)


def _versions(said: Said) -> dict[str, str]:
    """Take from what Dask tells what has to be the same."""
    packages = said["packages"] if said else {}
    return {what: str(packages.get(what)) for what in ("python", "distributed")}


def _compare(worker: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    """Raise CannotRun if a worker runs other versions than we do."""
    differing = [
        f"{what} {theirs.get(what)}, and here is {version}"
        for what, version in ours.items()
        if theirs.get(what) != version
    ]
    if differing:
        raise CannotRun(f"worker {worker} has {'; '.join(differing)}")
