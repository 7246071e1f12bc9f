"""Where the server is: it is started there, looked at, and its clocks are read as the window begins and ends.

It lives beside the coordinator, or on a worker. Whoever loads the server from elsewhere cannot read them.
"""

import time
from contextlib import ExitStack
from dataclasses import replace
from threading import Thread

from harness.drive.orders import Reading
from harness.launch.candidates import Candidate
from harness.launch.process import Launched  # noqa: TC001 - nothing of ours is for types alone
from harness.launch.selection import ours
from harness.machine.processes import Snapshot, busy_ns, cpu_ns_of, resident_bytes, snapshot, ticks_of
from harness.machine.resources import Cores
from harness.plan import Load, Record
from harness.study.cell import cores_of, put_into_service, serving
from harness.study.observe import MEMORY_EVERY_S


class Started(Record, frozen=True):
    """A server that was started: where it is reached, how long that took, and which cores of its machine it may use.

    Attributes:
        ready: what it was like before any client came.
    """

    host: str
    port: int
    startup_s: float = 0.0
    cores: tuple[int, ...] = ()
    shared_cores: tuple[int, ...] = ()
    ready: Snapshot = Snapshot()


class ServerTurn(Record, frozen=True, kw_only=True):
    """The server's clocks in a turn: before the first request, at the edges of the window, and when all was answered."""

    found_ns: int
    begin: Reading
    end: Reading
    left_ns: int
    memory_bytes: tuple[int, ...] = ()


class ServerHost:
    """A server's machine."""

    def __init__(self) -> None:
        """Begin without a server."""
        self._running = ExitStack()
        self._launched: Launched | None = None
        self._cores = Cores()
        self._watching: Thread | None = None
        self._read: list[Reading] = []
        self._memory_bytes: list[int] = []

    def start(self, candidate: Candidate, load: Load, host: str, generators: int) -> Started:
        """Start a server that listens at an address of its machine, which it shares with so many generators."""
        candidate = as_of_here(candidate)
        self._cores = cores_of(candidate, generators)
        address, self._launched = self._running.enter_context(
            serving(candidate, load, self._cores, host=host)
        )
        ready = put_into_service(candidate, address, self._launched, load)
        startup_s = self._launched.startup_s if self._launched else 0.0
        return Started(*address, startup_s, self._cores.server, self._cores.shared, ready)

    def look(self) -> Snapshot:
        """Look at the server."""
        return snapshot(self._launched.process.pid if self._launched else None)

    def watch(self, start_ns: int, begin_ns: int, end_ns: int) -> None:
        """Read the clocks at these times of this machine's monotonic clock, beside whatever else is done."""
        self._read, self._memory_bytes = [], []
        self._watching = Thread(target=self._watch, args=(start_ns, begin_ns, end_ns), daemon=True)
        self._watching.start()

    def seen(self) -> ServerTurn:
        """Return what was read, and what the clock is now that all is answered."""
        if self._watching is not None:
            self._watching.join()
        found, begin, end = self._read
        left_ns = cpu_ns_of(self._pids)
        return ServerTurn(
            found_ns=found.server_cpu_ns,
            begin=begin,
            end=end,
            left_ns=left_ns,
            memory_bytes=tuple(self._memory_bytes),
        )

    def end(self) -> None:
        """Stop the server."""
        self._running.close()
        self._launched = None

    @property
    def _pids(self) -> tuple[int, ...]:
        return self._launched.pids if self._launched else ()

    def _watch(self, start_ns: int, begin_ns: int, end_ns: int) -> None:
        pids = self._pids
        self._read.append(self._reading(pids))
        _sleep_until(max(start_ns, begin_ns))
        self._read.append(self._reading(pids))
        while (next_ns := time.monotonic_ns() + int(MEMORY_EVERY_S * 1e9)) < end_ns:
            self._memory_bytes.append(sum(map(resident_bytes, pids)))
            _sleep_until(next_ns)
        _sleep_until(end_ns)
        self._read.append(self._reading(pids))

    def _reading(self, pids: tuple[int, ...]) -> Reading:
        user_ticks, system_ticks = ticks_of(pids)
        return Reading(
            at_ns=time.monotonic_ns(),
            server_cpu_ns=cpu_ns_of(pids),
            generator_cpu_ns=0,
            spun_ns=0,
            cores_busy_ns=busy_ns(self._cores.server),
            server_user_ticks=user_ticks,
            server_system_ticks=system_ticks,
        )


def as_of_here(candidate: Candidate) -> Candidate:
    """Return a server as this machine starts it: one of ours by its name, whatever the paths are where it was chosen.

    It keeps its label, which may be that of a twin.
    """
    found = candidate.implementation
    if found is None or candidate.python is not None or candidate.loop:
        return candidate
    return replace(ours(found.name).measured(*candidate.ways), label=candidate.label)


def _sleep_until(time_ns: int) -> None:
    time.sleep(max(0.0, (time_ns - time.monotonic_ns()) / 1e9))
