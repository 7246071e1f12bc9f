"""A model of several clients at one server: who must be served, who must wait, and what each must have received.

Every operation does something to the server and at once holds what came of it against the oracle.
"""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from harness.conformance.cases.replies import GOODBYE
from harness.conformance.fuzz.inputs import Ending, Pace
from harness.conformance.peer import Peer
from harness.conformance.shell import shown
from harness.conformance.target import Target
from harness.conformance.violations import Violation
from harness.machine.connections import input_of
from harness.oracle import GREETING, oracle

LONGEST_LINE_BYTES: Final = 4096
FITTING_BYTES: Final = 8 * 1024
"""Replies that the kernel holds even for a client with small buffers: they are no reason for a server to stop reading."""
READING_CHECK_S: Final = 0.0002


@dataclass(eq=False)
class ModelClient:
    """One client that is there.

    Attributes:
        peer: its connection.
        half_closed: it has ended its input.
    """

    peer: Peer
    half_closed: bool = False
    _answered: tuple[int, bool] = (0, False)
    _due: bytes = GREETING

    @property
    def due(self) -> bytes:
        """All that a server that serves it must have answered by now, without any further input."""
        state = len(self.peer.sent), self.half_closed
        if state != self._answered:  # the oracle is slow with much input
            sent = bytes(self.peer.sent)
            self._answered, self._due = state, oracle(sent if self.half_closed else answerable(sent))
        return self._due

    @property
    def has_quit(self) -> bool:
        """Tell whether it has said `quit`."""
        return self.due.endswith(GOODBYE)

    @property
    def is_leaving(self) -> bool:
        """Tell whether the server has nothing more to expect of it."""
        return self.half_closed or self.has_quit

    @property
    def missing(self) -> bytes:
        """What is due and has not come."""
        return self.due[len(self.peer.received) :]

    def __str__(self) -> str:
        """Say what it has done."""
        return f"sent {shown(self.peer.sent)}" + (", then half-closed" if self.half_closed else "")


def answerable(sent: bytes) -> bytes:
    """Return the part of a stream that must be answered now: complete lines, and one that is too long already."""
    complete, newline, unfinished = sent.rpartition(b"\n")
    certainly_too_long = len(unfinished) > LONGEST_LINE_BYTES + unfinished.endswith(b"\r")
    return sent if certainly_too_long else complete + newline


class ServerModel:
    """The clients of one server, in the order in which they came.

    A server that lacks `concurrent` serves them one at a time, in that order. One that says nothing about it may serve
    them either way.

    Attributes:
        clients: those who have not left.
    """

    def __init__(self, target: Target) -> None:
        """Begin with nobody."""
        self.clients: list[ModelClient] = []
        self._target = target
        self._declares = target.candidate.declares

    def connect(self, buffer_bytes: int | None = None) -> ModelClient:
        """Let one more client come; with small buffers, its not reading is soon felt."""
        client = ModelClient(Peer(self._target.address, self._target.patience_s, buffer_bytes))
        self.clients.append(client)
        return client

    def must_be_served(self, client: ModelClient) -> bool:
        """Tell whether it has a right to answers now."""
        is_concurrent = self._declares is not None and "concurrent" in self._declares
        return is_concurrent or client is self.clients[0]

    def must_wait(self, client: ModelClient) -> bool:
        """Tell whether it must get nothing yet; behind one that is leaving, it may be served or not."""
        lacks_concurrency = self._declares is not None and "concurrent" not in self._declares
        earlier = self.clients[: self.clients.index(client)]
        return lacks_concurrency and not all(other.is_leaving for other in earlier)

    def send(self, client: ModelClient, segment: bytes, pace: Pace = Pace.NOTHING) -> None:
        """Send a segment, and keep the pace if the server has to keep up with it."""
        with self._hanging_up_is_fine(client):
            client.peer.send(segment)
        if self.must_be_served(client) and pace is Pace.ANSWERS:
            self.catch_up(client)
        elif self.must_be_served(client) and pace is Pace.READING:
            self.await_reading(client)

    def await_reading(self, client: ModelClient) -> None:
        """Wait until the server has read all, unless it has a reason not to."""
        if client.is_leaving or len(client.missing) > FITTING_BYTES:
            return
        own_end, servers_end = client.peer._ends  # noqa: SLF001 - the suite's own client
        limit = time.monotonic() + self._target.patience_s
        while (found := input_of(servers_end, own_end)) and (
            found.unread_bytes or found.arrived_bytes < len(client.peer.sent)
        ):
            if time.monotonic() > limit:
                raise TimeoutError(f"{client}; the server does not read it")
            time.sleep(READING_CHECK_S)
        if not found:  # it is on another machine, or has hung up
            client.peer.await_delivery()

    def catch_up(self, client: ModelClient) -> None:
        """Wait for all that is due, if the client has a right to it now."""
        while self.must_be_served(client) and client.missing:
            if not client.peer.receive():
                raise Violation(f"{client}; the end came before {shown(client.missing)}")
            self.check(client)

    def read_some(self, client: ModelClient, most_bytes: int) -> None:
        """Read what has come, if anything has, but not more than so many bytes."""
        if client.peer.wait_for(select.POLLIN, 0):
            with self._hanging_up_is_fine(client):
                client.peer.receive(most_bytes)
        self.check(client)

    def half_close(self, client: ModelClient) -> None:
        """End its input, once."""
        if client.half_closed:
            return
        with self._hanging_up_is_fine(client):
            client.peer.half_close()
        client.half_closed = True

    def finish(self, client: ModelClient) -> None:
        """End its input, read to the end, and compare."""
        self.half_close(client)
        with self._hanging_up_is_fine(client):
            while client.peer.receive():
                self.check(client)
        if client.missing:
            raise Violation(f"{client}; the end came before {shown(client.missing)}")
        self.close(client)

    def reset(self, client: ModelClient) -> None:
        """Let it vanish."""
        self.clients.remove(client)
        client.peer.reset()

    def close(self, client: ModelClient) -> None:
        """Let it close, whatever is on its way."""
        self.clients.remove(client)
        client.peer.close()

    def leave(self, client: ModelClient, ending: Ending) -> None:
        """Let it end in one of the three ways."""
        {Ending.FINISH: self.finish, Ending.RESET: self.reset, Ending.CLOSE: self.close}[ending](client)

    def check(self, client: ModelClient) -> None:
        """Hold all that it has received against what is due."""
        received = bytes(client.peer.received)
        if received and self.must_wait(client):
            raise Violation(f"{client}; served while an earlier client was there: {shown(received)}")
        if not client.due.startswith(received):
            pairs = zip(received, client.due, strict=False)
            place = next((n for n, (came, due) in enumerate(pairs) if came != due), len(client.due))
            raise Violation(
                f"{client}; from byte {place} of the answers on, expected {shown(client.due[place:])},"
                f" received {shown(received[place:])}"
            )

    def check_all(self) -> None:
        """Hold what every client has received against what is due; for those who must wait, nothing has come."""
        for client in self.clients:
            self.check(client)
            if self.must_wait(client) and client.peer.unread():
                raise Violation(f"{client}; served while an earlier client was there")

    def end(self) -> None:
        """Let all finish, in the order in which they came, and check that a fresh client is served then."""
        while self.clients:
            self.finish(self.clients[0])
        fresh = self.connect()
        self.send(fresh, b"1,2\n", Pace.ANSWERS)
        self.finish(fresh)

    def scatter(self) -> None:
        """Let all vanish at once, whatever has become of the server."""
        while self.clients:
            self.reset(self.clients[0])

    @staticmethod
    @contextmanager
    def _hanging_up_is_fine(client: ModelClient) -> Iterator[None]:
        """After `quit` the server does not wait for ever for the rest of the input, and may have reset."""
        try:
            yield
        except Violation:
            if not client.has_quit:
                raise
