"""select() and inline generators: one thread, a hand-written reactor, and handlers that read as if they blocked.

An event loop with nothing hidden. Wherever a handler would block, it yields what it waits for instead, and the
reactor goes on with whoever is ready. It costs a look at every waiting client for each select(), which also ends
at 1,024 descriptors; and one long computation stops everybody.

- Who accepts: the reactor, while there is a place.
- Who decides to switch: the handler, at each `await`; nothing happens in between.
- Where it can wait: in `yield wait`, the one line that every `await` leads to.
- What pushes back on a slow reader: its handler waits to write, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or the sweep, which throws TimeoutError into who is overdue.
- What ends the server: a stop ends the input of all clients and of the listener; the reactor runs until all are gone.
"""

from contextlib import suppress
from functools import partial
from socket import SHUT_WR, socket
from time import monotonic

from implementations.relays.generators import Pool
from implementations.select_reactor import SELECT_FILES, Event, Reactor, until
from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    Server,
    run,
    undelivered_bytes,
)


def serve(server: Server) -> None:
    """Hand the listener to a reactor."""
    server.listener.setblocking(False)
    reactor = Reactor(server)
    pool = Pool(server.options.upstream, reactor.wake)
    reactor.run(partial(handle, server=server, pool=pool))


async def handle(client: socket, server: Server, pool: Pool) -> None:
    """Serve one client to its end. If it resets, vanishes or falls silent (all OSError), that harms nobody else."""
    idle_timeout_s = server.options.idle_timeout_s
    with client, suppress(OSError, MemoryError):
        with server.serving(client) as connection:
            await send(client, connection.greeting, idle_timeout_s)
            deadline = monotonic() + idle_timeout_s
            while not connection.closed:
                data = await receive(client, deadline)
                if server.stopping and not data:
                    break
                lines_before = connection.lines_completed
                await send(client, connection.receive_data(data), idle_timeout_s)
                while question := connection.question:
                    answer = await pool.ask(question)
                    await send(client, connection.receive_answer(answer), idle_timeout_s)
                if connection.lines_completed > lines_before:
                    deadline = monotonic() + idle_timeout_s
        await hang_up(client, server)


async def receive(client: socket, deadline: float) -> bytes:
    """Wait for input, but not past the deadline, however often single bytes come."""
    while True:
        await until(client.fileno(), Event.READABLE, deadline)
        try:
            return client.recv(RECEIVE_BYTES)
        except BlockingIOError:  # it only seemed to be readable
            continue


async def send(client: socket, replies: bytes, idle_timeout_s: float) -> None:
    """Send everything; give up when the kernel has taken nothing for a whole idle timeout."""
    unsent = memoryview(replies)
    while unsent:
        try:
            unsent = unsent[client.send(unsent) :]
        except BlockingIOError:
            await until(client.fileno(), Event.WRITABLE, monotonic() + idle_timeout_s)


async def hang_up(client: socket, server: Server) -> None:
    """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
    while server.stopping and undelivered_bytes(client):
        with suppress(TimeoutError):
            await until(client.fileno(), Event.NOTHING_ELSE, monotonic() + DELIVERY_CHECK_S)
    client.shutdown(SHUT_WR)
    deadline = monotonic() + LINGER_S
    to_discard = LINGER_BYTES
    while to_discard > 0:
        data = await receive(client, deadline)
        if not data:
            break
        to_discard -= len(data)


if __name__ == "__main__":
    run(serve, most_files=SELECT_FILES)
