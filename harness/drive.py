"""The load generator: a closed loop of N clients, each with D requests in flight, in a process of its own.

Raw non-blocking sockets and epoll; every reply is compared with the oracle's bytes; for every request the times at
which it could be sent, was sent and was answered are kept, in preallocated arrays. It computes no percentile.

Run as `python -m harness.drive`. It reads an `Order` as one line of JSON from standard input, connects its clients,
writes `{"event": "connected"}` and waits for a line, so that the idle server can be looked at; then it works, writing
progress; then it writes an `Outcome` and waits for another line, so that the server's threads can be looked at before
their clients leave. The times go to the file that the order names.
"""

import gc
import json
import math
import resource
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from select import EPOLLIN, EPOLLOUT, epoll
from typing import Any, Final

from harness.conformance.oracle import oracle

GREETING: Final = oracle(b"")
CONNECT_LIMIT_S: Final = 10.0
POLL_S: Final = 0.05
TICK_NS: Final = 250_000_000
EXPECTED_RATE: Final = 400_000
LONGEST_PREALLOCATION_S: Final = 10.0
CYCLE: Final = 61

clock = time.monotonic_ns


@dataclass(frozen=True)
class Order:
    """What to do.

    Attributes:
        host, port: of the server.
        clients: how many connections.
        pipeline: how many requests each keeps in flight.
        warmup_s, duration_s: the time before, and that of, the measuring window.
        timeout_s: how long to wait for a reply; what is in flight at the end gets as long.
        times_file: where the times go.
        line: what every request is; None for lists of three integers, all different.
        server_pids: the server's processes, whose CPU clocks are read as the window begins and ends.
    """

    host: str
    port: int
    clients: int
    pipeline: int
    warmup_s: float
    duration_s: float
    timeout_s: float
    times_file: str
    line: str | None = None
    server_pids: Sequence[int] = ()


@dataclass(frozen=True)
class Reading:
    """The clocks at one edge of the measuring window, in ns."""

    at_ns: int
    server_cpu_ns: int
    generator_cpu_ns: int


@dataclass(frozen=True)
class Outcome:
    """What came of an order; `sent = ok + wrong + error + timeout + in_flight`, warm-up included.

    Attributes:
        started_ns: the first request could be sent.
        begin, end: the edges of the measuring window.
        records: how many runs of requests the times file has.
        fault: the first thing that went wrong, in words; empty if nothing did.
    """

    sent: int
    ok: int
    wrong: int
    error: int
    timeout: int
    in_flight: int
    started_ns: int
    begin: Reading
    end: Reading
    records: int
    fault: str


class Script:
    """What the clients say, over and over, and what must be answered: lines and replies of one length each."""

    def __init__(self, line: str | None, pipeline: int) -> None:
        """Work out the replies beforehand.

        Args:
            line: what every request is; None for a cycle of lists, at which each client begins at another place, so
                that a reply that went to the wrong client, was lost or came twice is noticed.
            pipeline: how many requests are sent at once at most.
        """
        if line is None:
            # Three numbers of three digits whose sum has four: all lines, and all replies, are of one length.
            lines = [b"%d,%d,%d\n" % (334 + 7 * n, 998 - 5 * n, 350 + 10 * n) for n in range(CYCLE)]
        else:
            lines = [line.encode() + b"\n"]
        replies = [oracle(text).removeprefix(GREETING) for text in lines]
        self.request_bytes = len(lines[0])
        self.reply_bytes = len(replies[0])
        self.cycle = len(lines)
        self.cycle_bytes = self.cycle * self.reply_bytes
        self.receive_bytes = max(1024, pipeline * self.reply_bytes + 1)
        enough_requests = math.ceil(1 + pipeline / self.cycle)
        enough_replies = math.ceil(1 + self.receive_bytes / self.cycle_bytes)
        self.requests = b"".join(lines) * enough_requests
        self.replies = b"".join(replies) * enough_replies


class Times:
    """For each run of requests that were sent together and answered together: three times, and how many they are.

    The columns are ready_ns, sent_ns, received_ns, count, preallocated and touched, so that no page fault and no
    reallocation falls into the measurement, unless it is unusually long.
    """

    def __init__(self, capacity: int) -> None:
        """Allocate room for so many runs."""
        self.columns = tuple(array("q", bytes(8 * capacity)) for _ in range(4))
        self.used = 0

    def add(self, ready_ns: int, sent_ns: int, received_ns: int, count: int) -> None:
        """Record one run."""
        used = self.used
        ready, sent, received, counts = self.columns
        if used == len(ready):
            for column in self.columns:
                column.frombytes(bytes(8 * used))
        ready[used] = ready_ns
        sent[used] = sent_ns
        received[used] = received_ns
        counts[used] = count
        self.used = used + 1

    def save(self, path: str) -> None:
        """Write the columns one after the other."""
        with Path(path).open("wb") as file:
            file.writelines(memoryview(column)[: self.used] for column in self.columns)


class Failure(Exception):  # noqa: N818 - it is a finding
    """A client cannot go on: `kind` says how its requests in flight are counted."""

    def __init__(self, kind: str, reason: str) -> None:
        """Take "wrong", "error" or "timeout", and the reason in words."""
        super().__init__(reason)
        self.kind = kind


class Client:
    """One connection: where it is in the script, what it has in flight, and what of it is still unsent."""

    __slots__ = (
        "_at",
        "_in_flight",
        "_next_request",
        "_receive",
        "_script",
        "_send",
        "_times",
        "socket",
        "unsent",
    )

    def __init__(self, connected: socket.socket, start: int, script: Script, times: Times) -> None:
        """Begin at one of the script's lines."""
        self.socket = connected
        self._receive = connected.recv
        self._send = connected.send
        self._script = script
        self._times = times
        self._next_request = start
        self._at = start * script.reply_bytes
        self._in_flight: deque[tuple[int, int, int]] = deque()  # (ready_ns, sent_ns, how many)
        self.unsent = b""

    def ask(self, count: int, ready_ns: int) -> None:
        """Send the next requests of the script, all at once; what the kernel does not take waits for `resume`."""
        script = self._script
        first = self._next_request
        self._next_request = (first + count) % script.cycle
        request = script.requests[first * script.request_bytes : (first + count) * script.request_bytes]
        self._in_flight.append((ready_ns, clock(), count))
        if self.unsent:
            self.unsent += request
            return
        try:
            sent = self._send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Failure("error", f"sending: {error.strerror}") from None
        if sent < len(request):
            self.unsent = request[sent:]

    def hear(self) -> tuple[int, int]:
        """Take what has arrived, compare it, and record the requests that it answers.

        Returns:
            How many they are, and when it was received.
        """
        script = self._script
        try:
            data = self._receive(script.receive_bytes)
        except OSError as error:
            raise Failure("error", f"receiving: {error.strerror}") from None
        now = clock()
        at = self._at
        end = at + len(data)
        if data != script.replies[at:end] or not data:
            raise self._mismatch(data)
        completed = end // script.reply_bytes - at // script.reply_bytes
        self._at = end % script.cycle_bytes
        to_match = completed
        while to_match:
            if not self._in_flight:
                raise Failure("wrong", "a reply came to a request that was not sent")
            ready_ns, sent_ns, count = self._in_flight.popleft()
            if count > to_match:
                self._in_flight.appendleft((ready_ns, sent_ns, count - to_match))
                count = to_match
            self._times.add(ready_ns, sent_ns, now, count)
            to_match -= count
        return completed, now

    def resume(self) -> None:
        """Send what the kernel did not take before."""
        try:
            self.unsent = self.unsent[self._send(self.unsent) :]
        except OSError as error:
            raise Failure("error", f"sending: {error.strerror}") from None

    @property
    def in_flight(self) -> int:
        """Count the requests that were sent and not answered."""
        return sum(count for _, _, count in self._in_flight)

    @property
    def oldest_sent_ns(self) -> float:
        """Return when the oldest request in flight was sent; infinity if none is."""
        return self._in_flight[0][1] if self._in_flight else math.inf

    def _mismatch(self, data: bytes) -> Failure:
        if not data:
            return Failure("error", "the server closed the connection")
        expected = self._script.replies[self._at : self._at + len(data)]
        return Failure("wrong", f"received {data[:80]!r}, expected {expected[:80]!r}")


class Generator:
    """A closed loop over connected clients."""

    def __init__(self, order: Order) -> None:
        """Prepare all that can be prepared."""
        self.order = order
        self.script = Script(order.line, order.pipeline)
        total_s = min(order.warmup_s + order.duration_s, LONGEST_PREALLOCATION_S)
        self.times = Times(int(total_s * EXPECTED_RATE) + order.clients * order.pipeline)
        self.poller = epoll()
        self.clients: dict[int, Client] = {}
        self.sent = 0
        self.lost = {"wrong": 0, "error": 0, "timeout": 0}
        self.fault = ""
        self._progress: Callable[[], None] = lambda: None

    def connect(self) -> None:
        """Connect all clients and take their greetings; OSError or ValueError says why that failed."""
        for number in range(self.order.clients):
            connected = socket.create_connection((self.order.host, self.order.port), CONNECT_LIMIT_S)
            greeting = connected.recv(len(GREETING), socket.MSG_WAITALL)
            if greeting != GREETING:
                connected.close()
                raise ValueError(f"client {number + 1} was greeted with {greeting!r}")
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setblocking(False)
            client = Client(connected, number % self.script.cycle, self.script, self.times)
            self.clients[connected.fileno()] = client
            self.poller.register(connected, EPOLLIN)

    def run(self, progress: Callable[[int, int], None]) -> Outcome:
        """Work through warm-up and window, then wait for what is in flight.

        Args:
            progress: called four times a second with the time since the start in ns and the requests sent.
        """
        started_ns = clock()
        self._progress = lambda: progress(clock() - started_ns, self.sent)
        for descriptor in list(self.clients):
            self._ask(descriptor, self.order.pipeline, clock())
        self._work_until(started_ns + int(self.order.warmup_s * 1e9))
        begin = self._read_clocks()
        self._work_until(begin.at_ns + int(self.order.duration_s * 1e9))
        end = self._read_clocks()
        self._await_replies()
        return Outcome(
            sent=self.sent,
            ok=sum(self.times.columns[3][: self.times.used]),
            **self.lost,
            in_flight=sum(client.in_flight for client in self.clients.values()),
            started_ns=started_ns,
            begin=begin,
            end=end,
            records=self.times.used,
            fault=self.fault,
        )

    def _work_until(self, end_ns: int) -> None:
        """Ask again whoever has answered."""
        clients, poll = self.clients, self.poller.poll
        next_tick_ns = clock() + TICK_NS
        while (now := clock()) < end_ns and clients:
            for descriptor, event in poll(POLL_S):
                client = clients[descriptor]
                try:
                    if event & EPOLLOUT:
                        self._resume(descriptor)
                    if event & ~EPOLLOUT:
                        answered, heard_ns = client.hear()
                        if answered:
                            client.ask(answered, heard_ns)
                            self.sent += answered
                            if client.unsent:
                                self.poller.modify(descriptor, EPOLLIN | EPOLLOUT)
                except Failure as failure:
                    self._lose(descriptor, failure)
            if now > next_tick_ns:
                next_tick_ns = now + TICK_NS
                self._lose_overdue(now)
                self._progress()

    def _await_replies(self) -> None:
        """Listen, and ask no more, until all is answered or overdue."""
        limit_ns = clock() + int(self.order.timeout_s * 1e9)
        while clock() < limit_ns and any(client.in_flight for client in self.clients.values()):
            for descriptor, event in self.poller.poll(POLL_S):
                try:
                    if event & EPOLLOUT:
                        self._resume(descriptor)
                    if event & ~EPOLLOUT:
                        self.clients[descriptor].hear()
                except Failure as failure:
                    self._lose(descriptor, failure)

    def _ask(self, descriptor: int, count: int, ready_ns: int) -> None:
        try:
            self.clients[descriptor].ask(count, ready_ns)
        except Failure as failure:
            self._lose(descriptor, failure)
        else:
            self.sent += count

    def _resume(self, descriptor: int) -> None:
        client = self.clients[descriptor]
        client.resume()
        if not client.unsent:
            self.poller.modify(descriptor, EPOLLIN)

    def _lose(self, descriptor: int, failure: Failure) -> None:
        """Give up a client: one request for each failure, and what else was in flight with it as an error."""
        client = self.clients.pop(descriptor)
        self.poller.unregister(descriptor)
        in_flight = client.in_flight
        self.lost[failure.kind] += min(1, in_flight)
        self.lost["error"] += max(0, in_flight - 1)
        self.fault = self.fault or str(failure)
        client.socket.close()

    def _lose_overdue(self, now_ns: int) -> None:
        limit_ns = now_ns - int(self.order.timeout_s * 1e9)
        for descriptor, client in list(self.clients.items()):
            if client.oldest_sent_ns < limit_ns:
                self._lose(descriptor, Failure("timeout", f"no reply within {self.order.timeout_s:g} s"))

    def _read_clocks(self) -> Reading:
        server_cpu_ns = 0
        for pid in self.order.server_pids:
            with suppress(OSError):  # it died: the requests tell
                server_cpu_ns += time.clock_gettime_ns(~pid << 3 | 2)  # its CPU clock: all threads, in ns
        return Reading(clock(), server_cpu_ns, time.process_time_ns())


def main() -> None:
    """Take an order from standard input, carry it out, and tell the outcome."""
    given: dict[str, Any] = json.loads(sys.stdin.readline())
    order = Order(**given)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    generator = Generator(order)
    started = time.monotonic()
    try:
        generator.connect()
    except (OSError, ValueError) as error:
        tell(
            "failed", reason=f"client {len(generator.clients) + 1} of {order.clients} cannot connect: {error}"
        )
        return
    tell("connected", connect_s=time.monotonic() - started)
    sys.stdin.readline()
    gc.collect()
    gc.freeze()
    gc.disable()
    outcome = generator.run(lambda elapsed_ns, sent: tell("progress", elapsed_s=elapsed_ns / 1e9, sent=sent))
    generator.times.save(order.times_file)
    tell("done", outcome=asdict(outcome))
    sys.stdin.readline()


def tell(event: str, **details: object) -> None:
    """Write one event."""
    print(json.dumps({"event": event} | details), flush=True)


if __name__ == "__main__":
    main()
