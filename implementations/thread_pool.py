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

from threading import Lock, Semaphore
from time import sleep

from implementations.blocking_handler import handle
from implementations.relays.threads import Pool
from implementations.server import Server, fail, pause_after, run, start_thread

POOL_THREADS = 64


class Threads:
    """A thread for each place, all of which are there before the server is ready."""

    def __init__(self) -> None:
        """Begin with no threads."""
        self.turn = Lock()  # who waits in accept() has a descriptor in hand: there should not be 64 of these
        self.ended = Semaphore(0)

    def start(self, server: Server) -> None:
        """Start all threads, and the one that waits for signals; nobody is served by half a pool."""
        pool = Pool(server.options.upstream)
        with self.turn:
            for number in range(server.options.max_clients):
                if not start_thread(self.serve_clients, server, pool):
                    fail(1, f"cannot start: {number} of {server.options.max_clients} threads are to be had")
            server.stop_on_signal()

    def serve_clients(self, server: Server, pool: Pool) -> None:
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
            handle(client, server, pool)
        self.ended.release()

    def wait(self, server: Server) -> None:
        """Await all threads."""
        for _ in range(server.options.max_clients):
            self.ended.acquire()


if __name__ == "__main__":
    threads = Threads()
    run(threads.wait, most_clients=POOL_THREADS, prepare=threads.start)
