"""asyncio protocols: one thread, the standard library's event loop, and callbacks of a transport for each client.

The layer below streams: the loop reads, calls the protocol with what came, and buffers what it writes. It costs no
task and no switch, and the handler is taken apart into callbacks; one long computation stops everybody.

- Who accepts: the main task, while there is a place.
- Who decides to switch: each callback, by returning; nothing happens in between.
- Where it can wait: nowhere; the loop waits, for all.
- What pushes back on a slow reader: pause_writing() is called, and pauses reading until all replies are sent.
- What ends a connection: `quit`, end of input, an error, or its timer, which looks at the deadline when it is due.
- What ends the server: a stop ends the input of all clients and of the listener; then every place is awaited.
"""

import asyncio
from contextlib import ExitStack, suppress
from functools import partial
from socket import socket

from implementations.event_loop import run
from implementations.protocol import Connection, Question
from implementations.relays.drivers import Driver
from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    SLICE_BYTES,
    Server,
    pause_after,
    undelivered_bytes,
)


async def serve(server: Server, pool: Driver, *, buffered: bool = False) -> None:
    """Accept a client whenever there is a place for it, and give it a protocol."""
    handler = BufferedHandler if buffered else Handler
    server.listener.setblocking(False)
    loop = asyncio.get_running_loop()
    places = asyncio.Semaphore(server.options.max_clients)
    while True:
        await places.acquire()
        try:
            client, _ = await loop.sock_accept(server.listener)
        except (OSError, MemoryError) as error:
            places.release()
            if server.stopping:
                break
            await asyncio.sleep(pause_after(error))
            continue
        try:
            await loop.connect_accepted_socket(partial(handler, client, server, places, pool), client)
        except (OSError, MemoryError):
            client.close()
            places.release()
    for _ in range(server.options.max_clients):
        await places.acquire()


class Handler(asyncio.Protocol):
    """Serves one client to its end. If it resets, vanishes or falls silent, that harms nobody else."""

    transport: asyncio.Transport
    connection: Connection
    unsent: memoryview
    timer: asyncio.TimerHandle
    asking: asyncio.Task[None]

    def __init__(self, client: socket, server: Server, places: asyncio.Semaphore, pool: Driver) -> None:
        """Take over a client, and its place."""
        self.client, self.server, self.places, self.pool = client, server, places, pool
        self.loop = asyncio.get_running_loop()
        self.service = ExitStack()
        self.unhandled = b""
        self.deadline = 0.0
        self.lines_timed = 0
        self.writing_paused = self.input_ended = self.hanging_up = False
        self.to_discard = LINGER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # TCP reads and writes
        """Greet the client."""
        self.transport = transport
        self.connection = self.service.enter_context(self.server.serving(self.client))
        self.unsent = memoryview(self.connection.greeting)
        transport.set_write_buffer_limits(high=0)
        self.renew()
        self.timer = self.loop.call_at(self.deadline, self.look_at_the_clock)
        self.go_on()

    def data_received(self, data: bytes) -> None:
        """Answer input, but no more at once than a neighbour can wait for; while hanging up, throw it away."""
        if self.hanging_up:
            self.to_discard -= len(data)
            if self.to_discard <= 0:
                self.transport.close()
            return
        if self.connection.question:
            self.unhandled += data
            self.transport.pause_reading()
            return
        self.unhandled = data[RECEIVE_BYTES:]
        if self.unhandled:
            self.transport.pause_reading()
        self.unsent = memoryview(self.connection.receive_data(data[:RECEIVE_BYTES]))
        self.go_on()

    def eof_received(self) -> bool:
        """End the conversation; True leaves the other direction open."""
        self.input_ended = True
        if self.hanging_up:
            self.transport.close()
        elif not self.connection.question:
            self.end_input()
        return True

    def end_input(self) -> None:
        """Answer a last line, unless the end is the server's."""
        if self.server.stopping:
            self.hang_up()
        else:
            self.unsent = memoryview(self.connection.receive_data(b""))
            self.go_on()

    def pause_writing(self) -> None:
        """Stop reading: the kernel does not take all."""
        self.writing_paused = True
        self.transport.pause_reading()
        self.renew()

    def resume_writing(self) -> None:
        """Go on: the kernel has taken a slice."""
        self.writing_paused = False
        self.renew()
        self.loop.call_soon(self.go_on)  # to hang up in here would make the transport close twice

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - it is the peer's affair
        """Let go of everything."""
        self.service.close()
        self.timer.cancel()
        self.places.release()

    def go_on(self) -> None:
        """Send in slices; when the kernel has taken all, look for input again."""
        while self.unsent and not self.writing_paused and not self.transport.is_closing():
            self.transport.write(self.unsent[:SLICE_BYTES])
            self.unsent = self.unsent[SLICE_BYTES:]
        if self.unsent or self.writing_paused or self.transport.is_closing():
            return
        if self.connection.lines_completed > self.lines_timed:
            self.lines_timed = self.connection.lines_completed
            self.renew()
        if self.connection.question:
            self.asking = self.loop.create_task(self.ask(self.connection.question))
        elif self.connection.closed:
            self.hang_up()
        elif self.unhandled:
            self.loop.call_soon(self.data_received, self.unhandled)
        elif self.input_ended:
            self.end_input()
        else:
            self.transport.resume_reading()

    async def ask(self, question: Question) -> None:
        """Wait, which no callback can: a task passes the answer on, and goes on behind the question."""
        answer = await self.pool.ask(question)
        self.unsent = memoryview(self.connection.receive_answer(answer))
        self.renew()
        self.go_on()

    def renew(self) -> None:
        """Put the deadline off; the timer itself stays where it is, which costs nothing."""
        self.deadline = self.loop.time() + self.server.options.idle_timeout_s

    def look_at_the_clock(self) -> None:
        """Close if the deadline is over, and else look again when it will be; the clock stands still for a question."""
        if self.connection.question:
            self.renew()
        if self.loop.time() >= self.deadline:
            self.transport.abort()
        else:
            self.timer = self.loop.call_at(self.deadline, self.look_at_the_clock)

    def hang_up(self) -> None:
        """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
        self.hanging_up = True
        self.service.close()
        self.timer.cancel()  # delivery may outlast the idle timeout
        if self.server.stopping and undelivered_bytes(self.client):
            self.transport.pause_reading()
            self.timer = self.loop.call_later(DELIVERY_CHECK_S, self.hang_up)
        elif self.input_ended:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.resume_reading()
            with suppress(OSError):  # the client has just vanished, which reading will tell
                self.transport.write_eof()
            self.timer = self.loop.call_later(LINGER_S, self.transport.abort)


class BufferedHandler(Handler, asyncio.BufferedProtocol):
    """The same, but the loop receives into a buffer that all clients share: it is read before anybody else's turn comes.

    So no recv() has to make a large buffer for little input, nor a system call to get rid of it (python/cpython 85451).
    """

    shared = memoryview(bytearray(RECEIVE_BYTES))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - it is large enough
        """Say where to put what comes."""
        return self.shared

    def buffer_updated(self, nbytes: int) -> None:
        """Take out what has come."""
        self.data_received(bytes(self.shared[:nbytes]))


if __name__ == "__main__":
    run(serve, buffered=partial(serve, buffered=True))
