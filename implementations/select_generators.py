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

from collections.abc import Coroutine, Generator
from contextlib import suppress
from enum import Enum, auto
from select import select
from socket import SHUT_WR, socket
from time import monotonic
from types import coroutine
from typing import NamedTuple, TypeAlias

from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    Server,
    pause_after,
    run,
    undelivered_bytes,
)

SELECT_FILES = 1024
SWEEP_S = 0.1


class Event(Enum):
    """What can end a wait, apart from its deadline."""

    READABLE = auto()
    WRITABLE = auto()
    NOTHING_ELSE = auto()


class Wait(NamedTuple):
    """What a handler yields: resume me at this event of my client, or throw TimeoutError after the deadline."""

    client: int
    event: Event
    deadline: float


Handler: TypeAlias = Coroutine[Wait, None, None]


@coroutine
def until(client: socket, event: Event, deadline: float) -> Generator[Wait, None, None]:
    """Give up control: an ordinary generator that `await` can drive."""
    yield Wait(client.fileno(), event, deadline)


class Reactor:
    """Resumes each handler when what it waits for has come."""

    def __init__(self, server: Server) -> None:
        """Begin with no clients; handlers stand in the table of the event that they wait for."""
        self.server = server
        self.waiting: dict[Event, dict[int, tuple[Handler, float]]] = {event: {} for event in Event}
        self.accept_after = 0.0

    def run(self) -> None:
        """Wait for all that the handlers wait for, resume those it came for, until the last one has ended."""
        readers, writers = self.waiting[Event.READABLE], self.waiting[Event.WRITABLE]
        listener = self.server.listener.fileno()
        next_sweep = 0.0
        while self.occupied_places() or not self.server.stopping:
            awaited = [*readers, listener] if self.may_accept() else [*readers]
            readable, writable, _ = select(awaited, writers, (), SWEEP_S)
            for client in writable:
                self.resume(writers.pop(client)[0])
            for client in readable:
                if client == listener:
                    self.accept()
                else:
                    self.resume(readers.pop(client)[0])
            if monotonic() >= next_sweep:
                self.sweep()
                next_sweep = monotonic() + SWEEP_S

    def occupied_places(self) -> int:
        """Count the clients: between two steps, each one's handler waits in some table."""
        return sum(map(len, self.waiting.values()))

    def may_accept(self) -> bool:
        """Tell whether to look for a further client."""
        has_place = self.occupied_places() < self.server.options.max_clients
        return has_place and not self.server.stopping and monotonic() >= self.accept_after

    def accept(self) -> None:
        """Start the handler of a new client; it runs up to its first wait."""
        try:
            client, _ = self.server.listener.accept()
        except (OSError, MemoryError) as error:
            self.accept_after = monotonic() + pause_after(error)
            return
        client.setblocking(False)
        self.resume(handle(client, self.server))

    def resume(self, handler: Handler, error: Exception | None = None) -> None:
        """Let a handler run until it waits again, or ends."""
        try:
            wait = handler.throw(error) if error else handler.send(None)
        except StopIteration:
            return
        self.waiting[wait.event][wait.client] = handler, wait.deadline

    def sweep(self) -> None:
        """Throw TimeoutError into whoever has waited for too long."""
        now = monotonic()
        for table in self.waiting.values():
            overdue = [client for client, (_, deadline) in table.items() if deadline <= now]
            for client in overdue:
                self.resume(table.pop(client)[0], TimeoutError())


def serve(server: Server) -> None:
    """Hand the listener to a reactor."""
    server.listener.setblocking(False)
    Reactor(server).run()


async def handle(client: socket, server: Server) -> None:
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
                if connection.lines_completed > lines_before:
                    deadline = monotonic() + idle_timeout_s
        await hang_up(client, server)


async def receive(client: socket, deadline: float) -> bytes:
    """Wait for input, but not past the deadline, however often single bytes come."""
    while True:
        await until(client, Event.READABLE, deadline)
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
            await until(client, Event.WRITABLE, monotonic() + idle_timeout_s)


async def hang_up(client: socket, server: Server) -> None:
    """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
    while server.stopping and undelivered_bytes(client):
        with suppress(TimeoutError):
            await until(client, Event.NOTHING_ELSE, monotonic() + DELIVERY_CHECK_S)
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
