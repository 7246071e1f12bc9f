"""The handler of the blocking family: one client, served to its end, by code that waits wherever it has to.

It is the same for the servers called blocking, threaded, thread_pool and processes: which thread runs it, and what runs
beside it, is all that they differ by. A relay's handler is the same again: it waits in ask(), too.
"""

from contextlib import suppress
from socket import SHUT_WR, socket
from time import monotonic, sleep

from implementations.relays.threads import Pool
from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    TICKS,
    Server,
    undelivered_bytes,
    wake_on_silence,
)


def handle(client: socket, server: Server, pool: Pool) -> None:
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
                while question := connection.question:
                    send(client, connection.receive_answer(pool.ask(question)))
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
