"""What cases of several groups do: flood, wait, look whether a client is served, try a time limit again."""

import select
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event
from typing import Final

from harness.conformance.cases.replies import ERROR, GOODBYE, TO_PRODUCT, products, sums
from harness.conformance.peer import SMALL_BUFFER_BYTES, Peer
from harness.conformance.target import Target
from harness.conformance.violations import NotApplicable, StaleClaim, Violation
from harness.errors import LaunchError
from harness.oracle import GREETING, oracle

BATCH: Final = b"product\n" + (b"9" + b",9" * 2046 + b",0\n") * 64
"""256 KiB of lines that take as long as some 200 light ones each: whoever sends them is faster than the server."""
BATCH_REPLIES: Final = oracle(BATCH)[len(GREETING) :]
FLOOD_LIMIT_BYTES: Final = 16 * 1024 * 1024
FLOOD: Final = b"1,2\n" * 4096
PATIENCE_WITH_FLOOD_S: Final = 0.25
FENCES: Final = 20
SILENCE_S: Final = 0.3
TRIES: Final = 3
MOST_ATTEMPTS: Final = 10


@contextmanager
def meanwhile(step: Callable[[], object]) -> Iterator[None]:
    """Repeat a step in the background for as long as the context lasts; raise what it has raised."""
    enough = Event()

    def repeat() -> None:
        while not enough.is_set():
            step()

    with ThreadPoolExecutor(1) as pool:
        repeated = pool.submit(repeat)
        try:
            yield
        finally:
            enough.set()
        repeated.result()


def costly_batches(greedy: Peer) -> Iterator[None]:
    """Send batches, and read replies, as fast as the server can answer: one send and one receive in each step."""
    unsent = memoryview(BATCH)
    while True:
        possible = greedy.wait_for(select.POLLIN | select.POLLOUT, 1.0)
        if possible & select.POLLOUT:
            unsent = unsent[greedy.send_some(unsent) :] or memoryview(BATCH)
        if possible & ~select.POLLOUT and not greedy.receive():
            raise Violation("the server closed on a client that floods and reads")
        yield


def one_after_the_other(target: Target) -> None:
    """What a server that is not concurrent must do: B gets nothing while A is open, and all once A has left.

    So it must be even if the server is told to take more clients, unless it refuses to be told.
    """
    with crowded(target) as own, own.greeted() as first, own.connect() as second:
        second.send(b"hello\n1,5\nproduct\n6,7\n")
        for _ in range(FENCES):
            first.fence()
        if is_served(second):
            raise StaleClaim("a second client was served while the first one was connected")
        first.exchange(b"quit\n", GOODBYE)
        first.expect_end()
        first.close()
        second.greeted()
        second.expect(ERROR + sums(6) + TO_PRODUCT + products(42))
        second.fence(b"Product")


@contextmanager
def crowded(target: Target) -> Iterator[Target]:
    """Offer a server that was told to take ten clients at once; the usual one, if it cannot be told so."""
    with ExitStack() as stack:
        try:
            own = stack.enter_context(target.fresh(max_clients=10))
        except (NotApplicable, LaunchError):
            own = target
        yield own


def is_served(peer: Peer) -> bool:
    """Tell whether anything comes for a client; a busy machine may take a moment to serve a second one."""
    return bool(peer.wait_for(select.POLLIN, SILENCE_S))


def fill_unread(
    peer: Peer,
    limit_bytes: int = FLOOD_LIMIT_BYTES,
    patience_s: float = PATIENCE_WITH_FLOOD_S,
    flood: bytes = FLOOD,
) -> int:
    """Send lines and read nothing, until the server takes no more for a while; return how many bytes it took."""
    peer.socket.setblocking(False)
    taken = 0
    while taken < limit_bytes:
        if not peer.wait_for(select.POLLOUT, patience_s):
            break
        offset = taken % len(flood)
        try:
            sent = peer.socket.send(flood[offset:])
        except OSError:
            break
        peer.sent += flood[offset : offset + sent]
        taken += sent
    return taken


class Late(Violation):
    """Something came, but not in time."""


class LateClient(Late):
    """The client was late itself, so that the server may have been right."""


def in_time(check: Callable[[], None]) -> None:
    """Run a check of a time limit, up to three times: a busy machine is late now and then, a wrong server always.

    It does not count if the client was late itself; but there is an end to that, too.
    """
    late = 0
    for _ in range(MOST_ATTEMPTS):
        try:
            return check()
        except LateClient as trouble:
            last: Late = trouble
        except Late as trouble:
            last = trouble
            late += 1
            if late == TRIES:
                break
    raise last


def deaf_client(target: Target) -> Peer:
    """Connect a client to which the server cannot deliver its replies."""
    deaf = target.connect(SMALL_BUFFER_BYTES).greeted()
    fill_unread(deaf, 4 * 1024 * 1024)
    return deaf
