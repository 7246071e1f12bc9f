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

from socket import socket
from threading import Semaphore
from time import sleep

from implementations.blocking_handler import handle
from implementations.relays.threads import Pool
from implementations.server import RETRY_S, Server, pause_after, run, start_thread


def serve(server: Server) -> None:
    """Accept a client whenever there is a place for it, and give it a thread."""
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


if __name__ == "__main__":
    run(serve)
