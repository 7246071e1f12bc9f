"""A server with a process for each client: the one here that is parallel, to see that its case can be passed.

usage: forking.py PORT
"""

import os
import signal
import socket
import sys
from contextlib import suppress

from implementations.protocol import Connection


def serve(client: socket.socket) -> None:
    """Serve one client, and end the process."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = Connection()
    with suppress(OSError):
        client.sendall(connection.greeting)
        while not connection.closed:
            client.sendall(connection.receive_data(client.recv(16384)))
    os._exit(0)


def main() -> None:
    """Accept, and fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("Server up, running, and waiting for call on 127.0.0.1", listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        if not os.fork():
            serve(client)
        client.close()


if __name__ == "__main__":
    main()
