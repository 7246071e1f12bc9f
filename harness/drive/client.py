"""One client of the load generator: what it says, what must be answered, and the times of each request."""

import math
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from harness.drive.journal import ROW, Journal
from harness.drive.script import Script
from harness.machine.connections import Endpoint
from harness.oracle import GREETING

clock = time.monotonic_ns
IP_BIND_ADDRESS_NO_PORT: Final = 24
"""From <linux/in.h>: bound to an address, the port is chosen as it connects, so that others may have the same one."""
CONNECT_LIMIT_S: Final = 10.0


class ClientFailure(Exception):  # noqa: N818 - it is a finding
    """A client cannot go on.

    Attributes:
        kind: how its requests in flight are counted: "wrong", "error" or "timeout".
        sent: how many requests the step that failed had added to these.
    """

    def __init__(self, kind: str, reason: str, sent: int = 0) -> None:
        """Take what is said above, and the reason in words."""
        super().__init__(reason)
        self.kind = kind
        self.sent = sent


class Client:
    """One connection: where it is in the script, what it has in flight, and what of it is still unsent.

    Attributes:
        number: among the clients.
        socket: connected, non-blocking, its greeting received.
        unsent: what the kernel has not taken yet.
    """

    __slots__ = (
        "_at",
        "_full_asks",
        "_next",
        "_receive",
        "_receive_bytes",
        "_runs",
        "_script",
        "_send",
        "_whole",
        "_write",
        "number",
        "socket",
        "unsent",
    )

    def __init__(self, number: int, connected: socket.socket, script: Script, journal: Journal) -> None:
        """Begin at one of the script's lines, which depends on the number."""
        self.number = number
        self.socket = connected
        self.unsent = b""
        self._receive = connected.recv
        self._send = connected.send
        self._write = journal.write
        self._script = script
        self._full_asks = script.full_asks
        self._receive_bytes = script.receive_bytes
        self._next = number % script.cycle
        self._at = self._next * script.reply_bytes
        self._runs: list[tuple[int, int, int, int]] = []  # in flight: intended, ready, sent, how many
        self._whole: bytes | None = (
            None  # the replies to all that is in flight, if all of it was sent at once
        )

    def ask(self, count: int, intended_ns: int, ready_ns: int) -> int:
        """Send the next requests of the script, all at once; what the kernel does not take waits for `resume`.

        Returns:
            How many they are, once more.
        """
        script, first = self._script, self._next
        ask = self._full_asks[first] if count == script.pipeline else script.ask(first, count)
        request, replies, at, self._next = ask
        if self._runs:
            self._whole = None
        else:
            self._whole, self._at = replies, at
        self._runs.append((intended_ns, ready_ns, clock(), count))
        self._hand_over(request, count)
        return count

    def turn(self) -> int:
        """Hear, and ask as many again as were answered: a closed loop's step.

        Returns:
            How many they are.
        """
        try:
            data = self._receive(self._receive_bytes)
        except OSError as error:
            raise _receiving(error) from None
        heard_ns = clock()
        if data == self._whole:
            # Nearly always, so it is kept cheap: all that was in flight is answered at once.
            runs = self._runs
            intended_ns, ready_ns, sent_ns, count = runs[0]
            self._write(ROW.pack(intended_ns, ready_ns, sent_ns, heard_ns, count, self.number))
            request, self._whole, self._at, self._next = self._full_asks[self._next]
            runs[0] = heard_ns, heard_ns, clock(), count
            try:
                sent = self._send(request)
            except OSError:
                sent = 0
            if sent != len(request):
                self._hand_over(request[sent:], count)
            return count
        answered = self._compare(data, heard_ns)
        return self.ask(answered, heard_ns, heard_ns) if answered else 0

    def hear(self) -> tuple[int, int]:
        """Take what has arrived, compare it, and record the requests that it answers.

        Returns:
            How many they are, and when it was received.
        """
        try:
            data = self._receive(self._receive_bytes)
        except OSError as error:
            raise _receiving(error) from None
        heard_ns = clock()
        if data == self._whole:
            intended_ns, ready_ns, sent_ns, count = self._runs.pop()
            self._write(ROW.pack(intended_ns, ready_ns, sent_ns, heard_ns, count, self.number))
            self._whole, self._at = None, self._next * self._script.reply_bytes
            return count, heard_ns
        return self._compare(data, heard_ns), heard_ns

    def resume(self) -> None:
        """Send what the kernel did not take before."""
        try:
            self.unsent = self.unsent[self._send(self.unsent) :]
        except OSError as error:
            raise ClientFailure("error", f"sending: {error.strerror}") from None

    @property
    def in_flight(self) -> int:
        """Count the requests that were sent and not answered."""
        return sum(run[3] for run in self._runs)

    @property
    def oldest_sent_ns(self) -> float:
        """Return when the oldest request in flight was sent; infinity if none is."""
        return self._runs[0][2] if self._runs else math.inf

    def _hand_over(self, request: bytes, count: int) -> None:
        if self.unsent:
            self.unsent += request
            return
        try:
            self.unsent = request[self._send(request) :]
        except BlockingIOError:
            self.unsent = request
        except OSError as error:
            raise ClientFailure("error", f"sending: {error.strerror}", sent=count) from None
        if self.unsent:
            self._whole = None  # whatever is answered now, it is not all

    def _compare(self, data: bytes, heard_ns: int) -> int:
        """Match what was received with what is in flight; return how many requests it completes."""
        script = self._script
        at, end = self._at, self._at + len(data)
        if not data:
            raise ClientFailure("error", "the server closed the connection")
        if data != script.replies[at:end]:
            expected = script.replies[at:end]
            raise ClientFailure("wrong", f"received {data[:80]!r}, expected {expected[:80]!r}")
        completed = end // script.reply_bytes - at // script.reply_bytes
        self._at = end % script.cycle_bytes
        self._whole = None
        to_match = completed
        while to_match:
            if not self._runs:
                raise ClientFailure("wrong", "a reply came to a request that was not sent")
            intended_ns, ready_ns, sent_ns, count = self._runs.pop(0)
            if count > to_match:
                self._runs.insert(0, (intended_ns, ready_ns, sent_ns, count - to_match))
                count = to_match
            self._write(ROW.pack(intended_ns, ready_ns, sent_ns, heard_ns, count, self.number))
            to_match -= count
        return completed


class Visitor(Client):
    """A client that comes for one request: it connects, is greeted, asks, and is answered.

    Its row says when the connection was intended and, as `sent`, when the greeting had come and the request was sent.
    """

    __slots__ = ("_intended_ns", "_ungreeted")

    def __init__(  # noqa: PLR0913 - who it is, and what it does
        self,
        family: socket.AddressFamily,
        place: int,
        number: int,
        intended_ns: int,
        script: Script,
        journal: Journal,
    ) -> None:
        """Do nothing yet.

        Args:
            family: of the server's address.
            place: among those that are there at a time.
            number: among all; it decides on the request.
            intended_ns: when it is to connect.
            script: what is asked.
            journal: where its row goes.
        """
        super().__init__(place, socket.socket(family), script, journal)
        self.socket.setblocking(False)
        self._next = number % script.cycle
        self._intended_ns = intended_ns
        self._ungreeted = GREETING

    def connect(self, endpoint: Endpoint, source: str | None) -> None:
        """Begin to connect, from an address of one's own if one is given."""
        try:
            if source is not None:
                self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                self.socket.bind((source, 0))
            self.socket.connect(endpoint.address)
        except BlockingIOError:
            pass
        except OSError as error:
            raise ClientFailure("error", f"connecting: {error.strerror}") from None

    def hear(self) -> tuple[int, int]:
        """Take what has arrived; ask when the greeting is complete.

        Returns:
            1 if the request is answered, else 0; and when that was received.
        """
        if not self._ungreeted:
            return super().hear()
        try:
            data = self._receive(len(self._ungreeted))
        except OSError as error:
            raise _receiving(error) from None
        if not data:
            raise ClientFailure("error", "the server closed the connection before its greeting")
        if not self._ungreeted.startswith(data):
            raise ClientFailure("wrong", f"it was greeted with {data!r}")
        self._ungreeted = self._ungreeted.removeprefix(data)
        if not self._ungreeted:
            try:
                self.ask(1, self._intended_ns, self._intended_ns)
            except ClientFailure as failure:
                raise ClientFailure(
                    failure.kind, str(failure)
                ) from None  # it has been counted as sent before
        return 0, clock()

    @property
    def in_flight(self) -> int:
        """Count the request from when it was intended."""
        return 1 if self._ungreeted else super().in_flight

    @property
    def oldest_sent_ns(self) -> float:
        """Return when it was intended."""
        return self._intended_ns


def _receiving(error: OSError) -> ClientFailure:
    return ClientFailure("error", f"receiving: {error.strerror}")


class ConnectError(Exception):
    """A client cannot connect, or was not greeted."""


def connected(
    host: str, port: int, await_input: Callable[[socket.socket], None] = lambda _: None
) -> socket.socket:
    """Return a non-blocking socket whose greeting has been received.

    Args:
        host: of the server.
        port: likewise.
        await_input: called before each receive, for whoever has something else to do until there is something.
    """
    connection = socket.create_connection((host, port), CONNECT_LIMIT_S)
    with ExitStack() as undoing:
        undoing.callback(connection.close)
        greeting = b""
        while greeting != GREETING:
            await_input(connection)
            data = connection.recv(len(GREETING) - len(greeting))
            greeting += data
            if not (data and GREETING.startswith(greeting)):
                raise ConnectError(f"it was greeted with {greeting!r}")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        undoing.pop_all()
    return connection
