"""What an asyncio server may ask through: a driver made for asyncio, or one that blocks, put into a thread, or not.

A driver that blocks is what there often is. These are factors: the same server is measured with each.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from types import MappingProxyType
from typing import Final, Protocol

from implementations.protocol import Question
from implementations.relays import futures, threads
from implementations.server import Upstream


class Driver(Protocol):
    """What a handler asks through."""

    async def ask(self, question: Question) -> bytes:
        """Return the upstream's answer, or what stands for it, within the upstream's timeout."""


class InThreads:
    """A driver that blocks a thread: a question costs two switches of threads besides.

    There is a thread for each connection. By itself `to_thread()` has a few more threads than there are cores, and these
    would be the pool then.
    """

    def __init__(self, upstream: Upstream) -> None:
        """Begin with no threads, on the loop that runs."""
        self.pool = threads.Pool(upstream)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(upstream.connections or None))

    async def ask(self, question: Question) -> bytes:
        """Let a thread ask; the time runs while the question waits for that."""
        deadline = monotonic() + self.pool.upstream.timeout_s
        return await asyncio.to_thread(self.pool.ask_until, deadline, question)


class InTheLoop:
    """The mistake: a driver that blocks the loop, so that nobody else is served meanwhile."""

    def __init__(self, upstream: Upstream) -> None:
        """Begin with no connections."""
        self.pool = threads.Pool(upstream)

    async def ask(self, question: Question) -> bytes:
        """Block."""
        return self.pool.ask(question)


OWN: Final = "asyncio"
DRIVERS: Final[Mapping[str, Callable[[Upstream], Driver]]] = MappingProxyType(
    {OWN: futures.Pool, "to_thread": InThreads, "blocking": InTheLoop}
)
"""By their names on the command line."""
