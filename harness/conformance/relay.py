"""A relay as a case sees it: a server whose upstream the suite plays."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from harness.conformance.peer import Peer
from harness.conformance.shell import shown
from harness.conformance.target import Target
from harness.conformance.upstream import PlayedUpstream
from harness.conformance.violations import NotApplicable, Violation
from harness.launch.candidates import RELAY_PLACEHOLDERS
from harness.machine.processes import settle
from harness.machine.resources import our_cores
from harness.machine.threads import working_threads
from harness.oracle import NO_ANSWER, replies

LOOKS: Final = 3
POOL: Final = 4
POOL_OF_A_WORKER: Final = 2
PLACES_FOR_EACH: Final = 6
"""How many clients a relay has places for, for each connection of its pool."""
UPSTREAM_TIMEOUT_S: Final = 60.0
"""Longer than anybody's patience: where it plays a part, the case chooses its own."""


@dataclass
class Relay(Target):
    """A target that asks an upstream.

    Attributes:
        upstream: it.
        pool: how many connections to it there may be.
    """

    upstream: PlayedUpstream = field(kw_only=True)
    pool: int = field(kw_only=True)

    @property
    def surely_at_once(self) -> int:
        """How many questions are under way at once for sure, whichever workers their clients end up with."""
        if not self.serves_several:
            return 1
        return POOL_OF_A_WORKER if self.has("parallel") else self.pool

    def await_rest(self) -> None:
        """Wait until none of its threads has anything to do, nor waits for the interpreter's lock; but not for ever."""
        limit = time.monotonic() + self.patience_s
        settle(self.pids)
        while any(islice(working_threads(self.pids), LOOKS)) and time.monotonic() < limit:
            settle(self.pids)

    def come_to_rest(self) -> None:
        """Let all clients leave, see that one more is served, and begin anew."""
        self.let_all_leave()
        with self.upstream.answering(), self.greeted() as last:
            last.fence()
        self.let_all_leave()
        self.upstream.forget()

    def let_all_leave(self) -> None:
        """Let all clients leave, and check that they got what they should have."""
        for peer in self.peers:
            peer.close()
            check_answers(peer, self.upstream)
        self.peers.clear()


@contextmanager
def fresh_relay(target: Target, *, is_there: bool = True, **options: float) -> Iterator[Relay]:
    """Start a relay for this case alone, with options as `Target.fresh` takes them; its upstream is there, unless it is not yet."""
    with started_relay(target, options, is_there=is_there) as relay:
        yield relay
        relay.let_all_leave()


@contextmanager
def shared_relay(target: Target) -> Iterator[Relay]:
    """Offer the relay that cases share which need nothing special; it is started for the first of them."""
    if target.relay is None:
        target.relay = target.kept.enter_context(started_relay(target, {}))
    assert isinstance(target.relay, Relay)  # noqa: S101 - nobody else puts one there
    yield target.relay
    target.relay.come_to_rest()


@contextmanager
def started_relay(target: Target, options: Mapping[str, float], *, is_there: bool = True) -> Iterator[Relay]:
    """Start a relay with options, and look at nothing in the end."""
    for option in RELAY_PLACEHOLDERS:
        if not target.candidate.takes(option):
            raise NotApplicable(f"it is no relay: its command has no place for {{{option}}}")
    pool = pool_of(target)
    places = {"max_clients": places_of(target)} if target.candidate.takes("max_clients") else {}
    given = {"pool": pool, "upstream_timeout_s": UPSTREAM_TIMEOUT_S, **places, **options}
    with PlayedUpstream(target.patience_s) as upstream:
        if not is_there:
            upstream.refuse()
        with target.fresh(upstream=upstream.address, **given) as own:
            relay = Relay(
                own.candidate, own.address, own.launched, own.patience_s, upstream=upstream, pool=pool
            )
            try:
                yield relay
            finally:
                for peer in relay.peers:  # those of a case that ended early
                    peer.close()


def pool_of(target: Target) -> int:
    """Return how many connections a relay may have: each worker of one that has workers gets two."""
    workers = len(our_cores()) if target.serves_several and target.has("parallel") else 1
    return max(POOL, POOL_OF_A_WORKER * workers)


def places_of(target: Target) -> int:
    """Return how many clients a relay is told to serve at once."""
    return PLACES_FOR_EACH * pool_of(target) if target.serves_several else 1


def check_answers(peer: Peer, upstream: PlayedUpstream) -> None:
    """Hold all that a relay's client has received against the oracle; a list may have got what the upstream said, or nobody's answer."""
    received, at = bytes(peer.received), 0
    for reply in replies(bytes(peer.sent)):
        possible = [reply, *upstream.said.get(reply, ())]
        if reply.startswith((b"Sum", b"Product")):
            possible.append(NO_ANSWER)
        came = next((each for each in possible if received.startswith(each, at)), None)
        if came is None and any(each.startswith(received[at:]) for each in possible):
            return
        if came is None:
            break
        at += len(came)
    if at < len(received):
        raise Violation(
            f"sent {shown(peer.sent)}; received {shown(received[at:])} after {shown(received[:at])}"
        )
