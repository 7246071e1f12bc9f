"""A loop in one thread that answers light requests at once and costly ones after a computation: `inline`, or `apart`.

Inline, everybody waits for the end of whatever is being worked on. Apart, a process does the work and the loop goes on.
A costly request begins with `c`.
"""

import os
import selectors
import signal
import socket
import sys
import time
from typing import Final

COST_S: Final = 0.05


def compute() -> None:
    """Take so much CPU time."""
    enough = time.process_time() + COST_S
    while time.process_time() < enough:
        pass


def answer(client: socket.socket, data: bytes, *, apart: bool) -> None:
    """Echo; a costly request is worked on before that."""
    if data[:1] != b"c":
        client.sendall(data)
    elif not apart:
        compute()
        client.sendall(data)
    elif not os.fork():
        compute()
        client.sendall(data)
        os._exit(0)


def main() -> None:
    """Serve whoever comes."""
    apart = sys.argv[1] == "apart"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for these children
    with socket.create_server(("127.0.0.1", 0)) as listener, selectors.DefaultSelector() as selector:
        print(listener.getsockname()[1], flush=True)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    selector.register(client, selectors.EVENT_READ)
                    continue
                client = key.fileobj  # type: ignore[assignment] # only sockets are registered
                if data := client.recv(1024):
                    answer(client, data, apart=apart)
                else:
                    selector.unregister(client)
                    client.close()


if __name__ == "__main__":
    main()
