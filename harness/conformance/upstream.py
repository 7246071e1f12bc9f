"""A calculator that the suite plays, for a relay to ask: it sees who asks what, and in which order, and answers when it is told to."""

import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Final, Self

from harness.conformance.shell import shown
from harness.conformance.violations import Violation
from harness.launch.candidates import HOST
from harness.launch.process import bound_by_choice
from harness.machine.connections import Address, unacknowledged_bytes
from harness.oracle import GREETING, oracle

SWITCHES: Final = {b"sum\n": b"Sum", b"product\n": b"Product"}
"""What switches a connection, and the word for the mode that is on then."""
MOST_WAITING: Final = 1024
GONE_BY_NOW: Final = (OSError, ValueError)
"""What comes of a socket that its reader has closed."""
DELIVERY_S: Final = 1.0
DELIVERY_CHECK_S: Final = 0.0005


def answer_to(line: bytes, mode: bytes) -> bytes:
    """Return what a calculator answers to a line in a mode."""
    switch = b"product\n" if mode == b"Product" else b""
    return oracle(switch + line).removeprefix(oracle(switch))


@dataclass(eq=False)
class Asked:
    """A line that a relay has asked, and that is to be answered.

    Attributes:
        line: as it came, with its ending.
        mode: of its connection: Sum or Product.
        connection: on which it came.
    """

    line: bytes
    mode: bytes
    connection: "Asking"

    @property
    def reply(self) -> bytes:
        """The right answer."""
        return answer_to(self.line, self.mode)

    def answer(self, reply: bytes | None = None, *, slowly: bool = False) -> None:
        """Answer rightly, or with these bytes, in one segment or byte by byte; the relay may have given up."""
        self.connection.answer(self, self.reply if reply is None else reply, slowly=slowly)

    def hang_up(self, *, last: bytes = b"", reset: bool = False) -> None:
        """End the connection instead, after some last bytes, in good order or by RST."""
        self.connection.send(last)
        self.connection.hang_up(reset=reset)

    def flood(self, limit_bytes: int) -> int:
        """Answer with a line that does not end; return how many bytes the relay has taken, or so many."""
        return self.connection.flood(limit_bytes)

    def is_dropped(self) -> bool:
        """Wait until the relay closes the connection; tell whether it does."""
        return self.connection.ended.wait(self.connection.patience_s)


class Asking:
    """One connection of a relay to its upstream.

    Attributes:
        lines: all that came, switches included.
        mode: that the connection is in.
        patience_s: how long to wait for its end.
        ended: is set when the relay, or the upstream, has closed it.
    """

    def __init__(self, upstream: "PlayedUpstream", end: socket.socket) -> None:
        """Take over an accepted socket."""
        self.lines: list[bytes] = []
        self.mode = b"Sum"
        self.ended = Event()
        self.patience_s = upstream.patience_s
        self._upstream = upstream
        self._end = end
        self._unsaid = b""
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def attend(self) -> None:
        """Greet, switch, and hand on what is asked, until the relay has enough."""
        with self._end, suppress(OSError):
            if self._upstream.greets:
                self.send(GREETING)
            with self._end.makefile("rb") as lines:
                for line in lines:
                    self._hear(line)
        self.ended.set()
        for asked in self._upstream.under_way:
            if asked.connection is self:
                self._upstream.settle(asked)

    def _hear(self, line: bytes) -> None:
        self.lines.append(line)
        if line not in SWITCHES:
            self._upstream.hear(Asked(line, self.mode, self))
            return
        reply = answer_to(line, self.mode)
        self.mode = SWITCHES[line]
        if self._upstream.holds_switches:
            self._unsaid += reply
        else:
            self.send(reply)

    def answer(self, asked: Asked, reply: bytes, *, slowly: bool = False) -> None:
        """Answer what came on this connection, once."""
        if not self._upstream.settle(asked):
            return
        if reply != asked.reply:
            self._upstream.said.setdefault(asked.reply, set()).add(reply)
        to_say, self._unsaid = self._unsaid + reply, b""
        for place in range(len(to_say)) if slowly else ():
            self.send(to_say[place : place + 1])
        if not slowly:
            self.send(to_say)

    def send(self, data: bytes) -> None:
        """Send bytes, and see them arrive, as far as they are wanted."""
        with suppress(*GONE_BY_NOW):
            self._end.sendall(data)
            self._await_delivery()

    def flood(self, limit_bytes: int) -> int:
        """Send a line that does not end, until the connection does, or the limit is reached; return how much was taken."""
        taken = 0
        with suppress(OSError):
            while taken < limit_bytes:
                taken += self._end.send(b"9" * 65536)
        return taken

    def hang_up(self, *, reset: bool = False) -> None:
        """End the connection, and see the end arrive; our reader then wakes, and closes."""
        with suppress(*GONE_BY_NOW):
            if reset:
                self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self._end.shutdown(socket.SHUT_WR)
                self._await_delivery()
            self._end.shutdown(socket.SHUT_RD)

    def _await_delivery(self) -> None:
        """Wait until the relay's kernel has all that was sent: what it does next, it does knowing that."""
        limit = time.monotonic() + DELIVERY_S
        while unacknowledged_bytes(self._end) and time.monotonic() < limit:
            time.sleep(DELIVERY_CHECK_S)


class PlayedUpstream:
    """The upstream while its context lasts: it accepts, greets and switches by itself.

    Attributes:
        patience_s: how long to wait, at most, for whatever must come.
        address: where it listens.
        greets: it greets whoever connects.
        holds_switches: what is to be said to a switch is said with the next answer, in one segment.
        react: what is done with a line as soon as it comes, by some thread; without it, it waits for `next_asked`.
        connections: all that there were.
        asked: all lines but switches, in the order in which they came.
        said: what was answered other than what is right, by the right answers.
        most_under_way: how many were at most unanswered at a time.
    """

    def __init__(self, patience_s: float) -> None:
        """Be not there yet."""
        self.address: Address = (HOST, 0)
        self.greets = True
        self.holds_switches = False
        self.react: Callable[[Asked], None] | None = None
        self.connections: list[Asking] = []
        self.asked: list[Asked] = []
        self.said: dict[bytes, set[bytes]] = {}
        self.most_under_way = 0
        self.patience_s = patience_s
        self._waiting: SimpleQueue[Asked] = SimpleQueue()
        self._under_way: dict[Asked, None] = {}
        self._lock = Lock()
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        """Begin to listen."""
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with all connections."""
        self.refuse()
        if self._listener:
            self._listener.close()

    def listen(self) -> None:
        """Be there, at the same address as ever."""
        if self._listener is None:
            # A port that the kernel chose would be free for others after refuse().
            self._listener = bound_by_choice()
            self.address = self._listener.getsockname()
        self._listener.listen(MOST_WAITING)
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Be gone: nobody can connect, and all connections end. The port stays ours: nobody else is to be found there."""
        if self._listener:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # which also wakes the thread that accepts
        self.drop()

    def drop(self) -> None:
        """End all connections."""
        for connection in tuple(self.connections):
            connection.hang_up()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                end, _ = listener.accept()
            except OSError:
                return
            connection = Asking(self, end)
            self.connections.append(connection)
            Thread(target=connection.attend, daemon=True).start()

    def hear(self, asked: Asked) -> None:
        """Note what is asked."""
        with self._lock:
            self.asked.append(asked)
            self._under_way[asked] = None
            self.most_under_way = max(self.most_under_way, len(self._under_way))
            react = self.react
            if react is None:
                self._waiting.put(asked)  # before anybody begins to react, who overlooks what waits
        if react is not None:
            react(asked)

    def settle(self, asked: Asked) -> bool:
        """Note that it needs no answer any more; tell whether it did."""
        with self._lock:
            return self._under_way.pop(asked, self) is None

    @property
    def under_way(self) -> list[Asked]:
        """What has no answer yet, the oldest first."""
        with self._lock:
            return [*self._under_way]

    @property
    def open_connections(self) -> list[Asking]:
        """Those that have not ended."""
        return [connection for connection in self.connections if not connection.ended.is_set()]

    def next_asked(self) -> Asked:
        """Wait for the next line that is asked; TimeoutError if none is."""
        try:
            return self._waiting.get(timeout=self.patience_s)
        except Empty:
            raise TimeoutError(f"the upstream was asked nothing more within {self.patience_s:g} s") from None

    def expect(self, line: bytes, mode: bytes = b"Sum") -> Asked:
        """Wait for the next line that is asked, which must be this one, on a connection in this mode."""
        asked = self.next_asked()
        if (asked.line, asked.mode) != (line, mode):
            raise Violation(
                f"the upstream was asked {shown(asked.line)} in {asked.mode.decode().lower()} mode; expected {shown(line)}"
                f" in {mode.decode().lower()} mode"
            )
        return asked

    def await_under_way(self, count: int) -> None:
        """Wait until so many lines that have no answer yet were asked."""
        while len(self.under_way) < count:
            self.next_asked()

    def expect_nothing(self) -> None:
        """Check that nothing has been asked that nobody waited for."""
        with suppress(Empty):
            raise Violation(
                f"the upstream was asked {shown(self._waiting.get_nowait().line)}, expected nothing"
            )

    @contextmanager
    def reacting(self, react: Callable[[Asked], None]) -> Iterator[None]:
        """React to everything that is asked as soon as it comes, and then again as before."""
        before = self.react
        self._react_so(react)
        try:
            yield
        finally:
            self._react_so(before)

    def _react_so(self, react: Callable[[Asked], None] | None) -> None:
        with self._lock:
            self.react = react

    @contextmanager
    def answering(self, reply: Callable[[Asked], bytes] = lambda asked: asked.reply) -> Iterator[None]:
        """Answer everything at once, what waits first."""

        def answer(asked: Asked) -> None:
            asked.answer(reply(asked))

        with self.reacting(answer):
            self._overlook()
            for asked in self.under_way:
                answer(asked)
            yield

    @contextmanager
    def answering_whenever(self, lines: Collection[bytes]) -> Iterator[None]:
        """Answer these lines, should they come; all others wait."""

        def answer_or_keep(asked: Asked) -> None:
            if asked.line in lines:
                asked.answer()
            else:
                self._waiting.put(asked)

        with self.reacting(answer_or_keep):
            yield

    def _overlook(self) -> None:
        """Let nobody wait for what has been asked so far."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()

    def forget(self) -> None:
        """Answer what is left, and begin anew, with the connections that there are."""
        with self.answering():
            pass
        self.greets, self.holds_switches = True, False
        self.connections = self.open_connections
        self.asked.clear()
        self.said.clear()
        self.most_under_way = 0
