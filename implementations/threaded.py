"""Threaded: one thread per client; each handler is written as if it were alone.

The code of the blocking server, for many clients. It costs a stack and two kernel switches a request, and only one
thread at a time runs Python.

- Who accepts: the main thread, which starts a thread for each client.
- Who decides to switch: the kernel, at any instruction; the interpreter lock, at any bytecode.
- Where it can wait: each thread for itself, in recv() and send().
- What pushes back on a slow reader: send() blocks its thread, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
- What ends the server: a stop ends the input of all clients and of the listener; then every place is awaited.
"""

from contextlib import suppress
from socket import SHUT_WR, socket
from threading import Semaphore
from time import monotonic, sleep

from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    RETRY_S,
    TICKS,
    Server,
    pause_after,
    run,
    start_thread,
    undelivered_bytes,
    wake_on_silence,
)


def serve(server: Server) -> None:
    """Accept a client whenever there is a place for it, and give it a thread."""
    places = Semaphore(server.options.max_clients)

    def occupy_place(client: socket) -> None:
        try:
            handle(client, server)
        finally:
            places.release()

    while True:
        places.acquire()
        try:
            client, _ = server.listener.accept()
        except (OSError, MemoryError) as error:
            places.release()
            if server.stopping:
                break
            sleep(pause_after(error))
            continue
        while not start_thread(occupy_place, client):
            sleep(RETRY_S)  # out of threads: they come back when others leave
    for _ in range(server.options.max_clients):
        places.acquire()


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
    run(serve)
