"""The pool of the blocking family: whoever asks, blocks.

The handler calls `ask()` and has the answer; while its thread waits, others run. That the code of a thread need not
change when it has to wait for something else, too, is the point of threads.

- Where it can wait: for a turn, in connect() and in recv(); the kernel keeps the time.
- Who is next: a turn is handed from thread to thread. With a semaphore, whoever comes just then could be faster than
  those who wait.
"""

from collections import deque
from collections.abc import Callable
from socket import IPPROTO_TCP, SO_RCVTIMEO, SO_SNDTIMEO, SOCK_STREAM, TCP_NODELAY, socket
from threading import Lock
from time import monotonic
from typing import Protocol

from implementations.protocol import NO_ANSWER, Question
from implementations.relays.links import Links
from implementations.relays.session import Session
from implementations.server import RECEIVE_BYTES, Upstream, wake_after


class Link:
    """A connection to the upstream."""

    socket_type: type[socket] = socket

    def __init__(self, upstream: Upstream, deadline: float) -> None:
        """Connect; whatever goes wrong leaves nothing behind."""
        self.session = Session()
        self.socket = self.socket_type(upstream.family, SOCK_STREAM)
        try:
            self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self.wake_at(deadline, SO_SNDTIMEO)
            self.socket.connect(upstream.address)
        except OSError:
            self.close()
            raise

    def ask(self, question: Question, deadline: float) -> bytes:
        """Send a question, and wait for its answer."""
        self.socket.sendall(self.session.ask(question))
        answer = b""
        while not answer:
            self.wake_at(deadline, SO_RCVTIMEO)
            answer = self.session.receive_data(self.socket.recv(RECEIVE_BYTES))
        return answer

    def wake_at(self, deadline: float, clock: int) -> None:
        """Let calls that wait raise BlockingIOError after the deadline, by one of the kernel's clocks."""
        wake_after(self.socket, clock, patience_until(deadline))

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""
        return self.socket.fileno()

    def close(self) -> None:
        """Close it at once."""
        self.socket.close()


def patience_until(deadline: float) -> float:
    """Return how long may be waited; TimeoutError if no longer."""
    patience_s = deadline - monotonic()
    if patience_s <= 0:
        raise TimeoutError
    return patience_s


class Baton(Protocol):
    """A lock that is released by another than who acquires it."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 - as threading has it
        """Wait until it is released, but not for longer than the timeout."""

    def release(self) -> object:
        """Let who waits go on."""


class Turns:
    """So many may be under way at a time; the others wait, and are served in the order in which they came."""

    def __init__(self, count: int, new_baton: Callable[[], Baton]) -> None:
        """Begin with nobody under way."""
        self.free = count
        self.new_baton = new_baton
        self.waiting: deque[Baton] = deque()
        self.changing = Lock()

    def take(self, deadline: float) -> bool:
        """Wait for a turn; tell whether it came in time."""
        with self.changing:
            if self.free:
                self.free -= 1
                return True
            baton = self.new_baton()
            baton.acquire()
            self.waiting.append(baton)
        if baton.acquire(timeout=max(0.0, deadline - monotonic())):
            return True
        with self.changing:
            if baton in self.waiting:
                self.waiting.remove(baton)
                return False
        return True  # it came at the last moment

    def give_back(self) -> None:
        """Hand the turn to who has waited longest."""
        with self.changing:
            if self.waiting:
                self.waiting.popleft().release()
            else:
                self.free += 1


class Pool:
    """Asks the upstream, over at most so many connections at a time."""

    link_type: type[Link] = Link
    baton_type: type[Baton] = Lock

    def __init__(self, upstream: Upstream) -> None:
        """Begin with no connections."""
        self.upstream = upstream
        self.turns = Turns(upstream.connections, self.baton_type)
        self.links: Links[Link] = Links(upstream.retry_s)

    def ask(self, question: Question) -> bytes:
        """Return the upstream's answer, or what stands for it, within the upstream's timeout."""
        return self.ask_until(monotonic() + self.upstream.timeout_s, question)

    def ask_until(self, deadline: float, question: Question) -> bytes:
        """Return the same, if it comes before the deadline."""
        if not self.turns.take(deadline):
            return NO_ANSWER
        try:
            link = self.links.take() or self.connect(deadline)
            try:
                return link.ask(question, deadline)
            finally:
                self.links.give_back(link)
        except (OSError, MemoryError):
            return NO_ANSWER
        finally:
            self.turns.give_back()

    def connect(self, deadline: float) -> Link:
        """Open a further connection."""
        with self.links.attempt():
            return self.link_type(self.upstream, deadline)
