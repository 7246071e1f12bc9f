"""Processes: workers forked beforehand share the listener, one for each core, with a thread per client in each.

Python runs on all cores at once, since each worker has an interpreter lock of its own. It costs the memory of several
interpreters, and clients of different workers share nothing.

The workers inherit one listener. With SO_REUSEPORT each would have a queue of its own: a client that the kernel deals to
a full worker would wait there, while another worker has a place free.

- Who accepts: the main thread of any worker that has taken a place from all workers' common stock.
- Who decides to switch: the kernel; within a worker also the interpreter lock, at any bytecode.
- Where it can wait: each thread for itself, in recv() and send().
- What pushes back on a slow reader: send() blocks its thread, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
- What ends the server: a stop ends the listener for all workers, which shows them that they are to end their clients'
  input and leave when these are gone; if the parent ends, in whatever way, so do they, at once.
"""

import os
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Semaphore
from select import poll
from signal import SIG_BLOCK, pthread_sigmask
from socket import SHUT_WR, socket
from threading import Thread
from time import monotonic, sleep
from typing import cast

from implementations.server import (
    DELIVERY_CHECK_S,
    LINGER_BYTES,
    LINGER_S,
    RECEIVE_BYTES,
    STOP_SIGNALS,
    TICKS,
    Server,
    fail,
    pause_after,
    run,
    undelivered_bytes,
    wake_on_silence,
)


class Workers:
    """The parent's part: it serves nobody, it starts workers and awaits them."""

    processes: list[ForkProcess]

    def start(self, server: Server) -> None:
        """Fork a worker for each core, while there is but one thread, and wait until all are ready."""
        # Workers inherit this mask: Ctrl-C reaches them, too, and is the parent's affair.
        pthread_sigmask(SIG_BLOCK, STOP_SIGNALS)
        context = get_context("fork")
        places, ready = context.Semaphore(server.options.max_clients), context.Semaphore(0)
        cores = len(os.sched_getaffinity(0))
        self.processes = [context.Process(target=work, args=(server, places, ready)) for _ in range(cores)]
        for process in self.processes:
            process.start()
        for _ in self.processes:
            ready.acquire()

    def wait(self, server: Server) -> None:
        """Wait for all of them to end; one that does so without being told to takes the server with it."""
        running = {process.sentinel: process for process in self.processes}
        while running:
            for sentinel in wait(running):
                process = running.pop(cast("int", sentinel))
                process.join()
                if not server.stopping:
                    for other in running.values():
                        other.kill()
                    fail(1, f"worker {process.pid} has ended, exit code {process.exitcode}")


def work(server: Server, places: Semaphore, ready: Semaphore) -> None:
    """Accept a client whenever there is a place for it, and give it a thread: a worker's life."""
    Thread(target=follow_parent, args=(server,), daemon=True).start()
    ready.release()

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
                return  # the process ends when its threads have
            sleep(pause_after(error))
            continue
        Thread(target=occupy_place, args=(client,)).start()


def follow_parent(server: Server) -> None:
    """Stop when the parent has shut the listener, which all share; end at once when the parent has ended."""
    hung_up = poll()
    hung_up.register(server.listener, 0)
    hung_up.register(parent_process().sentinel, 0)  # type: ignore[union-attr] # a worker has one
    while True:
        for descriptor, _ in hung_up.poll():
            if descriptor != server.listener.fileno():
                os._exit(1)
            hung_up.unregister(descriptor)
            Thread(target=server.stop, name="stop", daemon=True).start()


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
    workers = Workers()
    run(workers.wait, prepare=workers.start)
