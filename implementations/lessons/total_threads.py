"""A total that all clients share, and a thread for each client: how numbers get lost, how threads stop each other for ever.

A client sends lists of integers, and may ask for the `total` of all lists of all clients, and in the last two for the `mean`.
"""

from collections.abc import Callable
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock
from typing import Final

PATIENCE_S: Final = 0.5


class DeadlockError(Exception):
    """Somebody has a lock and cannot have another: perhaps whoever has that one waits for the first."""


def add_up(line: str) -> int:
    """Return the sum of a list; ValueError if it is not one."""
    return sum(int(item) for item in line.split(","))


class Race:
    """`self.total += add_up(line)`: reads the old total, adds up the list, writes the new total, in this order."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.total = 0

    def add(self, line: str) -> None:
        """Add a list. Whatever others write between the reading and the writing is overwritten, and lost."""
        self.total += add_up(line)


class Locked(Race):
    """The list is added up first; then a lock, which one thread can have at a time, is held from reading to writing."""

    def __init__(self) -> None:
        """Begin with nothing, and nobody has the lock."""
        super().__init__()
        self.lock = Lock()

    def add(self, line: str) -> None:
        """Add a list. Adding up needs no lock: it touches nothing that others have."""
        number = add_up(line)
        with self.lock:
            self.total += number


class Deadlock(Race):
    """Two locks: add() takes that of the total, then that of the count; mean() takes them the other way round."""

    def __init__(self) -> None:
        """Begin with nothing, and nobody has a lock."""
        super().__init__()
        self.count = 0
        self.total_lock = Lock()
        self.count_lock = Lock()

    def add(self, line: str) -> None:
        """Add a list, and count it. This waits as long as it takes: a list must not be lost."""
        with self.total_lock:
            self.total += add_up(line)
            with self.count_lock:
                self.count += 1

    def mean(self) -> float:
        """Return the mean of all lists. A question may give up, so this is where a deadlock ends: DeadlockError."""
        with self.count_lock:
            if not self.total_lock.acquire(timeout=PATIENCE_S):
                waited = f"has waited {PATIENCE_S} s for that of the total"
                raise DeadlockError(f"mean() has the lock of the count, and {waited}")
            try:
                return self.total / max(1, self.count)
            finally:
                self.total_lock.release()


class Ordered(Deadlock):
    """Two locks, which everybody takes in the same order: first that of the total, then that of the count."""

    def mean(self) -> float:
        """Return the mean of all lists."""
        with self.total_lock, self.count_lock:
            return self.total / max(1, self.count)


VARIANTS: Final[dict[str, Callable[[], Race]]] = {
    "race": Race,
    "lock": Locked,
    "deadlock": Deadlock,
    "order": Ordered,
}


def answer(line: str, shared: Race) -> str:
    """Return the answer to a line."""
    if line == "quit":
        return "connection closed"
    if line == "total":
        return f"Total of all lists: '{shared.total}'"
    try:
        if line == "mean" and isinstance(shared, Deadlock):
            return f"Mean of all lists: '{shared.mean()}'"
        shared.add(line)
    except ValueError:
        return "ERROR. Enter only integers separated by commas"
    except DeadlockError as error:
        return f"ERROR. {error}"
    return "<added>"


class Listener(ThreadingTCPServer):
    """The standard library's server that starts a thread for each client."""

    daemon_threads = True
    allow_reuse_address = True


def serve(shared: Race, port: int) -> None:
    """Serve until Ctrl-C; what is shared is shared by all handlers."""

    class Handler(StreamRequestHandler):
        """What a thread does for its client."""

        def handle(self) -> None:
            """Answer each line."""
            for received in self.rfile:
                line = received.decode(errors="replace").strip()
                self.wfile.write(f"{answer(line, shared)}\r\n".encode())
                if line == "quit":
                    break

    with Listener(("127.0.0.1", port), Handler) as listener:
        print("Server up, running, and waiting for call on", *listener.server_address, flush=True)
        listener.serve_forever()
