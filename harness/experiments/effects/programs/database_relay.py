"""A server of ours as a relay of PostgreSQL: as it is, but for its pool, which asks through psycopg 3.

psycopg is built from generators that yield what they wait for. Its faces differ by who waits, and so do these pools: the
driver's own C, for threads; gevent's poll(), which psycopg takes where gevent has patched `select`; asyncio, with a future
for each wait; and the reactor of select_generators, to which a handler passes on what the driver yields. trio has no face.

With `--blocking` the driver waits in C whatever the model, and a loop with it. That is the mistake.
"""

import asyncio
import sys
from argparse import Namespace
from collections.abc import Generator
from contextlib import suppress
from functools import partial
from math import inf
from socket import AF_UNIX
from typing import Final

from gevent import monkey

from implementations import asyncio_streams, gevent_greenlets, select_generators, threaded
from implementations.protocol import Question
from implementations.select_reactor import Event, until
from implementations.server import Parser, Server, Upstream, run

if "gevent_greenlets" in sys.argv and "--blocking" not in sys.argv:
    monkey.patch_select()  # before psycopg looks
from psycopg import AsyncConnection, Connection
from psycopg.waiting import Ready, Wait

QUERY: Final = "SELECT sum(number) FROM pg_sleep(%s), unnest(string_to_array(%s, ',')::int[]) AS number"
ANSWER_LIMIT_S: Final = 30.0


class Blocking:
    """Whoever asks, waits in the driver: a thread; or a greenlet, which lets others run if the driver waits by gevent."""

    def __init__(self, given: Namespace) -> None:
        """Begin with no connections."""
        self.given = given
        self.idle: list[Connection] = []

    def ask(self, question: Question) -> bytes:
        """Let the database add up a list."""
        connection = self.take()
        cursor = connection.execute(QUERY, (self.given.wait, question.line.decode()))
        self.idle.append(connection)
        return answer_in(cursor.fetchone())

    def take(self) -> Connection:
        """Return a connection that nobody uses: there are as many as clients have asked at once."""
        try:
            return self.idle.pop()
        except IndexError:
            return Connection.connect(self.given.database, autocommit=True)


class Yielding(Blocking):
    """Whoever asks, yields what the driver waits for."""

    async def ask(self, question: Question) -> bytes:  # type: ignore[override] # the same, but for who waits
        """Let the database add up a list."""
        connection = self.take()
        cursor = connection.cursor()
        # It is what every face of psycopg drives, and has no public name for a loop that psycopg does not know.
        steps = cursor._execute_gen(QUERY, (self.given.wait, question.line.decode()))  # noqa: SLF001
        await end_of(steps, connection.fileno())
        self.idle.append(connection)
        return answer_in(cursor.fetchone())


async def end_of(steps: Generator[Wait, Ready, None], descriptor: int) -> None:
    """Wait for all that a generator of psycopg yields."""
    with suppress(StopIteration):
        wanted = next(steps)
        while True:
            event, ready = (Event.WRITABLE, Ready.W) if wanted & Wait.W else (Event.READABLE, Ready.R)
            await until(descriptor, event, inf)
            wanted = steps.send(ready)


class Awaiting:
    """Whoever asks, awaits the driver, which awaits a future of asyncio's."""

    def __init__(self, given: Namespace) -> None:
        """Begin with no connections."""
        self.given = given
        self.idle: list[AsyncConnection] = []

    async def ask(self, question: Question) -> bytes:
        """Let the database add up a list."""
        connection = self.idle.pop() if self.idle else await self.connect()
        cursor = await connection.execute(QUERY, (self.given.wait, question.line.decode()))
        self.idle.append(connection)
        return answer_in(await cursor.fetchone())

    async def connect(self) -> AsyncConnection:
        """Open a further connection."""
        return await AsyncConnection.connect(self.given.database, autocommit=True)


class InTheLoop(Blocking):
    """The mistake: the driver blocks the loop, so that nobody else is served meanwhile."""

    async def ask(self, question: Question) -> bytes:  # type: ignore[override] # the same, but for the word
        """Block."""
        return super().ask(question)


def answer_in(row: tuple[int] | None) -> bytes:
    """Return the answer to a question, from the one row that the database sends."""
    return b"Sum of input numbers: '%d'\r\n" % (row or (0,))


POOLS: Final = {
    "threaded": (threaded, Blocking),
    "gevent_greenlets": (gevent_greenlets, Blocking),
    "select_generators": (select_generators, Yielding),
}


def serve(server: Server, given: Namespace) -> None:
    """Let a server of ours be a relay, and ask through a pool of these."""
    server.options = server.options._replace(
        upstream=Upstream(AF_UNIX, (given.database,), server.options.max_clients, ANSWER_LIMIT_S)
    )
    if given.model == "asyncio_streams":
        driver = InTheLoop if given.blocking else Awaiting
        asyncio.run(asyncio_streams.serve(server, driver(given)))
    else:
        module, pool = POOLS[given.model]
        setattr(module, "Pool", lambda *_: pool(given))  # noqa: B010 - what a module has is no attribute of its type
        module.serve(server)


def main() -> None:
    """Serve in the foreground, with the options of every server besides."""
    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model", choices=["asyncio_streams", *POOLS], required=True)
    parser.add_argument("--database", metavar="URL", required=True)
    parser.add_argument("--wait", type=float, metavar="SECONDS", required=True)
    parser.add_argument("--blocking", action="store_true")
    given, _ = parser.parse_known_args()
    run(partial(serve, given=given), own_options=parser)


if __name__ == "__main__":
    main()
