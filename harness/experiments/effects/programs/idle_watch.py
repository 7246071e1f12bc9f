"""An echo server that also watches `IDLE` descriptors on which nothing ever happens: by `select`, or by `epoll`.

select() is handed all of them each time, looks at each of them, and builds its answer from scratch; epoll was told once.
"""

import os
import selectors
import socket
import sys


def main() -> None:
    """Serve one client."""
    how, idle = sys.argv[1], int(sys.argv[2])
    silent, _other_end = socket.socketpair()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        selectors.SelectSelector() if how == "select" else selectors.EpollSelector() as selector,
    ):
        for _ in range(idle):
            selector.register(os.dup(silent.fileno()), selectors.EVENT_READ)
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
        with client:
            selector.register(client, selectors.EVENT_READ)
            while selector.select():
                data = client.recv(1024)
                if not data:
                    break
                client.sendall(data)


if __name__ == "__main__":
    main()
