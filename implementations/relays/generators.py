"""The pool of select_generators: whoever asks, yields what it waits for.

It is the code of the threads' pool, with an `await` wherever a thread would block: nothing happens in between, so it
needs no lock.

- Where it can wait: for a turn, while connecting, and for the answer; the sweep keeps the time.
- Who is next: a turn is handed from handler to handler, by way of the reactor.
"""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from socket import IPPROTO_TCP, SO_ERROR, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, socket
from time import monotonic

from implementations.protocol import NO_ANSWER, Question
from implementations.relays.links import Links
from implementations.relays.session import Session
from implementations.select_reactor import Event, until
from implementations.server import RECEIVE_BYTES, Upstream


class Pool:
    """Asks the upstream, over at most so many connections at a time."""

    def __init__(self, upstream: Upstream, wake: Callable[[int], None]) -> None:
        """Begin with no connections.

        Args:
            upstream: whom to ask.
            wake: lets the handler go on that waits for the turn of a number.
        """
        self.upstream = upstream
        self.wake = wake
        self.free = upstream.connections
        self.numbers = count()
        self.waiting: deque[int] = deque()
        self.links: Links[Link] = Links(upstream.retry_s)

    async def ask(self, question: Question) -> bytes:
        """Return the upstream's answer, or what stands for it, within the upstream's timeout."""
        deadline = monotonic() + self.upstream.timeout_s
        try:
            await self.take_turn(deadline)
        except TimeoutError:
            return NO_ANSWER
        try:
            link = self.links.take() or await self.connect(deadline)
            try:
                return await link.ask(question, deadline)
            finally:
                self.links.give_back(link)
        except (OSError, MemoryError):
            return NO_ANSWER
        finally:
            self.give_turn_back()

    async def take_turn(self, deadline: float) -> None:
        """Go on if there is a turn, or else when it is handed over."""
        if self.free:
            self.free -= 1
            return
        number = next(self.numbers)
        self.waiting.append(number)
        try:
            await until(number, Event.TURN, deadline)
        except TimeoutError:
            self.waiting.remove(number)
            raise

    def give_turn_back(self) -> None:
        """Hand the turn to who has waited longest."""
        if self.waiting:
            self.wake(self.waiting.popleft())
        else:
            self.free += 1

    async def connect(self, deadline: float) -> "Link":
        """Open a further connection; whatever goes wrong leaves nothing behind."""
        with self.links.attempt():
            link = Link(self.upstream.family)
            try:
                await link.connect(self.upstream.address, deadline)
            except OSError:
                link.close()
                raise
        return link


class Link:
    """A connection to the upstream."""

    def __init__(self, family: int) -> None:
        """Make a socket that never blocks."""
        self.session = Session()
        self.socket = socket(family, SOCK_STREAM)
        self.socket.setblocking(False)

    async def connect(self, address: tuple[object, ...], deadline: float) -> None:
        """Connect: the kernel says that it has begun, and later how it went."""
        self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            self.socket.connect(address)
        await until(self.socket.fileno(), Event.WRITABLE, deadline)
        if error := self.socket.getsockopt(SOL_SOCKET, SO_ERROR):
            raise OSError(error, os.strerror(error))

    async def ask(self, question: Question, deadline: float) -> bytes:
        """Send a question, and wait for its answer."""
        unsent = memoryview(self.session.ask(question))
        while unsent:
            try:
                unsent = unsent[self.socket.send(unsent) :]
            except BlockingIOError:
                await until(self.socket.fileno(), Event.WRITABLE, deadline)
        answer = b""
        while not answer:
            await until(self.socket.fileno(), Event.READABLE, deadline)
            with suppress(BlockingIOError):
                answer = self.session.receive_data(self.socket.recv(RECEIVE_BYTES))
        return answer

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close it at once."""
        self.socket.close()
