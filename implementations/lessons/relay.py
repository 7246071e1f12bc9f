"""What the four relays of lesson 10 share and what has nothing to do with how they wait: options, and telling where they are."""

import argparse
import linecache
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, create_server, socket
from types import FrameType
from typing import Final

Address = tuple[str, int]

RECEIVE_BYTES: Final = 16 * 1024
FOLDER: Final = str(Path(__file__).parent)
THAT_WAS_ALL: Final = "."


def address(text: str) -> Address:
    """Read HOST:PORT; ValueError if it is something else."""
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def start(serve: Callable[[socket, Address], None], where: Callable[[], Iterable[str]]) -> None:
    """Serve until Ctrl-C; at SIGUSR1 tell where the main thread stands, and then whatever else `where` knows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", type=address, required=True)
    options = parser.parse_args()

    def tell(_: int, interrupted: FrameType | None) -> None:
        print(
            f"the main thread: {standing_at(interrupted)}",
            *sorted(where()),
            THAT_WAS_ALL,
            sep="\n",
            flush=True,
        )

    signal.signal(signal.SIGUSR1, tell)
    with create_server(("127.0.0.1", options.port)) as listener, suppress(KeyboardInterrupt):
        print("Server up, running, and waiting for call on", *listener.getsockname(), flush=True)
        serve(listener, options.upstream)


def standing_at(frame: FrameType | None) -> str:
    """Return the line of these lessons that is being worked on in a frame, or in whatever has called it."""
    while frame and not frame.f_code.co_filename.startswith(FOLDER):
        frame = frame.f_back
    if frame is None:
        return "in no file of ours"
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f"{frame.f_code.co_name}() is at `{line}`"


@dataclass(eq=False)
class Peer:
    """A socket, and what has come from it and is not yet a line; for loops that receive when there is something."""

    socket: socket
    received: bytes = b""
    has_ended: bool = False

    def fileno(self) -> int:
        """Return the descriptor, for select()."""
        return self.socket.fileno()

    def receive(self) -> None:
        """Take what there is."""
        data = self.socket.recv(RECEIVE_BYTES)
        self.received += data
        self.has_ended = not data

    def has_line(self) -> bool:
        """Tell whether take_line() has something to say."""
        return self.has_ended or b"\n" in self.received

    def take_line(self) -> bytes:
        """Return the next line, or `b""` at the end."""
        line, ending, self.received = self.received.partition(b"\n")
        return line + ending


def connected(upstream: Address) -> Peer:
    """Return a connection to the upstream. This blocks; on one machine the kernel answers at once."""
    return Peer(create_connection(upstream))
