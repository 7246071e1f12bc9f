"""What every pool does alike: which of its connections are used again, and when another one may be tried.

Waiting for a turn, connecting, asking and the clock differ: they stand in each model's own pool.
Numbers in brackets are clauses of `PROTOCOL.md`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from select import POLLIN, poll
from threading import Lock
from time import monotonic
from typing import Generic, Protocol, TypeVar

from implementations.relays.session import Session


class Link(Protocol):
    """A connection to the upstream, of any library."""

    session: Session

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""

    def close(self) -> None:
        """Close it at once."""


L = TypeVar("L", bound=Link)


class Links(Generic[L]):
    """The connections of a pool that nobody uses at the moment."""

    def __init__(self, retry_s: float) -> None:
        """Begin with none, and in good hope."""
        self._idle: list[L] = []
        self._retry_s = retry_s
        self._connecting = Lock()
        self._failing = False
        self._try_after = 0.0

    def take(self) -> L | None:
        """Return the one that was used last; any that has something to say, or its end, is thrown away [9.6]."""
        while self._idle:
            link = self._idle.pop()
            if is_quiet(link):
                return link
            link.close()
        return None

    def give_back(self, link: L) -> None:
        """Keep a connection for the next question, unless this one went wrong [9.6]."""
        if link.session.reusable:
            self._idle.append(link)
        else:
            link.close()

    def close(self) -> None:
        """Close all."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Connect within this."""
        self.begin_attempt()
        connected = False
        try:
            yield
            connected = True
        finally:
            self.end_attempt(connected=connected)

    def begin_attempt(self) -> None:
        """Go ahead; but after a failure only now and then, and meanwhile this raises ConnectionError at once [9.7]."""
        with self._connecting:
            now = monotonic()
            if self._failing and now < self._try_after:
                raise ConnectionError("it could not be connected to a moment ago")
            self._try_after = now + self._retry_s

    def end_attempt(self, *, connected: bool) -> None:
        """Note how it went."""
        self._failing = not connected


def is_quiet(link: Link) -> bool:
    """Tell whether a connection is open and has nothing to read, not even its end."""
    if link.fileno() < 0:
        return False
    watched = poll()
    watched.register(link, POLLIN)
    return not watched.poll(0)
