"""An echo server with a thread for each client and a pool of few turns, each of which takes a while: `semaphore` or `handed`.

A request that begins with `b` takes many turns, one after the other, as a handler does that asks a database row by row. With a
semaphore a turn that comes free is anybody's: the thread that gave it back has it again before one that waits has woken
up. Handed over, it is the longest waiting one's from the beginning.
"""

import socket
import sys
import time
from collections import deque
from threading import Lock, Semaphore, Thread
from typing import Final, Protocol

TURNS: Final = 2
TURN_S: Final = 0.002
IN_A_ROW: Final = 50


class Turns(Protocol):
    """So many may be under way at a time."""

    def acquire(self) -> object:
        """Wait for a turn."""

    def release(self) -> object:
        """Give it back."""


class Handed:
    """Turns that go to who has waited longest."""

    def __init__(self, count: int) -> None:
        """Begin with nobody under way."""
        self.free = count
        self.waiting: deque[Lock] = deque()
        self.changing = Lock()

    def acquire(self) -> None:
        """Wait for a turn."""
        with self.changing:
            if self.free:
                self.free -= 1
                return
            baton = Lock()
            baton.acquire()
            self.waiting.append(baton)
        baton.acquire()

    def release(self) -> None:
        """Hand it on."""
        with self.changing:
            if self.waiting:
                self.waiting.popleft().release()
            else:
                self.free += 1


def handle(client: socket.socket, turns: Turns) -> None:
    """Echo; each reply takes a turn, or many."""
    with client:
        while data := client.recv(1024):
            for _ in range(IN_A_ROW if data[:1] == b"b" else 1):
                turns.acquire()
                time.sleep(TURN_S)
                turns.release()
            client.sendall(data)


def main() -> None:
    """Serve whoever comes."""
    turns: Turns = Semaphore(TURNS) if sys.argv[1] == "semaphore" else Handed(TURNS)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            Thread(target=handle, args=(client, turns), daemon=True).start()


if __name__ == "__main__":
    main()
