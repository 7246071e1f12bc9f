"""gevent: one thread, a greenlet per client; handlers that read as if they blocked, switched by the library.

The code of the threaded server on an event loop in C: a call that would block switches to another greenlet instead.
It costs a switch of stacks a request, and nothing in the code shows where it may happen; one long computation stops
everybody.

- Who accepts: the main greenlet, while there is a place.
- Who decides to switch: gevent's sockets, when a call would block; and sleep(0), so that a flood lets others run.
- Where it can wait: in recv() and send().
- What pushes back on a slow reader: send() blocks its greenlet, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
- What ends the server: a stop ends the input of all clients and of the listener; then every place is awaited.
"""

from contextlib import suppress
from math import inf
from socket import SHUT_WR
from time import monotonic

from gevent import sleep, spawn
from gevent.lock import Semaphore
from gevent.socket import fromfd, socket

from implementations.relays.greenlets import Pool
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


def serve(server: Server) -> None:
    """Accept a client whenever there is a place for it, and give it a greenlet."""
    listener = fromfd(server.listener.fileno(), server.listener.family, server.listener.type)
    places = Semaphore(server.options.max_clients)
    pool = Pool(server.options.upstream)

    def occupy_place(client: socket) -> None:
        try:
            handle(client, server, pool)
        finally:
            places.release()

    while True:
        places.acquire()
        try:
            client, _ = listener.accept()
        except (OSError, MemoryError) as error:
            places.release()
            if server.stopping:
                break
            sleep(pause_after(error))
            continue
        spawn(occupy_place, client)
    for _ in range(server.options.max_clients):
        places.acquire()


def handle(client: socket, server: Server, pool: Pool) -> None:
    """Serve one client to its end. If it resets, vanishes or falls silent (all OSError), that harms nobody else."""
    idle_timeout_s = server.options.idle_timeout_s
    with client, suppress(OSError, MemoryError):
        with server.serving(client) as connection:
            send(client, connection.greeting, idle_timeout_s)
            deadline = monotonic() + idle_timeout_s
            while not connection.closed:
                data = receive(client, deadline)
                if server.stopping and not data:
                    break
                lines_before = connection.lines_completed
                send(client, connection.receive_data(data), idle_timeout_s)
                while question := connection.question:
                    send(client, connection.receive_answer(pool.ask(question)), idle_timeout_s)
                if connection.lines_completed > lines_before:
                    deadline = monotonic() + idle_timeout_s
                sleep(0)
        hang_up(client, server)


def receive(client: socket, deadline: float) -> bytes:
    """Wait for input, but not past the deadline, however often single bytes come."""
    patience_s = deadline - monotonic()
    if patience_s <= 0:
        raise TimeoutError
    client.settimeout(None if patience_s == inf else patience_s)
    return client.recv(RECEIVE_BYTES)


def send(client: socket, replies: bytes, idle_timeout_s: float) -> None:
    """Send everything; give up when the kernel has taken nothing for a whole idle timeout."""
    unsent = memoryview(replies)
    if unsent:
        client.settimeout(None if idle_timeout_s == inf else idle_timeout_s)
    while unsent:
        unsent = unsent[client.send(unsent) :]


def hang_up(client: socket, server: Server) -> None:
    """Close in such a way that the last replies arrive, even if there is input that nobody will read."""
    while server.stopping and undelivered_bytes(client):
        sleep(DELIVERY_CHECK_S)
    client.shutdown(SHUT_WR)
    deadline = monotonic() + LINGER_S
    to_discard = LINGER_BYTES
    while to_discard > 0:
        data = receive(client, deadline)
        if not data:
            break
        to_discard -= len(data)


if __name__ == "__main__":
    run(serve)
