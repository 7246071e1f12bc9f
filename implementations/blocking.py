"""Blocking: serve one client to its end, then the next; all others wait in the listen queue.

The simplest server there is. It costs the least of all per request, and while one client thinks, nobody is served.

- Who accepts: the only thread, between two clients.
- Who decides to switch: nobody; there is nothing to switch to.
- Where it can wait: in accept(), recv() and send().
- What pushes back on a slow reader: send() blocks, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
- What ends the server: a stop ends the input of the client and of the listener.
"""

from time import sleep

from implementations.blocking_handler import handle
from implementations.relays.threads import Pool
from implementations.server import Server, pause_after, run


def serve(server: Server) -> None:
    """Accept one client after the other."""
    pool = Pool(server.options.upstream)
    while True:
        try:
            client, _ = server.listener.accept()
        except (OSError, MemoryError) as error:
            if server.stopping:
                return
            sleep(pause_after(error))
            continue
        handle(client, server, pool)


if __name__ == "__main__":
    run(serve, most_clients=1)
