"""The probe: a light client in a process of its own, so that the harness's other work does not spoil its figures.

It sends a numbered request, waits for the reply and checks it, every 10 ms or so. Run as `python -m
harness.experiments.faults.probe HOST PORT PATIENCE_S`: it writes "ready" when it has been served once, and its figures as JSON once its
standard input says anything, or ends.
"""

import gc
import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import Final, Self

from harness.conformance.violations import Violation
from harness.errors import LaunchError
from harness.experiments.faults.accounts import Accounts, ProbeFigures
from harness.machine.connections import Address
from harness.machine.guard import be_guarded
from harness.oracle import GREETING
from harness.record import PROJECT

INTERVAL_S: Final = 0.01
RECEIVE_BYTES: Final = 65536

clock = time.monotonic_ns


class Probe:
    """The probe as the harness sees it: connected while the context lasts.

    Attributes:
        figures: what it noticed; known when the context has ended.
    """

    def __init__(self, address: Address, patience_s: float) -> None:
        """Take the server's address, and how long a reply may take before it counts as lost."""
        self.figures = ProbeFigures()
        self._command = [
            sys.executable,
            "-m",
            "harness.experiments.faults.probe",
            *map(str, (*address, patience_s)),
        ]

    def __enter__(self) -> Self:
        """Wait until it has been served once; Violation if it is not even greeted."""
        be_guarded()
        self._process = subprocess.Popen(
            self._command,
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            process_group=0,  # Ctrl-C is for the harness, which then ends it
        )
        said = self._process.stdout.readline().strip() if self._process.stdout else ""
        if said != "ready":
            self._end()
            raise Violation(f"the probe was not served: {said or 'it ended'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Ask for its figures, unless something worse than a finding is on its way."""
        try:
            if kind is None or issubclass(kind, Exception):
                said, _ = self._process.communicate("stop\n")
                if not said:
                    raise LaunchError("the probe has ended by itself")
                self.figures = figures_from(said)
        finally:
            self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()


def figures_from(text: str) -> ProbeFigures:
    """Read the figures as the probe wrote them."""
    given = json.loads(text)
    return ProbeFigures(**given | {"unanswered_ns": tuple(given["unanswered_ns"])})


def ask_on(connection: socket.socket, books: Accounts, patience_s: float) -> bool:
    """Ask and check, until standard input says that it is enough; tell whether the server had enough before."""
    enough = select.poll()
    enough.register(sys.stdin, select.POLLIN)
    while not enough.poll(INTERVAL_S * 1000):
        if not ask_once(connection, books, patience_s):
            return True
    return False


def ask_once(connection: socket.socket, books: Accounts, patience_s: float) -> bool:
    """Ask and check once; tell whether the connection still stands."""
    begun_ns = clock()
    request = books.ask(begun_ns)
    try:
        connection.sendall(request)
        books.sent(request, clock())
        return hear_reply(connection, books, begun_ns + int(patience_s * 1e9))
    except OSError:
        return False


def hear_reply(connection: socket.socket, books: Accounts, until_ns: int) -> bool:
    """Wait until nothing is unanswered, but not for ever; tell whether the connection still stands."""
    readable = select.poll()
    readable.register(connection, select.POLLIN)
    while True:
        # Once there is a reply, one more look: what comes when nothing is asked for is too much.
        left_ns = until_ns - clock() if books.waiting else 0
        if not readable.poll(max(0.0, left_ns / 1e6)):
            return True
        data = connection.recv(RECEIVE_BYTES)
        books.hear(data, clock())
        if not data:
            return False


def connected(host: str, port: int, patience_s: float) -> socket.socket:
    """Return a connection that has been greeted; OSError says why there is none."""
    connection = socket.create_connection((host, port), patience_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    greeting = connection.recv(len(GREETING), socket.MSG_WAITALL)
    if greeting != GREETING:
        raise ConnectionError(f"greeted with {greeting!r}")
    return connection


def main() -> None:
    """Be the probe."""
    host, port, patience_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    try:
        connection = connected(host, port, patience_s)
    except OSError as error:
        print(error.strerror or error)
        return
    gc.disable()
    books = Accounts()
    with connection:
        stands = ask_once(connection, books, patience_s)
        print("ready", flush=True)
        cut_off = not stands or ask_on(connection, books, patience_s)
        sys.stdin.readline()
        print(json.dumps(asdict(books.figures(cut_off=cut_off))), flush=True)


if __name__ == "__main__":
    main()
