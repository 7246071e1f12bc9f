"""selectors and callbacks: one thread, epoll, and a small state machine for each client.

What an event loop is made of: a selector that knows which callback each socket waits for. It costs the least of all
that serve many clients from one thread, and the handler is taken apart: what reads as one loop elsewhere are here
steps that name their successors. One long computation stops everybody.

- Who accepts: the loop, while there is a place.
- Who decides to switch: each callback, by returning; nothing happens in between.
- Where it can wait: in select(), the one call that blocks.
- What pushes back on a slow reader: its client waits to write, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or the sweep, which closes who is overdue.
- What ends the server: a stop ends the input of all clients and of the listener; the loop runs until all are gone.
"""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from socket import SHUT_WR, socket
from time import monotonic

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

SWEEP_S = 0.1


class Loop:
    """Calls back whoever is ready, and whoever has waited for too long."""

    def __init__(self, server: Server) -> None:
        """Begin with no clients."""
        self.server = server
        self.selector = DefaultSelector()
        self.clients: set[Client] = set()
        self.accept_after = 0.0

    def run(self) -> None:
        """Wait and call back, until the last client has gone."""
        next_sweep = 0.0
        while self.clients or not self.server.stopping:
            self.look_for_clients()
            for key, _ in self.selector.select(SWEEP_S):
                key.data()
            if monotonic() >= next_sweep:
                self.sweep()
                next_sweep = monotonic() + SWEEP_S

    def sweep(self) -> None:
        """Call back whoever has waited for too long."""
        now = monotonic()
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
        """Take in a new client, and greet it."""
        try:
            client, _ = self.server.listener.accept()
        except (OSError, MemoryError) as error:
            self.accept_after = monotonic() + pause_after(error)
            return
        client.setblocking(False)
        newcomer = Client(self, client)
        self.clients.add(newcomer)
        newcomer.step(newcomer.send)


class Client:
    """One client's state: the step that its next event leads to, and the one that is taken if none comes in time.

    If it resets, vanishes or falls silent (all OSError), that harms nobody else.
    """

    def __init__(self, loop: Loop, client: socket) -> None:
        """Take over a socket; nothing is waited for yet."""
        self.loop = loop
        self.socket = client
        self.idle_timeout_s = loop.server.options.idle_timeout_s
        self.service = ExitStack()
        self.connection = self.service.enter_context(loop.server.serving(client))
        self.unsent = memoryview(self.connection.greeting)
        self.lines_timed = -1
        self.input_deadline = 0.0
        self.to_discard = LINGER_BYTES
        self.event = 0
        self.when_ready = self.when_overdue = self.close
        self.deadline = 0.0

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
            pass  # it only seemed to be readable: what is waited for is still to come
        except (OSError, MemoryError):
            self.close()

    def receive(self) -> None:
        """Take in what has come, and answer it."""
        data = self.socket.recv(RECEIVE_BYTES)
        if self.loop.server.stopping and not data:
            self.hang_up()
        else:
            self.unsent = memoryview(self.connection.receive_data(data))
            self.send()

    def send(self) -> None:
        """Send what the kernel takes; only when that is all, look for input again."""
        with suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        if self.unsent:
            self.wait_for(EVENT_WRITE, self.send, monotonic() + self.idle_timeout_s)
            return
        if self.connection.lines_completed > self.lines_timed:
            self.lines_timed = self.connection.lines_completed
            self.input_deadline = monotonic() + self.idle_timeout_s
        if self.connection.closed:
            self.hang_up()
        else:
            self.wait_for(EVENT_READ, self.receive, self.input_deadline)

    def hang_up(self) -> None:
        """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
        self.service.close()
        if self.loop.server.stopping and undelivered_bytes(self.socket):
            self.when_overdue = self.hang_up
            self.wait_for(0, self.hang_up, monotonic() + DELIVERY_CHECK_S)
            return
        self.socket.shutdown(SHUT_WR)
        self.when_overdue = self.close
        self.wait_for(EVENT_READ, self.discard, monotonic() + LINGER_S)

    def discard(self) -> None:
        """Throw input away, up to its end or to some bound."""
        data = self.socket.recv(RECEIVE_BYTES)
        self.to_discard -= len(data)
        if not data or self.to_discard <= 0:
            self.close()

    def close(self) -> None:
        """Let go of everything."""
        self.service.close()
        if self.event:
            self.loop.selector.unregister(self.socket)
        self.socket.close()
        self.loop.clients.discard(self)


def serve(server: Server) -> None:
    """Hand the listener to a loop."""
    server.listener.setblocking(False)
    Loop(server).run()


if __name__ == "__main__":
    run(serve)
