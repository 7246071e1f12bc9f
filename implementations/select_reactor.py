"""The reactor of select_generators: an event loop with nothing hidden, and what a handler yields to it."""

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from enum import Enum, auto
from select import select
from socket import socket
from time import monotonic
from types import coroutine
from typing import NamedTuple, TypeAlias

from implementations.server import Server, pause_after

SELECT_FILES = 1024
SWEEP_S = 0.1


class Event(Enum):
    """What can end a wait, apart from its deadline; a turn comes when another handler calls `Reactor.wake`."""

    READABLE = auto()
    WRITABLE = auto()
    TURN = auto()
    NOTHING_ELSE = auto()


class Wait(NamedTuple):
    """What a handler yields: resume me at this event, or throw TimeoutError after the deadline.

    Attributes:
        key: the descriptor that the event is of, or the number of the turn.
    """

    key: int
    event: Event
    deadline: float


Handler: TypeAlias = Coroutine[Wait, None, None]


@coroutine
def until(key: int, event: Event, deadline: float) -> Generator[Wait, None, None]:
    """Give up control: an ordinary generator that `await` can drive."""
    yield Wait(key, event, deadline)


class Reactor:
    """Resumes each handler when what it waits for has come."""

    def __init__(self, server: Server) -> None:
        """Begin with no clients; handlers stand in the table of the event that they wait for."""
        self.server = server
        self.waiting: dict[Event, dict[int, tuple[Handler, float]]] = {event: {} for event in Event}
        self.woken: deque[Handler] = deque()
        self.accept_after = 0.0

    def run(self, handle: Callable[[socket], Handler]) -> None:
        """Wait for all that the handlers wait for, resume those it came for, until the last one has ended."""
        readers, writers = self.waiting[Event.READABLE], self.waiting[Event.WRITABLE]
        listener = self.server.listener.fileno()
        next_sweep = 0.0
        while self.occupied_places() or not self.server.stopping:
            awaited = [*readers, listener] if self.may_accept() else [*readers]
            readable, writable, _ = select(awaited, writers, (), SWEEP_S)
            for descriptor in writable:
                self.resume(writers.pop(descriptor)[0])
            for descriptor in readable:
                if descriptor == listener:
                    self.accept(handle)
                else:
                    self.resume(readers.pop(descriptor)[0])
            while self.woken:
                self.resume(self.woken.popleft())
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

    def accept(self, handle: Callable[[socket], Handler]) -> None:
        """Start the handler of a new client; it runs up to its first wait."""
        try:
            client, _ = self.server.listener.accept()
        except (OSError, MemoryError) as error:
            self.accept_after = monotonic() + pause_after(error)
            return
        client.setblocking(False)
        self.resume(handle(client))

    def resume(self, handler: Handler, error: Exception | None = None) -> None:
        """Let a handler run until it waits again, or ends."""
        try:
            wait = handler.throw(error) if error else handler.send(None)
        except StopIteration:
            return
        self.waiting[wait.event][wait.key] = handler, wait.deadline

    def wake(self, number: int) -> None:
        """Resume who waits for the turn of this number, as soon as the present handler waits itself."""
        self.woken.append(self.waiting[Event.TURN].pop(number)[0])

    def sweep(self) -> None:
        """Throw TimeoutError into whoever has waited for too long."""
        now = monotonic()
        for table in self.waiting.values():
            overdue = [key for key, (_, deadline) in table.items() if deadline <= now]
            for key in overdue:
                self.resume(table.pop(key)[0], TimeoutError())
