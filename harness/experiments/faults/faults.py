"""The faults. Up to its `yield` each does its worst; after it, its clients ask for what is theirs.

A server that is not concurrent has one place. The probe holds it up to the `yield`, so that the fault's clients wait in
the queue; or, where a fault must be served to be one, they come first, and the probe comes after them.
"""

import select
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from harness.conformance.peer import MEDIUM_BUFFER_BYTES, SMALL_BUFFER_BYTES, Peer
from harness.conformance.upstream import Asked, PlayedUpstream
from harness.conformance.violations import Violation
from harness.errors import UsageError
from harness.experiments.faults.proxy import Conditions, Proxy
from harness.experiments.faults.scene import Scene, received, watch
from harness.launch.process import STOP_MARGIN_S
from harness.machine.connections import unacknowledged_bytes

Happening = Generator[None]

WAVE: Final = 500
"""Clients that come before one is waited for: the listen queue takes more, and a full one costs a second each."""
BATCH_LINES: Final = 100
"""The more lines a client has under way, the more often a server that stops finds more of them whenever it looks."""
LOADED_S: Final = 0.4
UPSTREAM_TIMEOUT_S: Final = 0.3
ENDLESS_BYTES: Final = 1024 * 1024
"""Every reply of this time is compared afterwards, which takes some times as long."""
LONG_LINES: Final = b"".join(b"%d%0600d\n" % (1 + number, number) for number in range(16))
"""Lines whose replies are as long, so that a few hundred fill every buffer on the way."""
SESSION: Final = (
    b"".join(b"%d,%d\r\n" % (number, 7 * number) for number in range(40))
    + b"product\nx\n\n"
    + b"".join(b"%d,-3\n" % number for number in range(40))
    + b"9" * 5000
    + b"\nsum\n1,2\n"
)
PATHS: Final = (
    Conditions(delay_s=0.02),
    Conditions(slice_bytes=1),
    Conditions(bytes_per_s=20_000),
    Conditions(reset_after_bytes=700),
)


@dataclass(frozen=True)
class Fault:
    """One of them.

    Attributes:
        name, title: as tables show it, and in words.
        size: how many clients at full scale, or what else it counts.
        happen: does it.
        must_be_served: it is none for clients that wait in the queue.
        may_log: the server may write to standard error.
        ends_server: it is the last of a launch.
        of_relays: it is one of the upstream's.
    """

    name: str
    title: str
    size: int
    happen: Callable[[Scene], Happening]
    must_be_served: bool = False
    may_log: bool = False
    ends_server: bool = False
    of_relays: bool = False


def stalled(scene: Scene) -> Happening:
    """Clients that stall inside a line hold nobody up, and are answered once they end it."""
    peers = scene.connect(scene.size)
    for peer in peers:
        peer.send(b"1,")
    scene.hold()
    yield
    scene.finish(peers, b"2\n")


def never_reading(scene: Scene) -> Happening:
    """Clients that send until nothing more is taken, and read nothing, hold nobody up; a tenth of them read in the end."""
    deaf = scene.connect(scene.size * 9 // 10, SMALL_BUFFER_BYTES)
    late = scene.connect(scene.size - len(deaf), MEDIUM_BUFFER_BYTES)
    scene.fill([*deaf, *late], LONG_LINES)
    scene.hold()
    yield
    scene.vanish(deaf)
    scene.finish(late)


def resets(scene: Scene) -> Happening:
    """Clients that connect and reset at once leave nothing behind, and whoever comes after them is served."""
    for number in range(scene.size):
        Peer(scene.target.address, scene.target.patience_s).reset()
        if number % WAVE == WAVE - 1 or number == scene.size - 1:
            scene.converse(scene.target.connect(), b"%d,1\n" % number)
    yield


def churn(scene: Scene) -> Happening:
    """Clients that come and go, most of them after a word, leave nothing behind."""
    for number in range(scene.size):
        peer = scene.target.connect()
        if number % 4:
            scene.converse(peer, b"%d,1\n" % number)
        peer.close()
    scene.converse(scene.target.connect(), b"1,2\n")
    yield


def bad_path(scene: Scene) -> Happening:
    """Clients behind a path that delays, slices, narrows or resets get the same bytes as any other."""
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(scene.target.address, path)) for path in PATHS]
        whole: list[Peer] = []
        broken: list[Peer] = []
        for number in range(scene.size):
            path = PATHS[number % len(PATHS)]
            peer = scene.connect_by(proxies[number % len(PATHS)].address)
            (broken if path.reset_after_bytes else whole).append(peer)
            with suppress(Violation):  # the path may be reset already
                peer.send(b"%d\n" % number + SESSION)
        yield
        scene.finish(whole)
        scene.read_to_the_end(broken)
        for peer in broken:
            scene.enter(peer, None)


def no_descriptors(scene: Scene) -> Happening:
    """Out of descriptors a server goes on with those it has, and takes the others once there are some again."""
    with scene.target.without_files():
        waiting = scene.connect(scene.size)
        scene.hold()
    yield
    scene.finish(waiting, b"1,2\n")


def paused(scene: Scene) -> Happening:
    """A server that is stopped for a second and goes on loses nothing: the probe waits, and so does everybody."""
    peers = scene.connect(scene.size)
    if scene.served:
        for peer in peers:
            peer.greeted()
    scene.look_on()
    with scene.target.paused():
        for number, peer in enumerate(peers):
            peer.send(b"%d,1\n2,3\n" % number)
        scene.hold()
    scene.look_on()
    yield
    scene.finish(peers)


def stop_under_load(scene: Scene) -> Happening:
    """A server that is told to stop answers every complete line that it has received, and ends with 0 in time."""
    clients = {peer: Asker(peer, number) for number, peer in enumerate(scene.connect(scene.size), 1)}
    for client in clients.values():
        client.ask()

    def step(peer: Peer) -> bool:
        return clients[peer].step()

    patience_s = scene.target.patience_s
    watch([*clients], select.POLLIN, patience_s, step, until_s=time.monotonic() + LOADED_S)
    due = {peer: client.due() for peer, client in clients.items()}
    server = scene.target.server
    scene.stopped_ns = time.monotonic_ns()
    server.process.send_signal(signal.SIGTERM)
    until_s = time.monotonic() + server.grace_s + STOP_MARGIN_S
    watch([peer for peer in clients if not peer.at_end], select.POLLIN, patience_s, step, until_s)
    code = server.wait()
    scene.stop_took_s = (time.monotonic_ns() - scene.stopped_ns) / 1e9
    for peer, needed in due.items():
        scene.enter(peer, needed)
    if code:
        raise Violation(f"told to stop, the server ended with {code}")
    yield


class Asker:
    """A client that keeps asking: a batch of lines whenever the last one is answered."""

    def __init__(self, peer: Peer, number: int) -> None:
        """Take a connected client; no other has its number, nor its replies."""
        self._peer = peer
        self._number = number
        self._serial = count()
        self._waiting = 1  # for the greeting

    def ask(self) -> None:
        """Send a batch, unless the server has gone."""
        lines = (b"%d,%d000\n" % (self._number, next(self._serial)) for _ in range(BATCH_LINES))
        self._waiting += BATCH_LINES
        with suppress(Violation):
            self._peer.send(b"".join(lines))

    def step(self) -> bool:
        """Receive, and ask on if all is answered; tell whether the server is still there."""
        data = received(self._peer)
        self._waiting -= data.count(b"\n")
        if data and not self._waiting:
            self.ask()
        return bool(data)

    def due(self) -> bytes | None:
        """Return the complete lines that the server's kernel has by now; None if it has not even greeted."""
        if not self._peer.received:
            return None
        delivered = len(self._peer.sent) - unacknowledged_bytes(self._peer.socket)
        return bytes(self._peer.sent[: self._peer.sent.rfind(b"\n", 0, delivered) + 1])


def of_the_upstream(
    trouble: Callable[[PlayedUpstream], AbstractContextManager[None]],
) -> Callable[[Scene], Happening]:
    """Make a fault of what an upstream does: a list may get no answer then, and each is answered once that is over."""

    def happen(scene: Scene) -> Happening:
        peers = scene.connect(scene.size)
        with trouble(scene.upstream):
            for number, peer in enumerate(peers):
                peer.send(b"%d,1\nproduct\n%d,2\n" % (number, number))
            scene.hold()
        scene.look_on()
        yield
        for peer in peers:
            peer.send(b"sum\n3,4\n")
        scene.finish(peers)

    return happen


@contextmanager
def silent(upstream: PlayedUpstream) -> Iterator[None]:
    """Let it answer nothing, and then all of it, late."""
    with answering_so(lambda _: None)(upstream):
        yield
    for asked in upstream.under_way:
        asked.answer()


@contextmanager
def gone(upstream: PlayedUpstream) -> Iterator[None]:
    """Let it be away."""
    upstream.refuse()
    yield
    upstream.listen()


def late(asked: Asked) -> None:
    """Answer sooner or later, and often too late."""
    time.sleep(Random(asked.line).uniform(0, 2 * UPSTREAM_TIMEOUT_S))  # noqa: S311 - to be repeatable
    asked.answer()


def too_much(asked: Asked) -> None:
    """Answer a hundred times at once, or without an end."""
    if len(asked.line) % 2:
        asked.answer(asked.reply * 100)
    else:
        asked.flood(ENDLESS_BYTES)


def answering_so(react: Callable[[Asked], None]) -> Callable[[PlayedUpstream], AbstractContextManager[None]]:
    """Return what lets an upstream answer in a manner."""

    @contextmanager
    def troubled(upstream: PlayedUpstream) -> Iterator[None]:
        usual, upstream.react = upstream.react, react
        yield
        upstream.react = usual

    return troubled


FAULTS: Final = (
    Fault("stalled", "clients stall inside a line", 500, stalled),
    Fault("never-reading", "clients send and do not read", 200, never_reading),
    Fault("resets", "clients connect and reset", 10_000, resets, must_be_served=True),
    Fault("churn", "clients come and go", 2_000, churn, must_be_served=True),
    Fault("bad-path", "clients behind a path that delays, slices, narrows, resets", 20, bad_path, must_be_served=True),
    Fault("descriptors", "clients come while there are no descriptors", 20, no_descriptors, must_be_served=True, may_log=True),
    Fault("pause", "clients wait while the process is stopped", 20, paused),
    Fault("stop", "clients keep asking while it is told to end", 20, stop_under_load, ends_server=True),
    Fault("upstream-stalls", "clients ask while the upstream does not answer", 50, of_the_upstream(silent), of_relays=True),
    Fault("upstream-dies", "clients ask while the upstream is away", 50, of_the_upstream(gone), of_relays=True),
    Fault("upstream-late", "clients ask while the upstream answers late", 50, of_the_upstream(answering_so(late)), of_relays=True),
    Fault("upstream-floods", "clients ask while the upstream says far too much", 50, of_the_upstream(answering_so(too_much)), of_relays=True),
)  # fmt: skip


def selected_faults(names: Sequence[str]) -> tuple[Fault, ...]:
    """Return the faults of these names, in their own order; all if there are none.

    Raises:
        UsageError: a name that no fault has.
    """
    known = [fault.name for fault in FAULTS]
    for name in names:
        if name not in known:
            raise UsageError(f"no fault is called {name!r}; there are {', '.join(known)}")
    return tuple(fault for fault in FAULTS if not names or fault.name in names)
