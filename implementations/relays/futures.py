"""The pool of asyncio: a future stands for the answer, until the callbacks of a transport have it.

That is how drivers for asyncio are made: callbacks below, where the loop reads; a future, on which a task can wait, above.

- Where it can wait: at the semaphore, in create_connection(), and for the future; one timeout is around all three.
- Who is next: asyncio's semaphore lets nobody in before those who wait.
"""

import asyncio
from socket import SOCK_STREAM, socket

from implementations.protocol import NO_ANSWER, Question
from implementations.relays.links import Links
from implementations.relays.session import Session
from implementations.server import Upstream


class Pool:
    """Asks the upstream, over at most so many connections at a time."""

    def __init__(self, upstream: Upstream) -> None:
        """Begin with no connections."""
        self.upstream = upstream
        self.turns = asyncio.Semaphore(upstream.connections)
        self.links: Links[Link] = Links(upstream.retry_s)

    async def ask(self, question: Question) -> bytes:
        """Return the upstream's answer, or what stands for it, within the upstream's timeout."""
        try:
            async with asyncio.timeout(self.upstream.timeout_s), self.turns:
                link = self.links.take() or await self.connect()
                try:
                    return await link.ask(question)
                finally:
                    self.links.give_back(link)
        except (OSError, MemoryError):
            return NO_ANSWER

    async def connect(self) -> "Link":
        """Open a further connection."""
        loop = asyncio.get_running_loop()
        with self.links.attempt():
            connection = socket(self.upstream.family, SOCK_STREAM)
            try:
                connection.setblocking(False)
                await loop.sock_connect(connection, self.upstream.address)
                _, link = await loop.create_connection(Link, sock=connection)
            except (OSError, asyncio.CancelledError):
                connection.close()
                raise
        return link


class Link(asyncio.Protocol):
    """A connection to the upstream."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        """Begin with nobody who waits for an answer."""
        self.session = Session()
        self.answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP reads and writes
        """Take over the transport."""
        self.transport = transport

    def ask(self, question: Question) -> asyncio.Future[bytes]:
        """Send a question, and return the future of its answer."""
        self.answer = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            self.answer.set_exception(ConnectionError("it hung up"))
        else:
            self.transport.write(self.session.ask(question))
        return self.answer

    def data_received(self, data: bytes) -> None:
        """Take in what comes; where nobody has asked, all but the greeting is the end of this connection."""
        try:
            answer = self.session.receive_data(data)
        except ConnectionError:
            self.close()
            return
        if answer and self.awaited:
            self.awaited.set_result(answer)
        elif answer:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits for an answer that there will be none."""
        if self.awaited:
            self.awaited.set_exception(exc or ConnectionError("it hung up"))

    @property
    def awaited(self) -> asyncio.Future[bytes] | None:
        """The future, if somebody still waits for it."""
        return None if self.answer is None or self.answer.done() else self.answer

    def fileno(self) -> int:
        """Return the file descriptor, or -1 once it is closed."""
        return -1 if self.transport.is_closing() else int(self.transport.get_extra_info("socket").fileno())

    def close(self) -> None:
        """Close it at once."""
        self.transport.abort()
