"""What all servers share and what has nothing to do with concurrency.

Options, the listener, constants, readiness, signals, and the list of clients to wake when the server stops.
Accepting, waiting, sending, idle clocks and hanging up stand in each implementation: they are its model.
Numbers in brackets are clauses of `PROTOCOL.md`.
"""

import argparse
import errno
import fcntl
import math
import os
import resource
import signal
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from select import PIPE_BUF, select
from threading import Lock, Thread
from time import monotonic
from typing import Final, NamedTuple, NoReturn, Protocol

from implementations.protocol import Connection, Relay

RECEIVE_BYTES: Final = 16 * 1024
"""The most that is taken from a client at once. A chunk of empty lines makes 48 times its size in replies."""

SLICE_BYTES: Final = 16 * 1024
"""Where a library sends all or nothing, replies go out in slices, so that progress can be seen [6.3]."""

SEND_BUFFER_BYTES: Final = 256 * 1024
"""SO_SNDBUF: left to grow by itself, it would hide for long that a slow reader is alive [6.3]."""

UNSENT_BYTES: Final = 16 * 1024
"""TCP_NOTSENT_LOWAT: without it a socket is writable only when a third of its buffer is free, which takes a slow
reader so long that it would seem dead [6.3]. trio sets the same by itself."""

BACKLOG: Final = 1024
RETRY_S: Final = 0.1
"""The pause after the operating system has refused something: it comes back when others give it up [6.7]."""

ONE_CLIENTS_ERRORS: Final = {
    errno.EAGAIN,  # another process was faster, or the client has gone
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EPERM,  # a firewall's rule
    errno.ENETDOWN,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
    errno.ENETUNREACH,
}
"""What accept(2) says of the one connection that it would have returned: nobody else needs to wait [6.9]."""

LINGER_S: Final = 1.0
LINGER_BYTES: Final = 1024 * 1024
DELIVERY_CHECK_S: Final = 0.01

TICKS: Final = 8
"""Where the kernel keeps the time (SO_RCVTIMEO), it wakes a handler so many times in one idle timeout."""

SLACK: Final = 1.2
"""Where a library's timer is dear, it is set this much too late, and moved only when it has become too early."""

DEFAULT_CLIENTS: Final = 1000
DEFAULT_POOL: Final = 100
RESERVED_FILES: Final = 24
"""Standard streams, the listener, an event loop's own; of the 1,024 that select() can watch, 1,000 are left."""

INT_DIGITS_LIMIT: Final = 4300
"""CPython's own limit, the guard for CVE-2020-10735, set here lest an environment changes it [2.4]."""

TCP_CLOSE: Final = 7
"""The kernel's number for a connection that is gone (include/net/tcp_states.h)."""

STOP_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT}
GRACE_USED: Final = 0.8
"""The share of the grace that clients get; the rest is for exiting in time [7.4]."""

SAME_STOP_S: Final = 0.5
"""Shells, `timeout` and supervisors signal a process and then its group: that is one stop, told twice [7.5]."""

STANDARD_OUTPUT: Final = 1
STANDARD_ERROR: Final = 2


class Upstream(NamedTuple):
    """Whom a relay asks [9].

    Attributes:
        family: of its address.
        address: as connect() takes it.
        connections: to it, at most; of a server that calculates by itself, none.
        timeout_s: for an answer, from the question's completion.
        retry_s: after a failed connect, the least time between one try and the next.
    """

    family: int
    address: tuple[object, ...]
    connections: int
    timeout_s: float
    retry_s: float = RETRY_S


NO_UPSTREAM: Final = Upstream(socket.AF_UNSPEC, (), connections=0, timeout_s=0.0)


class Options(NamedTuple):
    """The command line of every server [5.1]; `math.inf` as idle timeout means never."""

    host: str
    port: int
    max_clients: int
    idle_timeout_s: float
    grace_s: float
    verbose: bool
    upstream: Upstream = NO_UPSTREAM


def shares(options: Options, count: int) -> list[Options]:
    """Divide places and connections among so many workers; exit code 2 if one would have no connection to ask over."""
    places, upstream = options.max_clients, options.upstream
    if 0 < upstream.connections < count:
        fail(2, f"--pool {upstream.connections} is less than one connection for each of {count} workers")

    def part(whole: int, number: int) -> int:
        return whole // count + (number < whole % count)

    return [
        options._replace(
            max_clients=part(places, number),
            upstream=upstream._replace(
                connections=part(upstream.connections, number), retry_s=upstream.retry_s * count
            ),
        )
        for number in range(count)
    ]


class HasDescriptor(Protocol):
    """A socket of any library."""

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""


class Server:
    """One server's life: its options, its listener, and the clients being served.

    Attributes:
        options: the command line.
        listener: listens already; blocking, like every new socket.
        stopping: a stop signal has come; every read ends with `b""` once the input that has arrived is read.
    """

    def __init__(self, options: Options, listener: socket.socket) -> None:
        """Take over a listener; nothing is awaited yet."""
        self.options = options
        self.listener = listener
        self.stopping = False
        self._parts: list[Server] = []
        self._clients: set[HasDescriptor] = set()
        self._coming_and_going = Lock()

    @contextmanager
    def serving(self, client: HasDescriptor) -> Iterator[Connection]:
        """Wake this client's handler if the server stops meanwhile, and talk to it over a fresh connection."""
        connection = self._connection(client)
        with self._coming_and_going:
            self._clients.add(client)
        if self.stopping:
            end_input(client)
        try:
            yield connection
        finally:
            with self._coming_and_going:
                self._clients.discard(client)
            if isinstance(connection, LoggedConnection):
                connection.log("left")

    def _connection(self, client: HasDescriptor) -> Connection:
        relays, verbose = self.options.upstream.connections, self.options.verbose
        if not verbose:
            return Relay() if relays else Connection()
        return (LoggedRelay if relays else LoggedConnection)(client.fileno())

    def stop(self) -> None:
        """End every wait for input: accept() fails from now on, and each client's input ends where it is.

        Nobody leaves while its descriptor is in hand here: once that is closed, it may be somebody else's.
        """
        for part in (self, *self._parts):
            part.stopping = True
        end_input(self.listener)
        with self._coming_and_going:
            clients = self._clients.copy()
        for client in clients:
            with self._coming_and_going:
                if client in self._clients:
                    end_input(client)

    def part(self, share: Options) -> "Server":
        """Return the same server with a share of the places, for one of several threads; it stops as the whole does."""
        part = copy(self)
        part.options = share
        self._parts.append(part)
        return part

    def stop_on_signal(self) -> None:
        """Wait for signals in a thread of their own, so that no model has to be interruptible [7]."""
        if not start_thread(self._await_signal):
            fail(1, "cannot start: no thread is to be had")

    def _await_signal(self) -> None:
        signal.sigwait(STOP_SIGNALS)
        self.stop_within_grace()

    def stop_within_grace(self) -> NoReturn:
        """Stop; end the process after the grace, whatever its clients do, or at a later signal, by that signal."""
        told_at = monotonic()
        grace_over = told_at + self.options.grace_s * GRACE_USED
        aside(self.stop)  # against busy threads it may take seconds to get at every client
        while again := signal.sigtimedwait(STOP_SIGNALS, max(0.0, grace_over - monotonic())):
            if monotonic() >= told_at + SAME_STOP_S:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
                signal.raise_signal(again.si_signo)
                os._exit(128 + again.si_signo)  # a container's first process survives its own signals
        os._exit(0)


class LoggedConnection(Connection):
    """A connection under `--verbose`: what the chapter's servers print goes to standard error [5.7]."""

    def __init__(self, descriptor: int) -> None:
        """Log that a client came, by its address if it is still there."""
        super().__init__()
        with borrowed(descriptor) as client:
            try:
                host, port, *_ = client.getpeername()
                self._name = f"{host} {port}"
            except OSError:
                self._name = "a client that is gone"
        self.log("came")

    def answer(self, line: bytes) -> bytes:
        """Log the line, then answer it."""
        self.log(f"sent {line!r}")
        return super().answer(line)

    def log(self, event: str) -> None:
        """Write one line."""
        say(f"{self._name} {event}")


class LoggedRelay(LoggedConnection, Relay):
    """The same, of a relay."""


def start_thread(work: Callable[..., object], *arguments: object) -> bool:
    """Start a thread; tell whether the operating system has let us."""
    try:
        Thread(target=work, args=arguments, daemon=True).start()
    except (RuntimeError, MemoryError):
        return False
    return True


def aside(work: Callable[[], object]) -> None:
    """Do something in a thread of its own, or here and now if none is to be had."""
    if not start_thread(work):
        work()


def pause_after(error: Exception) -> float:
    """Return how long accepting has to pause: not at all for one connection's error, a moment where resources are short."""
    return 0.0 if isinstance(error, OSError) and error.errno in ONE_CLIENTS_ERRORS else RETRY_S


@contextmanager
def borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Act on a descriptor that some library's socket owns, past that library (gevent's shutdown() would raise)."""
    client = socket.socket(fileno=descriptor)
    try:
        yield client
    finally:
        client.detach()


def end_input(client: HasDescriptor) -> None:
    """Make reads return what has arrived, and then `b""`; for a listener, make accept() fail."""
    descriptor = client.fileno()
    if descriptor >= 0:
        with suppress(OSError), borrowed(descriptor) as borrowed_client:
            borrowed_client.shutdown(socket.SHUT_RD)


def undelivered_bytes(client: HasDescriptor) -> int:
    """Count what the peer's kernel has not yet acknowledged; 0 if it never will, since the connection is gone.

    After stop(), a client that sends one more byte past our SHUT_WR makes Linux answer with RST, which destroys
    replies on their way: so hanging up then waits for this to become 0, for as long as the grace lasts.
    """
    descriptor = client.fileno()
    if descriptor < 0:
        return 0
    with borrowed(descriptor) as borrowed_client:
        state = borrowed_client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    if state == TCP_CLOSE:
        return 0
    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
    return int(count)


def wake_on_silence(client: socket.socket, idle_timeout_s: float) -> None:
    """Let blocking calls raise BlockingIOError after a fraction of the idle timeout: cheaper than a poll before each."""
    tick_s = 0.0 if idle_timeout_s == math.inf else idle_timeout_s / TICKS
    wake_after(client, socket.SO_RCVTIMEO, tick_s)
    wake_after(client, socket.SO_SNDTIMEO, tick_s)


def wake_after(connection: socket.socket, clock: int, seconds: float) -> None:
    """Set one of the kernel's clocks, SO_RCVTIMEO or SO_SNDTIMEO; 0 means never."""
    timeval = struct.pack("ll", *divmod(math.ceil(seconds * 1e6), 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, clock, timeval)


class Parser(argparse.ArgumentParser):
    """A command line of which bad usage ends in one line."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 [5.4]."""
        fail(2, message)

    def print_help(self, file: object = None) -> None:  # noqa: ARG002 - argparse gives none
        """Write the help, or end with exit code 1."""
        write_out(self.format_help())


def run(
    serve: Callable[[Server], None],
    *,
    most_clients: int | None = None,
    most_files: int | None = None,
    own_options: Parser | None = None,
    prepare: Callable[[Server], None] = Server.stop_on_signal,
) -> None:
    """Be a server process, from the command line to exit [5].

    Args:
        serve: accepts and serves clients until the server stops and the last client has gone.
        most_clients: how many the model can serve at once, where that is less than memory allows.
        most_files: how many open files the model can watch, where that is less than the kernel allows.
        own_options: that only this model has, and reads itself.
        prepare: what has to be there before the server is ready; whoever does this in another way sees to it that
            stop signals, which are blocked by then, are waited for.
    """
    fill_standard_streams()
    options = parse_options(sys.argv[1:], most_clients, most_files, own_options)
    sys.set_int_max_str_digits(INT_DIGITS_LIMIT)
    server = Server(options, open_listener(options.host, options.port))
    if server.listener.getsockname() == options.upstream.address:
        fail(2, "--upstream is this server itself")
    block_stop_signals()
    prepare(server)
    host, port, *_ = server.listener.getsockname()
    write_out(f"Server up, running, and waiting for call on {host} {port}\n")
    try:
        serve(server)
    except (OSError, MemoryError) as error:  # of what only this model needs, like an event loop's descriptors
        fail(1, f"cannot serve: {error}")


def fill_standard_streams() -> None:
    """Open the null device where a standard stream is closed, lest a client's socket gets its number [5.8]."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one


def block_stop_signals() -> None:
    """Keep stop signals for whoever waits for them.

    They are blocked in this thread, hence in all that it starts: none can be lost between a check and a system call.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def parse_options(
    arguments: list[str],
    most_clients: int | None,
    most_files: int | None,
    own_options: Parser | None = None,
) -> Options:
    """Read the command line; bad usage ends the process with exit code 2 and one line."""
    parser = Parser(allow_abbrev=False, parents=[own_options] if own_options else [])
    parser.add_argument("--host", default="127.0.0.1", help="name or address, IPv6 as well (%(default)s)")
    parser.add_argument("--port", type=_port, default=8080, help="0 takes a free one (%(default)s)")
    parser.add_argument(
        "--max-clients",
        type=_at_least_one,
        help=f"the rest wait ({most_clients or DEFAULT_CLIENTS}, or what fits beside the pool)",
    )
    parser.add_argument(
        "--idle-timeout", type=_seconds, default=300.0, help="seconds; 0: never (%(default)g)"
    )
    parser.add_argument(
        "--grace", type=_seconds, default=5.0, help="seconds from SIGTERM to exit (%(default)g)"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="log clients and their lines to standard error"
    )
    parser.add_argument(
        "--upstream", type=_address, metavar="HOST:PORT", help="ask this calculator, and pass its answers on"
    )
    parser.add_argument(
        "--pool",
        type=_at_least_one,
        help=f"connections to it, at most ({DEFAULT_POOL}, or as many as the descriptors leave)",
    )
    parser.add_argument(
        "--upstream-timeout", type=_patience, default=10.0, help="seconds for its answer (%(default)g)"
    )
    given = parser.parse_args(arguments)
    if given.pool and not given.upstream:
        parser.error("--pool is of connections to an upstream: it needs --upstream")
    if most_clients is not None and (given.max_clients or 1) > most_clients:
        parser.error(
            f"--max-clients {given.max_clients} is more than this model can serve at once: {most_clients}"
        )
    clients, pool = given.max_clients or most_clients or DEFAULT_CLIENTS, 0
    if given.upstream:
        clients, pool = beside_each_other(given.max_clients, given.pool, clients, files_for(most_files)[0])
    allow_files(clients, pool, most_files)
    host, port = given.upstream or ("", 0)
    upstream = resolved(host, port, pool, given.upstream_timeout) if given.upstream else NO_UPSTREAM
    idle_timeout_s = given.idle_timeout or math.inf
    return Options(given.host, given.port, clients, idle_timeout_s, given.grace, given.verbose, upstream)


def beside_each_other(
    given_clients: int | None, given_pool: int | None, clients: int, files: int
) -> tuple[int, int]:
    """Return how many clients and connections of the pool there may be, where so many files are left for both.

    What is given stays as it is; what is not gives way.
    """
    pool = given_pool or max(1, min(DEFAULT_POOL, files - given_clients if given_clients else files // 2))
    return given_clients or max(1, min(clients, files - pool)), pool


def files_for(most_files: int | None) -> tuple[int, str]:
    """Return how many open files clients and pool may have, and whose limit that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files is None or hard <= most_files:
        return hard - RESERVED_FILES, "the hard limit"
    return most_files - RESERVED_FILES, "this model's limit"


def allow_files(clients: int, pool: int, most_files: int | None) -> None:
    """Raise the soft limit of open files to what clients and pool need, or end with exit code 2 [6.1].

    Where the model cannot watch every descriptor, the limit is lowered to what it can: the kernel then refuses a
    client that the model could not take.
    """
    files, whose = files_for(most_files)
    if clients + pool > files:
        beside = f" and a pool of {pool} need" if pool else " needs"
        fail(
            2,
            f"--max-clients {clients}{beside} {clients + pool + RESERVED_FILES} open files, "
            f"and {whose} is {files + RESERVED_FILES}",
        )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = clients + pool + RESERVED_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, needed), files + RESERVED_FILES), hard))


def resolved(host: str, port: int, connections: int, timeout_s: float) -> Upstream:
    """Look up the upstream's name, once; exit code 1 and one line if it has no address [9.10]."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        fail(1, f"cannot find the upstream {host}: {_reason(error)}")
    return Upstream(family, address, connections, timeout_s)


def open_listener(host: str, port: int) -> socket.socket:
    """Listen, with the options that accepted sockets inherit; exit code 1 and one line if that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)  # urgent data is data [2.3]
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        listener.bind(address)
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        fail(1, f"cannot listen on {host} {port}: {_reason(error)}")
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "not a valid host name"


def fail(code: int, reason: str) -> NoReturn:
    """End the process with one clear line."""
    say(reason)
    sys.exit(code)


def say(line: str) -> None:
    """Write a line to standard error, or lose it: what cannot be written, or not now, holds nobody up [5.7].

    It is one write, so that threads cannot mix theirs, and past Python's buffer, which would try again at the exit.
    A pipe that takes anything takes PIPE_BUF bytes at once.
    """
    encoded = line.encode(errors="backslashreplace")[: PIPE_BUF - 1] + b"\n"
    with suppress(OSError):
        _, writable, _ = select((), (STANDARD_ERROR,), (), 0)
        if writable:
            os.write(STANDARD_ERROR, encoded)


def write_out(text: str) -> None:
    """Write to standard output; exit code 1 and one line if that cannot be [5.2]."""
    unwritten = text.encode()
    try:
        while unwritten:
            unwritten = unwritten[os.write(STANDARD_OUTPUT, unwritten) :]
    except OSError as error:
        fail(1, f"cannot write to standard output: {error.strerror}")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number") from None


def _port(text: str) -> int:
    port = _whole_number(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{port} is not between 0 and 65535")
    return port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _at_least_one(text: str) -> int:
    count = _whole_number(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1,000,000 seconds")
    return seconds


def _patience(text: str) -> float:
    seconds = _seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError("no answer comes in no time")
    return seconds
