"""The loop of selectors_callbacks: a selector that knows which callback each socket waits for."""

from collections import deque
from collections.abc import Callable
from math import inf
from selectors import EVENT_READ, DefaultSelector
from socket import socket
from time import monotonic

from implementations.server import Server, pause_after

SWEEP_S = 0.1


class Loop:
    """Calls back whoever is ready, and whoever has waited for too long."""

    newcomer: "Callable[[socket], Waiter]"

    def __init__(self, server: Server) -> None:
        """Begin with no clients."""
        self.server = server
        self.selector = DefaultSelector()
        self.clients: set[Waiter] = set()
        self.sweeps: list[Callable[[float], None]] = [self.sweep_clients]
        self.soon: deque[Callable[[], None]] = deque()
        self.accept_after = 0.0

    def run(self, newcomer: "Callable[[socket], Waiter]") -> None:
        """Wait and call back, until the last client has gone."""
        self.newcomer = newcomer
        next_sweep = 0.0
        while self.clients or not self.server.stopping:
            self.look_for_clients()
            for key, _ in self.selector.select(SWEEP_S):
                key.data()
            if (now := monotonic()) >= next_sweep:
                for sweep in self.sweeps:
                    sweep(now)
                next_sweep = monotonic() + SWEEP_S
            while self.soon:
                self.soon.popleft()()

    def sweep_clients(self, now: float) -> None:
        """Call back whoever has waited for too long."""
        for client in [client for client in self.clients if client.deadline <= now]:
            client.step(client.when_overdue)

    def look_for_clients(self) -> None:
        """Watch the listener if a further client may be accepted, and only then."""
        has_place = len(self.clients) < self.server.options.max_clients
        may_accept = has_place and not self.server.stopping and monotonic() >= self.accept_after
        watched = self.server.listener in self.selector.get_map()
        if may_accept and not watched:
            try:
                self.selector.register(self.server.listener, EVENT_READ, self.accept)
            except OSError as error:
                self.accept_after = monotonic() + pause_after(error)
        elif watched and not may_accept:
            self.selector.unregister(self.server.listener)

    def accept(self) -> None:
        """Take in a new client."""
        try:
            client, _ = self.server.listener.accept()
        except (OSError, MemoryError) as error:
            self.accept_after = monotonic() + pause_after(error)
            return
        client.setblocking(False)
        newcomer = self.newcomer(client)
        self.clients.add(newcomer)
        newcomer.step(newcomer.when_ready)


class Waiter:
    """A socket, the step that its next event leads to, and the one that is taken if none comes in time."""

    def __init__(self, loop: Loop, connection: socket) -> None:
        """Take over a socket; nothing is waited for yet."""
        self.loop = loop
        self.socket = connection
        self.event = 0
        self.when_ready = self.when_overdue = self.close
        self.deadline = inf

    def wait_for(self, event: int, when_ready: Callable[[], None], deadline: float) -> None:
        """Name the next step, and when to give up waiting for it."""
        self.when_ready, self.deadline = when_ready, deadline
        if event == self.event:
            return
        selector = self.loop.selector
        if not event:
            selector.unregister(self.socket)
        elif not self.event:
            selector.register(self.socket, event, self.proceed)
        else:
            selector.modify(self.socket, event, self.proceed)
        self.event = event

    def proceed(self) -> None:
        """What was waited for has come."""
        self.step(self.when_ready)

    def step(self, callback: Callable[[], None]) -> None:
        """Take one step; any error of the peer's makes it the last."""
        try:
            callback()
        except BlockingIOError:
            pass  # it only seemed to be ready: what is waited for is still to come
        except (OSError, MemoryError):
            self.close()

    def close(self) -> None:
        """Close at once; to do it again changes nothing."""
        if self.event:
            self.loop.selector.unregister(self.socket)
            self.event = 0
        self.socket.close()
