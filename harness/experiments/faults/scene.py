"""Where a fault happens: the server, the fault's own clients, and the account of their replies."""

import math
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from harness.conformance.peer import Peer
from harness.conformance.relay import Relay
from harness.conformance.target import Target
from harness.conformance.upstream import PlayedUpstream
from harness.conformance.violations import Violation
from harness.experiments.faults.accounts import Tally, as_if_answered, compare
from harness.machine.connections import Address

HOLD_S: Final = 1.0
SHORTEST_HOLD_S: Final = 0.2
QUIET_S: Final = 0.3
ENOUGH_BYTES: Final = 1024 * 1024
"""A kernel may grow its buffer for one client's input to several times this: the conformance suite (C04) sees to it that a
server takes no more than it should, here a crowd is wanted."""
SENT_AT_ONCE_BYTES: Final = 65536


@dataclass
class Scene:
    """One fault, happening to one server.

    Attributes:
        target: the server.
        size: how many clients, or what else the fault counts.
        scale: of the full size, and of the time that a fault lasts.
        served: the fault's clients are served while it happens, at once or one after the other.
        others: what became of their replies.
        stopped_ns: when the server was told to stop, if it was.
        stop_took_s: how long it took to end then.
        troubles: what else speaks against the server.
        refused: lists of these clients to which a relay said that its upstream had no answer.
    """

    target: Target
    size: int
    scale: float
    served: bool
    others: Tally = field(default_factory=Tally)
    stopped_ns: int | None = None
    stop_took_s: float | None = None
    troubles: list[str] = field(default_factory=list)
    refused: int = 0

    @property
    def upstream(self) -> PlayedUpstream:
        """Whom the server asks, which is a relay."""
        assert isinstance(self.target, Relay)  # noqa: S101 - its faults happen to no other
        return self.target.upstream

    @property
    def held_s(self) -> float:
        """How long a fault lasts that is a state and no event."""
        return max(SHORTEST_HOLD_S, HOLD_S * self.scale)

    def connect(self, number: int, buffer_bytes: int | None = None) -> list[Peer]:
        """Connect clients, and do not wait for greetings."""
        return [self.target.connect(buffer_bytes) for _ in range(number)]

    def connect_by(self, address: Address) -> Peer:
        """Connect a client through something else."""
        peer = Peer(address, self.target.patience_s)
        self.target.peers.append(peer)
        return peer

    def hold(self) -> None:
        """Let things stay as they are for a while: it is the probe that looks."""
        time.sleep(self.held_s)

    def look_on(self) -> None:
        """Give the probe a moment to see what things are like."""
        time.sleep(SHORTEST_HOLD_S)

    def enter(self, peer: Peer, due: bytes | None) -> None:
        """Enter what one client received; `due` is the part of its input that must have been answered."""
        sent, received = bytes(peer.sent), bytes(peer.received)
        if isinstance(self.target, Relay):
            received, refused = as_if_answered(sent, received)
            self.refused += refused
        self.others += compare(sent, received, due)
        peer.close()

    def converse(self, peer: Peer, line: bytes) -> None:
        """Ask one thing, be answered, and leave."""
        peer.greeted()
        peer.send(line)
        while peer.received.count(b"\n") < 2 and peer.receive():
            pass
        self.enter(peer, line)

    def finish(self, peers: Sequence[Peer], last: bytes = b"") -> None:
        """Let clients say their last and end their input; in the end all of it must have been answered."""
        for peer in peers:
            with suppress(Violation):
                if last:
                    peer.send(last)
                peer.half_close()
        self.read_to_the_end(peers)
        for peer in peers:
            self.enter(peer, bytes(peer.sent))

    def read_to_the_end(self, peers: Sequence[Peer]) -> None:
        """Read until the server has closed all, or has said nothing to anybody for too long."""
        patience_s = self.target.patience_s
        open_yet = watch(peers, select.POLLIN, patience_s, lambda peer: bool(received(peer)))
        if open_yet:
            self.troubles.append(
                f"{len(open_yet):,} of {len(peers):,} clients were still open after {patience_s:g} s of silence"
            )

    def fill(self, peers: Sequence[Peer], content: bytes) -> None:
        """Let clients send, over and over, and read nothing, until no more is taken from any."""

        def send_more(peer: Peer) -> bool:
            at = len(peer.sent) % len(content)
            try:
                taken = peer.socket.send(content[at : at + SENT_AT_ONCE_BYTES], socket.MSG_DONTWAIT)
            except OSError as error:
                raise Violation(f"a client that does not read cannot send: {error.strerror}") from None
            peer.sent += content[at : at + taken]
            return len(peer.sent) < ENOUGH_BYTES

        watch(peers, select.POLLOUT, QUIET_S, send_more)

    def vanish(self, peers: Sequence[Peer]) -> None:
        """Let clients reset, with their replies unread; what has come of these must be right so far."""
        for peer in peers:
            with suppress(BlockingIOError):
                peer.received += peer.socket.recv(SENT_AT_ONCE_BYTES, socket.MSG_DONTWAIT)
            peer.reset()
            # Replies are no shorter than lines here, so that only so much input can have been answered.
            answered = peer.sent.find(b"\n", len(peer.received)) + 1
            self.others += compare(bytes(peer.sent[: answered or None]), bytes(peer.received))


def watch(
    peers: Sequence[Peer],
    events: int,
    quiet_s: float,
    step: Callable[[Peer], bool],
    until_s: float = math.inf,
) -> list[Peer]:
    """Take a step with each client that is ready, as long as its steps say so.

    Returns:
        Who is left when all have been quiet for so long, or at a moment of the monotonic clock.
    """
    poller = select.poll()  # select() ends at 1,024 descriptors
    watched = {peer.socket.fileno(): peer for peer in peers}
    for descriptor in watched:
        poller.register(descriptor, events)
    while watched and (left_s := until_s - time.monotonic()) > 0:
        ready = poller.poll(min(quiet_s, left_s) * 1000)
        if not ready:
            break
        for descriptor, _ in ready:
            if not step(watched[descriptor]):
                poller.unregister(descriptor)
                del watched[descriptor]
    return list(watched.values())


def received(peer: Peer) -> bytes:
    """Receive a chunk; b"" at the end, whatever the end is like."""
    try:
        return peer.receive()
    except Violation:
        peer.at_end = True
        return b""
