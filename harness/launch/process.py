"""Start a server, wait for its readiness line, stop it, reap it."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import FileIO, RawIOBase
from pathlib import Path
from queue import Empty, SimpleQueue
from random import randrange
from threading import Event, Thread
from typing import IO, Final

from harness.errors import LaunchError
from harness.launch.candidates import HOPELESS_S, HOST, STOP, Candidate
from harness.machine.connections import Address, endpoints_of, listening_host, reached
from harness.machine.guard import be_guarded, keep_group
from harness.machine.processes import processes_of, reap
from harness.machine.resources import give_files, pinned
from harness.record import PROJECT

READY_LINE: Final = re.compile(r"Server up, running, and waiting for call on (\S+) (\d+)\s*")


PORTS_BY_CHOICE: Final = (16_384, 32_768)
"""Between what services have and what the kernel chooses from: a server that is told a port may be slow to take it."""
START_LIMIT_S: Final = 30.0
PORT_CHECK_S: Final = 0.02
STOP_MARGIN_S: Final = 5.0
REAP_S: Final = 1.0
LONGEST_LINE_BYTES: Final = 65_536
CONNECT_LIMIT_S: Final = 5.0

DEFAULT_CLIENTS: Final = 1000
DEFAULT_IDLE_TIMEOUT_S: Final = 300.0
DEFAULT_GRACE_S: Final = 5.0
DEFAULT_POOL: Final = 100
DEFAULT_UPSTREAM_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True)
class Launched:
    """A server process that is ready.

    Attributes:
        candidate: what was launched.
        process: owned by the launch; the leader of a process group of its own.
        address: where it listens.
        startup_s: from the start of the process to its readiness.
        grace_s: what it was told; it must have ended so long after a stop signal.
    """

    candidate: Candidate
    process: subprocess.Popen[bytes]
    address: Address
    startup_s: float
    grace_s: float
    _errors: IO[bytes] = field(repr=False)

    @property
    def pids(self) -> tuple[int, ...]:
        """Its process, and all that it has started."""
        return processes_of(self.process.pid)

    def error_output(self) -> str:
        """Return what it has written to standard error so far."""
        return _text_of(self._errors)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, and return the exit code; kill what outlives its grace by far."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, margin_s: float = STOP_MARGIN_S) -> int:
        """Wait for its end and return the exit code; TimeoutError if it outlives its grace by so much, by far if not given."""
        hopeless = STOP in self.candidate.hopeless
        limit_s = HOPELESS_S if hopeless else self.grace_s + margin_s
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running {limit_s:.3g} s after it was to stop") from None


@contextmanager
def launch(  # noqa: PLR0913 - a server has that many options
    candidate: Candidate,
    *,
    host: str = HOST,
    port: int | None = None,
    max_clients: int | None = None,
    idle_timeout_s: float = DEFAULT_IDLE_TIMEOUT_S,
    grace_s: float = DEFAULT_GRACE_S,
    upstream: Address | None = None,
    pool: int = DEFAULT_POOL,
    upstream_timeout_s: float = DEFAULT_UPSTREAM_TIMEOUT_S,
    cores: Sequence[int] = (),
) -> Iterator[Launched]:
    """Run a server for as long as the context lasts, and leave no process behind.

    Args:
        candidate: what to start.
        host: the address to listen at.
        port: to listen on; 0 leaves the choice to the server and relies on its readiness line; None does that for
            servers known to print it, and takes a free one for the others.
        max_clients: None means 1,000, or less for a server that is known to serve fewer.
        idle_timeout_s: 0 means never.
        grace_s: from stop signal to exit.
        upstream: whom it asks; None means that it is no relay.
        pool: how many connections to the upstream it may have.
        upstream_timeout_s: how long a question may take.
        cores: to pin it to.

    Raises:
        LaunchError: it cannot run on its interpreter, or ended, or said nothing and did not listen, within a generous time.
    """
    if candidate.refusal:
        raise LaunchError(f"{candidate.label} cannot run: {candidate.refusal}")
    if max_clients is None:
        max_clients = min(DEFAULT_CLIENTS, candidate.most_clients or DEFAULT_CLIENTS)
    if port is None:
        port = 0 if candidate.announces or not candidate.takes("port") else free_port()
    options = {
        "host": host,
        "port": str(port),
        "max_clients": str(max_clients),
        "idle_timeout": f"{idle_timeout_s:g}",
        "grace": f"{grace_s:g}",
    }
    if upstream is not None:
        options |= {
            "upstream": "{}:{}".format(*upstream),
            "pool": str(pool),
            "upstream_timeout": f"{upstream_timeout_s:g}",
        }
    command = candidate.filled_command(options)
    with tempfile.TemporaryFile() as errors:
        started = time.monotonic()
        process = start(command, errors, cores, candidate.directory)
        try:
            address = _await_readiness(candidate.label, process, port, errors)
            yield Launched(candidate, process, address, time.monotonic() - started, grace_s, errors)
        finally:
            reap(process, 0.0 if STOP in candidate.hopeless else REAP_S)


def start(
    command: Sequence[str], errors: IO[bytes], cores: Sequence[int] = (), directory: Path = PROJECT
) -> subprocess.Popen[bytes]:
    """Start a process, in a group of its own so that Ctrl-C does not reach it; LaunchError if it cannot be run."""
    be_guarded()
    try:
        with pinned(cores):
            process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                process_group=0,
            )
    except OSError as error:
        raise LaunchError(f"cannot run {command[0]}: {error.strerror}") from None
    keep_group(process.pid)
    give_files(process.pid)
    return process


def address_of(candidate: Candidate) -> Address:
    """Return where a server that runs already is reached; LaunchError if it is not, with all that was tried."""
    assert candidate.address is not None  # noqa: S101 - it runs already
    try:
        return reached(candidate.address, CONNECT_LIMIT_S)
    except OSError as error:
        raise LaunchError(f"nothing answers at {candidate.label}: {error.strerror}") from None


def free_port() -> int:
    """Return a port that is free at this moment, of those that Linux gives nobody who asks for any."""
    with bound_by_choice() as bound:
        port: int = bound.getsockname()[1]
        return port


def bound_by_choice() -> socket.socket:
    """Return a socket with such a port, on which no connection lingers either: not every server says SO_REUSEADDR.

    It does not listen. A server that another thread starts meanwhile holds a copy of it until it executes its program, and
    whoever was told the port could not have it for so long.
    """
    while True:
        bound = socket.socket()
        try:
            bound.bind((HOST, randrange(*PORTS_BY_CHOICE)))  # noqa: S311 - no secret
        except OSError:
            bound.close()
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return bound


def _await_readiness(label: str, process: subprocess.Popen[bytes], port: int, errors: IO[bytes]) -> Address:
    """Wait for the readiness line, or, since not every server prints it, for the port to answer."""
    lines: SimpleQueue[bytes] = SimpleQueue()
    waited = Event()
    assert process.stdout  # noqa: S101 - it was started with a pipe
    # Of its own, and without a buffer and its lock: who left the server's group may keep the pipe open for ever.
    output = FileIO(os.dup(process.stdout.fileno()))
    Thread(target=_read_lines, args=(output, lines, waited), daemon=True).start()
    try:
        return _readiness(label, process, port, errors, lines)
    finally:
        waited.set()


def _readiness(
    label: str, process: subprocess.Popen[bytes], port: int, errors: IO[bytes], lines: SimpleQueue[bytes]
) -> Address:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        with suppress(Empty):
            if ready := READY_LINE.fullmatch(lines.get(timeout=PORT_CHECK_S).decode(errors="replace")):
                return _announced(label, ready[1], int(ready[2]))
        if process.poll() is not None:
            said = _text_of(errors).strip().splitlines()
            raise LaunchError(
                f"{label} did not start: exit code {process.returncode}" + (f", {said[-1]}" if said else "")
            )
        if port and lines.empty() and (host := listening_host(port)):
            return host, port
    raise LaunchError(f"{label} was not ready within {START_LIMIT_S:g} s")


def _announced(label: str, host: str, port: int) -> Address:
    """Return where a server says that it listens, which may be a name; a number is believed."""
    try:
        endpoints = endpoints_of((host, port))
        return (host, port) if len(endpoints) == 1 else reached((host, port), CONNECT_LIMIT_S)
    except OSError as error:
        raise LaunchError(f"{label} is not reached at {host}:{port}: {error.strerror}") from None


def _read_lines(output: RawIOBase, lines: SimpleQueue[bytes], waited: Event) -> None:
    """Pass lines on while they are waited for; then only see to it that the server never waits for us."""
    while not waited.is_set() and (line := output.readline(LONGEST_LINE_BYTES)):
        lines.put(line)
    while output.read(LONGEST_LINE_BYTES):
        pass
    output.close()


def _text_of(errors: IO[bytes]) -> str:
    return os.pread(errors.fileno(), 1 << 20, 0).decode(errors="replace")
