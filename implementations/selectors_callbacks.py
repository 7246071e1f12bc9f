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

from contextlib import ExitStack, suppress
from functools import partial
from math import inf
from selectors import EVENT_READ, EVENT_WRITE
from socket import SHUT_WR, socket
from time import monotonic

from implementations.callback_loop import Loop, Waiter
from implementations.relays.callbacks import Pool
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
    """Hand the listener to a loop."""
    server.listener.setblocking(False)
    loop = Loop(server)
    loop.run(partial(Client, loop, Pool(server.options.upstream, loop)))


class Client(Waiter):
    """One client's state, and the steps that it takes.

    If it resets, vanishes or falls silent (all OSError), that harms nobody else.
    """

    def __init__(self, loop: Loop, pool: Pool, client: socket) -> None:
        """Begin with the greeting."""
        super().__init__(loop, client)
        self.pool = pool
        self.idle_timeout_s = loop.server.options.idle_timeout_s
        self.service = ExitStack()
        self.connection = self.service.enter_context(loop.server.serving(client))
        self.unsent = memoryview(self.connection.greeting)
        self.lines_timed = -1
        self.input_deadline = 0.0
        self.to_discard = LINGER_BYTES
        self.when_ready = self.send

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
        if question := self.connection.question:
            self.wait_for(self.event & EVENT_READ, self.look_away, inf)
            self.pool.ask(question, self.answered)
            return
        if self.connection.lines_completed > self.lines_timed:
            self.lines_timed = self.connection.lines_completed
            self.input_deadline = monotonic() + self.idle_timeout_s
        if self.connection.closed:
            self.hang_up()
        else:
            self.wait_for(EVENT_READ, self.receive, self.input_deadline)

    def look_away(self) -> None:
        """There is more input, and nothing more is read before the question is answered."""
        self.wait_for(0, self.look_away, inf)

    def answered(self, answer: bytes) -> None:
        """Pass the answer on, and go on behind the question."""
        self.unsent = memoryview(self.connection.receive_answer(answer))
        self.step(self.send)

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
        super().close()
        self.loop.clients.discard(self)


if __name__ == "__main__":
    run(serve)
