"""A server whose reply goes out in two small writes: `nagle`, or `nodelay` for a socket with TCP_NODELAY.

Nagle's algorithm holds the second write back while the first is not acknowledged, and the client's kernel puts its
acknowledgement off for 40 ms, in the hope of sending it with some data.
"""

import socket
import sys


def main() -> None:
    """Serve one client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
        with client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, sys.argv[1] == "nodelay")
            while data := client.recv(1024):
                client.sendall(data[:1])
                client.sendall(data[1:])


if __name__ == "__main__":
    main()
