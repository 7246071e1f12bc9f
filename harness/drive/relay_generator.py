"""The load generator for relays: its process is the upstream as well, so that one clock sees every time of a request.

Run as `python -m harness.drive.relay_generator`. It reads an `UpstreamOrder` as one line of JSON from standard input, listens,
and writes `{"event": "listening"}` with its address. From then on it answers what is asked of it, also while nobody is loaded.
A `LoadOrder` and `Turn`s follow as with `harness.drive.generator`, and after "left" the next `UpstreamOrder`.
"""

import math
import os
from collections.abc import Iterator
from select import EPOLLIN, epoll
from socket import socket
from typing import Final

import msgspec

from harness.drive.client import CONNECT_LIMIT_S
from harness.drive.generator import (
    EXPECTED_RATE,
    LONGEST_PREALLOCATION_S,
    carry_out,
    connected_clients,
    get_ready,
)
from harness.drive.journal import Journal
from harness.drive.loops.relayed import AroundUpstream, RelayedLoop, RelayedOpenLoop
from harness.drive.orders import LoadOrder, UpstreamOrder
from harness.drive.pipe import failures_told, tell
from harness.drive.questions import Questions, waits_ns
from harness.drive.script import Script, own_lines
from harness.drive.upstream import Upstream, clock
from harness.plan import CLOSED

STANDARD_INPUT: Final = 0
CHUNK_BYTES: Final = 65_536


class Desk:
    """The upstream of one server, and what its clients say."""

    def __init__(self, order: UpstreamOrder, poller: epoll) -> None:
        """Listen."""
        self._poller = poller
        self._scripts = [Script(None, 1, own_lines(client)) for client in range(order.clients)]
        known = {
            line: (client, reply)
            for client, script in enumerate(self._scripts)
            for line, reply, _, _ in script.full_asks
        }
        self.upstream = Upstream(poller, Questions(waits_ns(order.waiting, order.seed)), known=known)

    def connected_loop(self, order: LoadOrder) -> AroundUpstream:
        """Prepare all that can be prepared, and connect all clients; ConnectError says why that failed."""
        load = order.load
        total_s = min(load.lasts_s, LONGEST_PREALLOCATION_S)
        capacity = int(total_s * min(load.ceiling_rps, EXPECTED_RATE)) + order.clients
        journal = Journal(capacity)
        clients = connected_clients(order, self._scripts, journal, self.answer_until_greeted)
        loop = RelayedLoop if load.arrivals == CLOSED else RelayedOpenLoop
        return loop(order, self._poller, clients, journal, self.upstream)

    def answer_until_greeted(self, client: socket) -> None:
        """Answer what is asked until a client can be heard: a server may ask before it greets."""
        self.answer_until(client.fileno(), clock() + CONNECT_LIMIT_S * 1e9)

    def answer_until(self, descriptor: int, limit_ns: float) -> None:
        """Answer what is asked until there is something to read elsewhere, or until a time."""
        self._poller.register(descriptor, EPOLLIN)
        found = False
        while not found and clock() < limit_ns:
            for ready, _ in self.upstream.await_events(limit_ns):
                if ready == descriptor:
                    found = True
                else:
                    self.upstream.attend(ready)
        self._poller.unregister(descriptor)


class Instructions:
    """Lines of standard input; while there are none, a desk does its work."""

    def __init__(self) -> None:
        """Begin without a desk."""
        self.desk: Desk | None = None
        self._unread = b""

    def __iter__(self) -> Iterator[str]:
        """Return itself."""
        return self

    def __next__(self) -> str:
        """Return the next line."""
        while b"\n" not in self._unread:
            if self.desk is not None:
                self.desk.answer_until(STANDARD_INPUT, math.inf)
            data = os.read(STANDARD_INPUT, CHUNK_BYTES)
            if not data:
                raise StopIteration
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()


def main() -> None:
    """Take orders from standard input, and carry them out."""
    get_ready()
    poller = epoll()  # before all sockets, since select() takes no descriptor above 1023
    instructions = Instructions()
    for line in instructions:
        instructions.desk = desk = Desk(msgspec.json.decode(line, type=UpstreamOrder), poller)
        host, port = desk.upstream.address
        tell("listening", host=host, port=port)
        if (order := next(instructions, None)) is not None:
            carry_out(msgspec.json.decode(order, type=LoadOrder), instructions, desk.connected_loop)
        desk.upstream.close()
        instructions.desk = None


if __name__ == "__main__":
    with failures_told():
        main()
