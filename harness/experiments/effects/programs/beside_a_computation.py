"""An echo server beside a computation that never ends: in a `thread` of the same interpreter, or in a `process`.

A thread that comes back from a system call needs the interpreter's lock, and gets it 5 ms later, when the one that
computes is made to let go: for a reply that is once after recv(), and once more after send().
"""

import os
import signal
import socket
import sys
from ctypes import CDLL
from threading import Thread
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def compute() -> None:
    """Keep a core busy."""
    number = 0
    while True:
        number += 1


def main() -> None:
    """Serve one client; `SECONDS` is the interval after which a thread is asked to let go."""
    where, seconds = sys.argv[1:]
    sys.setswitchinterval(float(seconds))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if where == "thread":
            Thread(target=compute, daemon=True).start()
        elif not os.fork():
            CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            compute()
        print(listener.getsockname()[1], flush=True)
        client, _ = listener.accept()
        with client:
            while data := client.recv(1024):
                client.sendall(data)


if __name__ == "__main__":
    main()
