"""The pool of selectors_callbacks: whoever asks, names what is to be called with the answer.

What is one function with an `await`, or with a call that blocks, is taken apart here, too: a question that has no turn
yet, and a connection that has steps.

- Where it can wait: nowhere; questions wait in a queue, and connections for their events; the sweep keeps the time.
- Who is next: the first of the queue. It is called back by the loop, soon, so that no callback is within another.
"""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from selectors import EVENT_READ, EVENT_WRITE
from socket import IPPROTO_TCP, SO_ERROR, SOCK_STREAM, SOL_SOCKET, TCP_NODELAY, socket
from time import monotonic
from typing import NamedTuple

from implementations.callback_loop import Loop, Waiter
from implementations.protocol import NO_ANSWER, Question
from implementations.relays.links import Links
from implementations.relays.session import Session
from implementations.server import RECEIVE_BYTES, Upstream


class Inquiry(NamedTuple):
    """A question, when its answer comes too late, and what is called with it."""

    question: Question
    deadline: float
    when_answered: Callable[[bytes], None]


class Pool:
    """Asks the upstream, over at most so many connections at a time."""

    def __init__(self, upstream: Upstream, loop: Loop) -> None:
        """Begin with no connections."""
        self.upstream = upstream
        self.loop = loop
        self.free = upstream.connections
        self.waiting: deque[Inquiry] = deque()
        self.under_way: set[Link] = set()
        self.links: Links[Link] = Links(upstream.retry_s)
        loop.sweeps.append(self.sweep)

    def ask(self, question: Question, when_answered: Callable[[bytes], None]) -> None:
        """Have a callback called with the upstream's answer, or what stands for it, within the upstream's timeout."""
        inquiry = Inquiry(question, monotonic() + self.upstream.timeout_s, when_answered)
        if self.free:
            self.free -= 1
            self.begin(inquiry)
        else:
            self.waiting.append(inquiry)

    def begin(self, inquiry: Inquiry) -> None:
        """It has its turn: ask over a connection that there is, or over a further one."""
        if link := self.links.take():
            link.start(inquiry, link.ask)
            return
        try:
            self.links.begin_attempt()
            link = Link(self)
        except (OSError, MemoryError):
            self.end(inquiry, NO_ANSWER)
        else:
            link.start(inquiry, link.connect)

    def end(self, inquiry: Inquiry, answer: bytes) -> None:
        """Answer, and hand the turn to who has waited longest."""
        self.loop.soon.append(partial(inquiry.when_answered, answer))
        if self.waiting:
            self.loop.soon.append(partial(self.begin, self.waiting.popleft()))
        else:
            self.free += 1

    def sweep(self, now: float) -> None:
        """Give up what has waited for too long; who came first is overdue first."""
        while self.waiting and self.waiting[0].deadline <= now:
            self.loop.soon.append(partial(self.waiting.popleft().when_answered, NO_ANSWER))
        for link in [link for link in self.under_way if link.deadline <= now]:
            link.step(link.when_overdue)


class Link(Waiter):
    """A connection to the upstream, and the steps of a question; whatever goes wrong closes it."""

    def __init__(self, pool: Pool) -> None:
        """Make a socket that never blocks."""
        super().__init__(pool.loop, socket(pool.upstream.family, SOCK_STREAM))
        self.socket.setblocking(False)
        self.pool = pool
        self.session = Session()
        self.connecting = True
        self.inquiry: Inquiry | None = None
        self.unsent = memoryview(b"")

    def start(self, inquiry: Inquiry, first_step: Callable[[], None]) -> None:
        """Take over an inquiry, up to its end."""
        self.inquiry, self.deadline = inquiry, inquiry.deadline
        self.unsent = memoryview(self.session.ask(inquiry.question))
        self.pool.under_way.add(self)
        self.step(first_step)

    def connect(self) -> None:
        """Begin to connect, which the kernel says by a BlockingIOError."""
        self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.wait_for(EVENT_WRITE, self.take_up, self.deadline)
        self.socket.connect(self.pool.upstream.address)

    def take_up(self) -> None:
        """See how connecting went."""
        if error := self.socket.getsockopt(SOL_SOCKET, SO_ERROR):
            raise OSError(error, os.strerror(error))
        self.connecting = False
        self.pool.links.end_attempt(connected=True)
        self.ask()

    def ask(self) -> None:
        """Send the question; when that is all, look for the answer."""
        with suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        if self.unsent:
            self.wait_for(EVENT_WRITE, self.ask, self.deadline)
        else:
            self.wait_for(EVENT_READ, self.receive, self.deadline)

    def receive(self) -> None:
        """Take in what has come."""
        if answer := self.session.receive_data(self.socket.recv(RECEIVE_BYTES)):
            self.wait_for(EVENT_READ, self.close, inf)
            self.finish(answer)

    def finish(self, answer: bytes) -> None:
        """End the inquiry; whatever comes before the next one ends the connection."""
        inquiry, self.inquiry = self.inquiry, None
        if inquiry:
            self.pool.under_way.discard(self)
            self.pool.links.give_back(self)
            self.pool.end(inquiry, answer)

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close it at once; a question that is under way has no answer."""
        if self.connecting:
            self.connecting = False
            self.pool.links.end_attempt(connected=False)
        super().close()
        self.finish(NO_ANSWER)
