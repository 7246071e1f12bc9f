"""A server that takes 20 ms with each client it accepts, and has a queue of `BACKLOG` for the others.

When the queue is full the kernel drops the SYN of whoever comes next. That client's kernel sends it again after 1 s, and
again 2 s later: nobody is refused, but some wait.
"""

import socket
import sys
import time
from typing import Final

WORK_S: Final = 0.02


def main() -> None:
    """Accept for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=int(sys.argv[1])) as listener:
        print(listener.getsockname()[1], flush=True)
        clients = []
        while True:
            clients.append(listener.accept()[0])
            time.sleep(WORK_S)


if __name__ == "__main__":
    main()
