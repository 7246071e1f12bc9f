"""The pool of trio_nursery: whoever asks, awaits, within a scope that ends in time.

- Where it can wait: at the semaphore, in connect(), send_all() and receive_some().
- Who is next: trio's semaphore is handed from task to task, in the order in which they came.
"""

from socket import SOCK_STREAM

import trio

from implementations.protocol import NO_ANSWER, Question
from implementations.relays.links import Links
from implementations.relays.session import Session
from implementations.server import RECEIVE_BYTES, Upstream


class Pool:
    """Asks the upstream, over at most so many connections at a time."""

    def __init__(self, upstream: Upstream) -> None:
        """Begin with no connections."""
        self.upstream = upstream
        self.turns = trio.Semaphore(upstream.connections)
        self.links: Links[Link] = Links(upstream.retry_s)

    async def ask(self, question: Question) -> bytes:
        """Return the upstream's answer, or what stands for it, within the upstream's timeout."""
        try:
            with trio.fail_after(self.upstream.timeout_s):
                async with self.turns:
                    link = self.links.take() or await self.connect()
                    try:
                        return await link.ask(question)
                    finally:
                        self.links.give_back(link)
        except (trio.TooSlowError, trio.BrokenResourceError, OSError, MemoryError):
            return NO_ANSWER

    async def connect(self) -> "Link":
        """Open a further connection; whatever goes wrong leaves nothing behind."""
        with self.links.attempt():
            connection = trio.socket.socket(self.upstream.family, SOCK_STREAM)
            try:
                await connection.connect(self.upstream.address)
                return Link(connection)
            except (OSError, trio.Cancelled):
                connection.close()
                raise


class Link:
    """A connection to the upstream."""

    def __init__(self, connection: trio.socket.SocketType) -> None:
        """Take over a socket that is connected."""
        self.session = Session()
        self.stream = trio.SocketStream(connection)

    async def ask(self, question: Question) -> bytes:
        """Send a question, and wait for its answer."""
        await self.stream.send_all(self.session.ask(question))
        answer = b""
        while not answer:
            answer = self.session.receive_data(await self.stream.receive_some(RECEIVE_BYTES))
        return answer

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""
        return self.stream.socket.fileno()

    def close(self) -> None:
        """Close it at once."""
        self.stream.socket.close()
