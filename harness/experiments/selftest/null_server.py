"""A server of which the truth is known: canned replies at once, after a delay, or after some extra work; and it counts.

One thread and epoll, no more work for a request than Python needs to hand out bytes that it has handed out before. It
is no model of a server: it answers from memory, and only what it has not heard before through the protocol's core.

Run as `python -m harness.experiments.selftest.null_server --port 0 [--work LOOPS] [--delay-ms MS] [--count-file FILE]`.
"""

import argparse
import json
import signal
import socket
import sys
import time
from itertools import repeat
from pathlib import Path
from select import EPOLLIN, epoll
from typing import Final

from harness.launch.candidates import HOST, Candidate
from implementations.protocol import Connection

NULL_SERVER: Final = "harness.experiments.selftest.null_server"
LISTS: Final = b"0123456789+-,\n"
RECEIVE_BYTES: Final = 65_536
MOST_REMEMBERED: Final = 20_000


def null(label: str, *, work: int = 0, delay_ms: float = 0.0, count_file: str = "") -> Candidate:
    """Return a null server to launch.

    Args:
        label: its name.
        work: turns of an empty loop for each request.
        delay_ms: to wait before each reply, which keeps all other clients waiting, too.
        count_file: where it writes, when stopped, how many lines each connection sent, as JSON.
    """
    options = ["--work", str(work), "--delay-ms", f"{delay_ms:g}", "--count-file", count_file]
    command = (sys.executable, "-m", NULL_SERVER, "--port", "{port}", *options)
    return Candidate(label, command, frozenset({"concurrent"}), announces=True)


class NullClient:
    """One connection, with what was counted of it."""

    __slots__ = ("connection", "lines", "socket", "whole")

    def __init__(self, connected: socket.socket) -> None:
        """Begin with nothing heard."""
        self.socket = connected
        self.connection = Connection()
        self.lines = 0
        self.whole = True  # nothing is left of a line that has not ended


def serve(listener: socket.socket, work: int, delay_s: float, lines: list[int]) -> None:
    """Serve until a signal raises SystemExit; then `lines` has how many each connection sent, in order of arrival."""
    poller = epoll()
    poller.register(listener, EPOLLIN)
    clients: dict[int, NullClient] = {}
    remembered: dict[bytes, bytes] = {}
    accepted: list[NullClient] = []
    try:
        while True:
            for descriptor, _ in poller.poll():
                if descriptor == listener.fileno():
                    client = NullClient(listener.accept()[0])
                    client.socket.sendall(Connection.greeting)
                    clients[client.socket.fileno()] = client
                    accepted.append(client)
                    poller.register(client.socket, EPOLLIN)
                    continue
                client = clients[descriptor]
                try:
                    data = client.socket.recv(RECEIVE_BYTES)
                except ConnectionResetError:
                    data = b""
                replies = remembered.get(data) if client.whole else None
                if replies is None:
                    replies = answer(client, data, remembered)
                count = data.count(b"\n")
                client.lines += count
                for _ in repeat(None, work * count):
                    pass
                if delay_s:
                    time.sleep(delay_s)
                if replies:
                    client.socket.sendall(replies)
                if not data:
                    poller.unregister(descriptor)
                    clients.pop(descriptor).socket.close()
    finally:
        lines += [client.lines for client in accepted]


def answer(client: NullClient, data: bytes, remembered: dict[bytes, bytes]) -> bytes:
    """Work out replies, and remember those that depend on nothing but the request: whole lists of integers."""
    replies = client.connection.receive_data(data)
    begun_whole, client.whole = client.whole, data.endswith(b"\n")
    of_lists = begun_whole and client.whole and not data.translate(None, LISTS)
    if of_lists and len(remembered) < MOST_REMEMBERED:
        remembered[data] = replies
    return replies


def main() -> None:
    """Run the server in the foreground."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--work", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--count-file", default="")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lines: list[int] = []
    with socket.create_server((HOST, options.port), backlog=1024) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listener.getsockname()[1]
        print(f"Server up, running, and waiting for call on {HOST} {port}", flush=True)
        try:
            serve(listener, options.work, options.delay_ms / 1e3, lines)
        finally:
            if options.count_file:
                Path(options.count_file).write_text(json.dumps(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
