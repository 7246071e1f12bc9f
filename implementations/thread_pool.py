"""Thread pool: a fixed number of threads, each of which serves one client to its end, then the next.

The blocking server, several times over: memory and switches are bounded, however many clients come. It costs those
beyond the threads their place: like all but one of the blocking server's, they wait in the listen queue, without a
greeting, until a thread is free, and a few idle clients can keep all others out.

- Who accepts: a thread that has no client; one at a time, by turns.
- Who decides to switch: the kernel, at any instruction; the interpreter lock, at any bytecode.
- Where it can wait: each thread for itself, in accept(), recv() and send(), or for its turn to accept.
- What pushes back on a slow reader: send() blocks its thread, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
- What ends the server: a stop ends the input of all clients and of the listener; then every thread is awaited.
"""

from contextlib import suppress
from socket import SHUT_WR, socket
from threading import Lock, Semaphore
from time import monotonic, sleep

from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    TICKS,
    Server,
    fail,
    pause_after,
    run,
    start_thread,
    undelivered_bytes,
    wake_on_silence,
)

POOL_THREADS = 64


class Pool:
    """A thread for each place, all of which are there before the server is ready."""

    def __init__(self) -> None:
        """Begin with no threads."""
        self.turn = Lock()  # who waits in accept() has a descriptor in hand: there should not be 64 of these
        self.ended = Semaphore(0)

    def start(self, server: Server) -> None:
        """Start all threads, and the one that waits for signals; nobody is served by half a pool."""
        with self.turn:
            for number in range(server.options.max_clients):
                if not start_thread(self.serve_clients, server):
                    fail(1, f"cannot start: {number} of {server.options.max_clients} threads are to be had")
            server.stop_on_signal()

    def serve_clients(self, server: Server) -> None:
        """Accept one client after the other: the life of a thread."""
        while True:
            with self.turn:
                try:
                    client, _ = server.listener.accept()
                except (OSError, MemoryError) as error:
                    if server.stopping:
                        break
                    sleep(pause_after(error))
                    continue
            handle(client, server)
        self.ended.release()

    def wait(self, server: Server) -> None:
        """Await all threads."""
        for _ in range(server.options.max_clients):
            self.ended.acquire()


def handle(client: socket, server: Server) -> None:
    """Serve one client to its end. If it resets, vanishes or falls silent (all OSError), that harms nobody else."""
    idle_timeout_s = server.options.idle_timeout_s
    with client, suppress(OSError, MemoryError):
        wake_on_silence(client, idle_timeout_s)
        with server.serving(client) as connection:
            send(client, connection.greeting)
            deadline = monotonic() + idle_timeout_s
            while not connection.closed:
                data = receive(client, deadline)
                if server.stopping and not data:
                    break
                lines_before = connection.lines_completed
                send(client, connection.receive_data(data))
                if connection.lines_completed > lines_before:
                    deadline = monotonic() + idle_timeout_s
        hang_up(client, server)


def receive(client: socket, deadline: float) -> bytes:
    """Wait for input, but not past the deadline, however often single bytes come."""
    while monotonic() < deadline:
        try:
            return client.recv(RECEIVE_BYTES)
        except BlockingIOError:
            continue
    raise TimeoutError


def send(client: socket, replies: bytes) -> None:
    """Send everything; give up when the kernel has taken nothing for a whole idle timeout."""
    unsent = memoryview(replies)
    silent_ticks = 0
    while unsent:
        try:
            unsent = unsent[client.send(unsent) :]
            silent_ticks = 0
        except BlockingIOError:
            silent_ticks += 1
            if silent_ticks == TICKS:
                raise TimeoutError from None


def hang_up(client: socket, server: Server) -> None:
    """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
    while server.stopping and undelivered_bytes(client):
        sleep(DELIVERY_CHECK_S)
    client.shutdown(SHUT_WR)
    deadline = monotonic() + LINGER_S
    to_discard = LINGER_BYTES
    while to_discard > 0 and (patience_s := deadline - monotonic()) > 0:
        client.settimeout(patience_s)
        data = client.recv(RECEIVE_BYTES)
        if not data:
            break
        to_discard -= len(data)


if __name__ == "__main__":
    pool = Pool()
    run(pool.wait, most_clients=POOL_THREADS, prepare=pool.start)
