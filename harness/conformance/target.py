"""The server as a case sees it: something to connect to, and, if it is ours to start, a process."""

import math
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from harness.conformance.peer import Peer
from harness.conformance.violations import NotApplicable, Violation
from harness.launch.candidates import GREETING, HOPELESS_S, HOST, Candidate
from harness.launch.process import DEFAULT_CLIENTS, Launched, address_of, launch, start
from harness.machine.connections import Address
from harness.machine.processes import Footprint, footprint, reap
from harness.machine.resources import no_more_files, no_more_threads
from harness.machine.threads import working_threads
from harness.record import PROJECT

LEAST_PATIENCE_S: Final = 5.0
STARTUPS_OF_PATIENCE: Final = 20
SETTLE_CHECK_S: Final = 0.02
LAUNCH_OPTIONS: Final = {
    "max_clients": "max_clients",
    "idle_timeout_s": "idle_timeout",
    "grace_s": "grace",
    "port": "port",
    "upstream": "upstream",
    "pool": "pool",
    "upstream_timeout_s": "upstream_timeout",
}


@dataclass
class Target:
    """What a case is run against.

    Attributes:
        candidate: the server.
        address: where the shared instance listens.
        launched: the shared instance's process, if it is ours.
        patience_s: how long to wait for anything; it grows with the time that the server took to start, which
            tells how fast and how busy this machine is.
        peers: all clients that the case has used.
        error_outputs: what the servers that the case has started for itself wrote to standard error.
        relay: the same server as a relay, which cases share as well; None until the first of them starts it.
        kept: what ends with the shared instance.
    """

    candidate: Candidate
    address: Address
    launched: Launched | None
    patience_s: float = LEAST_PATIENCE_S
    peers: list[Peer] = field(default_factory=list)
    error_outputs: list[str] = field(default_factory=list)
    relay: "Target | None" = None
    kept: ExitStack = field(default_factory=ExitStack)

    def has(self, capability: str) -> bool:
        """Tell whether the server declares a capability; one that said nothing is asked for all."""
        return self.candidate.declares is None or capability in self.candidate.declares

    @property
    def serves_several(self) -> bool:
        """Tell whether it says that it serves clients side by side; one that said nothing may serve one at a time."""
        return self.candidate.declares is not None and self.has("concurrent")

    @property
    def endpoint(self) -> str:
        """Host and port as a reader of a reproducer would type them."""
        return "HOST PORT" if self.launched is not None else " ".join(map(str, self.address))

    def connect(self, buffer_bytes: int | None = None) -> Peer:
        """Connect a client, to be greeted or not."""
        greeting_s = HOPELESS_S if GREETING in self.candidate.hopeless else self.patience_s
        peer = Peer(self.address, self.patience_s, buffer_bytes, greeting_s)
        self.peers.append(peer)
        return peer

    def greeted(self) -> Peer:
        """Connect a client and expect its greeting."""
        return self.connect().greeted()

    def answers(self, data: bytes, *replies: bytes, mode: bytes = b"Sum") -> None:
        """Check that a client that sends this gets these replies and nothing else, and is then served on, in `mode`."""
        with self.greeted() as peer:
            peer.exchange(data, *replies)
            peer.fence(mode)

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes of the server, the one that was started first."""
        return self.server.pids

    @property
    def places(self) -> int:
        """How many clients the shared instance serves at once, as far as we are told."""
        if not self.serves_several:
            return 1
        return min(DEFAULT_CLIENTS, self.candidate.most_clients or DEFAULT_CLIENTS)

    @property
    def server(self) -> Launched:
        """The server's launch."""
        if self.launched is None:
            raise NotApplicable("it needs the server's process, and only its address is known")
        return self.launched

    @contextmanager
    def fresh(self, **options: float | Address) -> Iterator["Target"]:
        """Start a server for this case alone, with the options of LAUNCH_OPTIONS."""
        if not self.candidate.command:
            raise NotApplicable("it needs a server of its own, and only an address is known")
        for option in options:
            placeholder = LAUNCH_OPTIONS[option]
            if not self.candidate.takes(placeholder):
                raise NotApplicable(f"its command has no place for {{{placeholder}}}")
        with launch(self.candidate, **options) as launched:  # type: ignore[arg-type] # the names are checked above
            try:
                yield Target(self.candidate, launched.address, launched, patience_for(launched), self.peers)
            finally:
                self.error_outputs.append(launched.error_output())

    def resident_bytes(self) -> int:
        """Return the memory that the server's processes hold."""
        return self.footprint().memory_bytes

    def files(self) -> int:
        """Count the open files of the server's processes."""
        return self.footprint().descriptors

    def threads(self) -> int:
        """Count the threads of the server's processes."""
        return self.footprint().threads

    def footprint(self) -> Footprint:
        """Look at what the server's processes hold."""
        return footprint(self.server.process.pid)

    def settles(self, measure: Callable[[], int], limit: float) -> None:
        """Wait until a measure of the server (`files`, `threads`) is back at a limit."""
        deadline = time.monotonic() + self.patience_s
        while (value := measure()) > limit:
            if time.monotonic() > deadline:
                raise Violation(f"the server's {measure.__name__} stay at {value}, expected {limit:g}")
            time.sleep(SETTLE_CHECK_S)

    def is_quiet(self, tries: int = 2) -> None:
        """Check that the server rests while nothing happens: in half of the looks at it within some tenth of a second.

        Whoever spins never does: it runs, or could run, whenever one looks, and on a busy machine all the more. What is
        done now and then, like a log of what was refused, is over when one tries again.
        """
        for _ in range(tries):
            working = [count > 0 for count in working_threads(self.pids)]
            if sum(working) <= len(working) / 2:
                return
        raise Violation(
            f"the server worked while nothing happened, in {sum(working)} of the last {len(working)} looks at it"
        )

    @contextmanager
    def without_files(self, *, whatever_is_closed: bool = False) -> Iterator[None]:
        """Let none of the server's processes open one more file, not even in the place of one that it closes if so told."""
        with no_more_files(self.pids, whatever_is_closed=whatever_is_closed):
            yield

    @contextmanager
    def without_threads(self) -> Iterator[None]:
        """Let none of the server's processes start one more thread."""
        with no_more_threads(self.pids):
            yield

    def started_by(self, line: str) -> "Target":
        """Start fresh servers by a line of the shell's, in which `"$@"` stands for the command."""
        shell = ("sh", "-c", line, "sh", *self.candidate.command) if self.candidate.command else ()
        return replace(self, candidate=replace(self.candidate, command=shell))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep all of the server's processes stopped."""
        pids = self.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


def patience_for(launched: Launched) -> float:
    """Return a generous limit for any answer, by how long this server took to start on this machine, now."""
    return math.ceil(max(LEAST_PATIENCE_S, STARTUPS_OF_PATIENCE * launched.startup_s))


@contextmanager
def shared_target(candidate: Candidate) -> Iterator[Target]:
    """Offer a shared instance of the server to cases that need nothing special."""
    if candidate.address is not None:
        yield Target(candidate, address_of(candidate), None)
    else:
        with launch(candidate) as launched, ExitStack() as kept:
            yield Target(candidate, launched.address, launched, patience_for(launched), kept=kept)


def with_options(**given: str) -> dict[str, str]:
    """Return a value for each placeholder."""
    return {"host": HOST, "port": "0", "max_clients": "1", "idle_timeout": "300", "grace": "5"} | given


def run_to_end(command: list[str], patience_s: float, directory: Path = PROJECT) -> tuple[int, str]:
    """Run a command that should fail, in its directory; return its exit code and what it wrote to standard error."""
    with tempfile.TemporaryFile() as errors:
        process = start(command, errors, directory=directory)
        try:
            code = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise Violation(f"{' '.join(command)}: still runs after {patience_s:g} s") from None
        finally:
            reap(process)
        errors.seek(0)
        return code, errors.read().decode(errors="replace")
