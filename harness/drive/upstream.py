"""An upstream: a calculator that lets each list wait for its answer as long as it is told, and is itself no limit.

It has no process of its own: it shares the loop, and the clock, of whoever loads a relay with it, or is run by
`harness.drive.upstream_server`. A connection asks one thing at a time, as those of databases do.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from select import EPOLLIN, epoll, select
from types import MappingProxyType
from typing import Final

from harness.drive.journal import QUESTION, Journal
from harness.drive.loops.loop import POLL_S, Event
from harness.drive.questions import NOBODY, Questions
from harness.machine.connections import IPV4_LOOPBACK, Address, endpoint_of
from harness.oracle import GREETING, replies

BACKLOG: Final = 4096
RECEIVE_BYTES: Final = 16_384
LONGEST_BYTES: Final = 65_536
"""Whoever sends more without the end of a line is let go."""
QUIT: Final = b"connection closed\r\n"
SWITCHED: Final = b"<switching"
NOT_UNDERSTOOD: Final = b"ERROR"
Known = Mapping[bytes, tuple[int, bytes]]
"""Lines that are expected: whose each of them is, and its answer."""
ANSWERS, EVENTS = 16, 4
"""So many answers that are due, and so many events, at a time: who is on time first, and neither waits long for the other."""
LAST_STRETCH_NS: Final = 1_000_000
"""What is shorter is not slept through: who sleeps wakes up late, by a part of the wait that counts."""
SHARED_STRETCH_NS: Final = 100_000
"""The same where others need the core."""
clock = time.monotonic_ns


class UpstreamConnection:
    """One connection of a server that asks: what it has sent and has not been answered yet."""

    __slots__ = ("busy", "ended", "mode", "number", "socket", "unread")

    def __init__(self, number: int, connected: socket.socket) -> None:
        """Begin with nothing asked."""
        self.number = number
        self.socket = connected
        self.unread = b""
        self.mode = b""
        self.busy = False
        self.ended = False


class Upstream:
    """Listens, greets, and answers each question when it is due. Whoever owns the poller lets it work.

    Attributes:
        questions: that are under way.
        log: where a row is kept of each that was answered; None if nobody wants to know.
        address: where it listens.
        spun_ns: how long it has waited busily.
    """

    def __init__(
        self, poller: epoll, questions: Questions, address: Address = (IPV4_LOOPBACK, 0), known: Known = MappingProxyType({})
    ) -> None:  # fmt: skip
        """Listen.

        Args:
            poller: where its sockets are watched.
            questions: none yet.
            address: of a port of one's own, if that is not 0.
            known: lines that are expected.
        """
        self.questions = questions
        self.known = known
        self.log: Journal | None = None
        self.spun_ns = 0
        self._poller = poller
        endpoint = endpoint_of(address)
        self._listener = socket.create_server(endpoint.address, family=endpoint.family, backlog=BACKLOG)
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        poller.register(self._listener, EPOLLIN)
        host, port, *_ = self._listener.getsockname()
        self.address: Address = host, port
        self._askers: dict[int, UpstreamConnection] = {}
        self._by_descriptor: dict[int, UpstreamConnection] = {}
        self._connections = 0

    def await_events(self, until_ns: float, stretch_ns: int = SHARED_STRETCH_NS) -> Sequence[Event]:
        """Answer what is due; then wait for events of the poller, but not beyond the next answer, nor beyond a time.

        Args:
            until_ns: that time.
            stretch_ns: so long before it is waited busily.
        """
        poll = self._poller.poll
        self.answer_due(ANSWERS)
        if events := poll(0, EVENTS):
            return events
        began_ns = now_ns = clock()
        until_ns = min(self.questions.next_ns, until_ns)
        if (rest_ns := until_ns - now_ns) > stretch_ns:
            # Its timeout is good to 0.1 ms, the poller's own only to 1 ms.
            select([self._poller], [], [], min(POLL_S, (rest_ns - stretch_ns) / 1e9))
            return poll(0, EVENTS)
        while not (events := poll(0, EVENTS)) and now_ns < until_ns:
            now_ns = clock()
        self.spun_ns += now_ns - began_ns
        return events

    def attend(self, descriptor: int) -> None:
        """Take what has come: a connection, or something on one."""
        asker = self._by_descriptor.get(descriptor)
        if asker is None:
            if descriptor == self._listener.fileno():
                self._accept()
            return
        try:
            data = asker.socket.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        now_ns = clock()
        if len(asker.unread) > LONGEST_BYTES:
            self._let_go(asker)
        elif not data:
            asker.ended = True
            self._poller.unregister(asker.socket)
            self._read(asker, now_ns)
        elif not (asker.unread or asker.busy) and (expected := self.known.get(asker.mode + data)):
            # Nearly always, so it is kept cheap.
            asker.busy = True
            self.questions.ask(asker.number, *expected, now_ns)
        else:
            asker.unread += data
            self._read(asker, now_ns)

    def answer_due(self, most: int) -> None:
        """Answer what is due, but not more than so much at once: others wait to be heard."""
        questions = self.questions
        for _ in range(most):
            now_ns = clock()
            if questions.next_ns > now_ns:
                return
            due_ns, _, asked_ns, number, client, answer = questions.answer(now_ns)
            if self.log is not None:
                self.log.write(QUESTION.pack(asked_ns, due_ns, now_ns, client))
            asker = self._askers.get(number)
            if asker is not None:  # else it has gone meanwhile
                asker.busy = False
                if self._send(asker, answer) and (asker.unread or asker.ended):
                    self._read(asker, clock())

    def close(self) -> None:
        """Let everybody go, and listen no more."""
        for asker in list(self._askers.values()):
            self._let_go(asker)
        self._poller.unregister(self._listener)
        self._listener.close()

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except OSError:  # it has gone already, or there is no room for it
            return
        connected.setblocking(False)
        asker = UpstreamConnection(self._connections, connected)
        self._connections += 1
        self._askers[asker.number] = self._by_descriptor[connected.fileno()] = asker
        self._poller.register(connected, EPOLLIN)
        self._send(asker, GREETING)

    def _read(self, asker: UpstreamConnection, now_ns: int) -> None:
        """Take lines until one of them is a question: what is behind it waits. The last one may lack its end."""
        while not asker.busy and (b"\n" in asker.unread or (asker.ended and asker.unread)):
            line, _, asker.unread = asker.unread.partition(b"\n")
            line += b"\n"
            client, reply = self.known.get(asker.mode + line, (NOBODY, b""))
            if client == NOBODY:
                *_, reply = replies(asker.mode + line)
            if reply.startswith((SWITCHED, NOT_UNDERSTOOD, QUIT)):
                if reply.startswith(SWITCHED):
                    asker.mode = b"" if line.startswith(b"sum") else line
                if not self._send(asker, reply):
                    return
                if reply == QUIT:
                    self._let_go(asker)
                    return
            else:
                asker.busy = True
                self.questions.ask(asker.number, client, reply, now_ns)
        if asker.ended and not asker.busy:
            self._let_go(asker)

    def _send(self, asker: UpstreamConnection, data: bytes) -> bool:
        """Send something short; whoever does not take it is let go."""
        try:
            if asker.socket.send(data) == len(data):
                return True
        except OSError:
            pass
        self._let_go(asker)
        return False

    def _let_go(self, asker: UpstreamConnection) -> None:
        del self._askers[asker.number], self._by_descriptor[asker.socket.fileno()]
        asker.socket.close()  # which takes it out of the poller, too
