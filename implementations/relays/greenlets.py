"""The pool of gevent_greenlets: the threads' pool, whose locks and sockets switch to another greenlet where they would block.

- Where it can wait: for a turn, in connect() and in recv(); the loop keeps the time.
- Who is next: a turn is handed from greenlet to greenlet. gevent's semaphore would let whoever comes just then be faster.
"""

from gevent.lock import Semaphore
from gevent.socket import socket

from implementations.relays import threads
from implementations.relays.threads import patience_until


class Link(threads.Link):
    """A connection to the upstream."""

    socket_type = socket

    def wake_at(self, deadline: float, clock: int) -> None:  # noqa: ARG002 - one clock is for all of gevent's calls
        """Let calls that wait raise TimeoutError after the deadline."""
        self.socket.settimeout(patience_until(deadline))


class Pool(threads.Pool):
    """Asks the upstream, over at most so many connections at a time."""

    baton_type = Semaphore
    link_type = Link
