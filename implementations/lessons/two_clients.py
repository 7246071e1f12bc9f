"""The experiments with two clients of one server, both played here.

What happens is printed downwards, a column for each client: `>` marks what it types, the rest is what it receives.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from select import select
from socket import create_connection
from threading import Thread
from typing import IO, Final, NamedTuple

PROJECT: Final = Path(__file__).resolve().parents[2]
LIMIT_S: Final = 30.0
SILENCE_S: Final = 0.5
COLUMN_WIDTH: Final = 32

Address = tuple[str, int]


class Server(NamedTuple):
    """A server that has been started, and what it prints."""

    address: Address
    process: subprocess.Popen[str]
    output: IO[str]


@contextmanager
def started(server: str, *options: str, python: str = sys.executable) -> Iterator[Server]:
    """Run one of the servers for as long as the context lasts; its readiness line tells where it listens."""
    command = [python, "-m", f"implementations.{server}", "--port", "0", *options]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout  # noqa: S101 - it was started with a pipe
            *_, host, port = process.stdout.readline().split()
            yield Server((host, int(port)), process, process.stdout)
        finally:
            process.terminate()


@contextmanager
def running(server: str, *options: str, python: str = sys.executable) -> Iterator[Address]:
    """Run one of the servers, of which only the address matters."""
    with started(server, *options, python=python) as running_server:
        yield running_server.address


class Client:
    """One client, and its column."""

    def __init__(self, name: str, address: Address, *, is_shown: bool = True) -> None:
        """Connect, which succeeds even if nobody accepts: the kernel does it."""
        self.is_shown = is_shown
        self.indent = " " * COLUMN_WIDTH * "AB".index(name)
        self.socket = create_connection(address, LIMIT_S)
        self.replies = self.socket.makefile("rb")
        self.show(f"({name} connects)")

    def types(self, line: str) -> None:
        """Send a line, and wait for nothing."""
        self.show(f"> {line}")
        self.socket.sendall(line.encode() + b"\r\n")

    def receives(self, lines: int = 1) -> None:
        """Wait for so many lines."""
        for _ in range(lines):
            self.show(self.replies.readline().decode().rstrip("\r\n"))

    def asks(self, line: str) -> None:
        """Send a line, and wait for the answer."""
        self.types(line)
        self.receives()

    def looks(self) -> None:
        """Say whether anything has come; a reply that is on its way is given the time to arrive."""
        has_something, _, _ = select([self.socket], [], [], SILENCE_S)
        self.show("(something has come)" if has_something else "(nothing has come)")

    def answer_to(self, line: str) -> str:
        """Send a line, wait for the answer, and show neither."""
        self.socket.sendall(line.encode() + b"\r\n")
        return self.replies.readline().decode().rstrip("\r\n")

    def asks_often(self, line: str, times: int) -> None:
        """Send a line so many times without waiting, then wait for as many answers, and show nothing."""
        self.socket.sendall((line.encode() + b"\r\n") * times)
        for _ in range(times):
            self.replies.readline()

    def quits(self) -> None:
        """Say `quit`, and leave once the server has closed."""
        self.asks("quit")
        self.show("(closed)" if not self.replies.readline() else "(more has come)")
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.replies.close()
        self.socket.close()

    def show(self, text: str) -> None:
        """Print in this client's column."""
        if self.is_shown:
            print(f"{self.indent}{text}", flush=True)


def all_at_once(clients: Sequence[Client], line: str, times: int) -> None:
    """Let each of them, in a thread of its own, send a line so many times, and wait until all have all their answers."""
    asking = [Thread(target=client.asks_often, args=(line, times)) for client in clients]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
