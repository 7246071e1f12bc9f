"""L: how the server process starts, idles and stops."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.idling import IDLE_TIMEOUT_S
from harness.conformance.cases.replies import SEVEN, THREE, TO_PRODUCT
from harness.conformance.cases.sessions import KINDS, MODES
from harness.conformance.cases.steps import (
    Late,
    LateClient,
    costly_batches,
    deaf_client,
    fill_unread,
    in_time,
    meanwhile,
)
from harness.conformance.peer import SMALL_BUFFER_BYTES, Peer
from harness.conformance.shell import shown
from harness.conformance.target import Target
from harness.conformance.violations import Violation
from harness.launch.process import STOP_MARGIN_S
from harness.machine.connections import unacknowledged_bytes
from harness.oracle import GREETING, oracle

CASES: Final = Cases()
case = CASES.case


IDLE_CLIENTS: Final = 900
BUSY_CLIENTS: Final = 20
FEW_LINES: Final = 400
"""Their replies fit into what the kernel holds for a client that does not read, and not into that client's buffer."""
SLOW_LINES: Final = 1500
SHORT_GRACE_S: Final = 1.0
BUSY_GRACE_S: Final = 0.5
"""All of it is work, for the server and for us."""
LONG_GRACE_S: Final = 60.0
"""Longer than anybody's patience: what happens before its end is not the end's doing."""
SAME_STOP_S: Final = 0.5
"""A stop signal within so long of the first is that stop, told twice."""
LATER_S: Final = SAME_STOP_S + 0.1
TIME_TO_HANG_UP_S: Final = 0.1
SILENCE_S: Final = 0.2
BACKLOG_BYTES: Final = 256 * 1024
"""Their replies are more than the kernel holds for a client with a small buffer; and a server takes them in in several pieces."""
UNALIGNED: Final = b"12\n" * 4096
"""Lines of three bytes: whatever is taken in at once, a power of two, ends inside one most of the time."""
RECEIVED_PAIRS: Final = 6000
"""48 KB: more than a server takes at once, and no more than the kernel takes for one that does not read."""


@case("7.1, 7.4")
def l02_sigterm_when_idle(target: Target) -> None:
    """SIGTERM ends an idle server with exit code 0, also right after its readiness line."""
    check_idle_stop(target, signal.SIGTERM)


@case("7.2, 7.3")
def l03_received_lines_are_answered(target: Target) -> None:
    """Lines received before SIGTERM are answered; an unfinished one is thrown away."""
    clients = 3 if target.serves_several else 1
    with patient(target) as own:
        peers = [own.greeted() for _ in range(clients)]
        with own.paused():
            for peer in peers:
                peer.send(b"1,2\n3,4\n" * RECEIVED_PAIRS + b"5,6")
                peer.await_delivery()
            own.server.process.send_signal(signal.SIGTERM)
        for peer in peers:
            peer.expect((THREE + SEVEN) * RECEIVED_PAIRS)
            peer.expect_end()
            peer.close()
        expect_exit(own, 0)


@case("7.2")
def l04_no_new_clients_while_draining(target: Target) -> None:
    """While the server drains, nobody new is served."""
    with patient(target) as own:
        deaf = deaf_client(own)
        own.server.process.send_signal(signal.SIGTERM)
        await_refusal(own)
        if own.server.process.poll() is not None:
            raise Violation(
                "the server ended before its client had its replies and before the grace was over"
            )
        deaf.reset()
        expect_exit(own, 0)


@case("7.4")
def l05_grace_is_kept(target: Target) -> None:
    """Neither a stalled client nor one that does not read outlasts the grace."""

    def check() -> None:
        with target.fresh(grace_s=SHORT_GRACE_S) as own:
            own.connect().send(b"1,")
            deaf_client(own) if target.has("concurrent") else None
            expect_exit_within_grace(own, own.server.startup_s)

    in_time(check)


@case("7.5")
def l06_second_signal(target: Target) -> None:
    """A second signal, later than half a second, ends the process at once, by that signal."""
    for second in (signal.SIGTERM, signal.SIGINT):
        with target.fresh(grace_s=LONG_GRACE_S) as own:
            deaf = deaf_client(own)
            own.server.process.send_signal(signal.SIGTERM)
            await_refusal(own)
            time.sleep(LATER_S)
            own.server.process.send_signal(second)
            expect_exit(own, -second)
            deaf.reset()


@case("7.1")
def l09_sigint(target: Target) -> None:
    """SIGINT stops the server like SIGTERM."""
    check_idle_stop(target, signal.SIGINT)


@case("6.6")
def l10_no_traceback(target: Target) -> None:
    """Nothing is written to standard error, not even after resets and a stop in the middle of them."""
    with target.fresh() as own:
        for left_behind in (b"", b"1,", b"1,2\n" * 5000, b"\xff\n", b"quit\n1\n", b"9" * 10_000):
            peer = own.greeted()
            peer.send(left_behind)
            peer.reset()
        own.answers(b"1,2\n", THREE)
        last = [own.connect(SMALL_BUFFER_BYTES).greeted() for _ in range(30 if target.serves_several else 1)]
        for peer in last:
            peer.send(b"1,2\n" * 5000 + b"quit\n")
        own.server.process.send_signal(signal.SIGTERM)
        for peer in last:
            peer.reset()
        expect_exit(own, 0)
        if said := own.server.error_output():
            raise Violation(f"standard error: {said!r}")


@case("7.3")
def l13_replies_survive_more_input(target: Target) -> None:
    """Replies on their way at SIGTERM arrive, even if the client goes on sending."""
    with patient(target) as own, own.connect(SMALL_BUFFER_BYTES) as peer:
        peer.greeted()
        with own.paused():
            peer.send(b"1,2\n" * FEW_LINES)
            peer.await_delivery()
            own.server.process.send_signal(signal.SIGTERM)
        peer.await_reading()
        time.sleep(TIME_TO_HANG_UP_S)  # whatever the server does too early, it has done by then
        expected = GREETING + THREE * FEW_LINES
        while len(peer.received) < len(expected):
            with suppress(OSError):
                peer.socket.send(b"1")
            if not peer.receive():
                raise Violation(f"{len(peer.received):,} of {len(expected):,} bytes arrived")
        peer.drain()
        expect_exit(own, 0)


@case("7.4")
def l16_grace_of_a_busy_server(target: Target) -> None:
    """The grace is kept however many clients there are, and however busy the server is with some of them."""

    def check() -> None:
        busy_clients = min(BUSY_CLIENTS, target.places)
        with target.fresh(grace_s=BUSY_GRACE_S) as own:
            for _ in range(min(IDLE_CLIENTS, target.places - busy_clients)):
                own.greeted()
            busy = [costly_batches(own.greeted()) for _ in range(busy_clients)]
            try:
                with meanwhile(lambda: step_all(busy)):
                    expect_exit_within_grace(own, own.patience_s / 2)  # a thousand threads on a busy machine
            finally:
                for peer in own.peers:
                    peer.close()
                own.peers.clear()  # to work out megabytes of costly replies again would take longer than all the rest

    in_time(check)


def step_all(floods: list[Iterator[None]]) -> None:
    """Let each flood go on; drop those whose connection has ended."""
    for steps in tuple(floods):
        try:
            next(steps)
        except (Violation, OSError):
            floods.remove(steps)


@case("7.3")
def l17_slow_delivery_at_a_stop(target: Target) -> None:
    """Replies on their way at SIGTERM reach a client that reads slowly, as long as the grace lasts."""
    with target.fresh(grace_s=20) as own, own.connect(SMALL_BUFFER_BYTES) as slow:
        slow.greeted().send(b"1,2\n" * SLOW_LINES)
        slow.await_reading()
        own.server.process.send_signal(signal.SIGTERM)
        expected = len(GREETING) + len(THREE) * SLOW_LINES
        while len(slow.received) < expected:
            time.sleep(0.12)  # to be slow is what this client is for
            with suppress(OSError):
                slow.socket.send(b"1")
            if not slow.receive(1024):
                raise Violation(f"{len(slow.received):,} of {expected:,} bytes arrived")
        slow.drain()
        expect_exit(own, 0)


@case("7.3")
def l18_delivery_outlasts_the_idle_timeout(target: Target) -> None:
    """What the kernel has taken by SIGTERM is on its way: no idle clock ends its delivery."""
    in_time(lambda: check_delivery_outlasts_the_idle_timeout(target))


def check_delivery_outlasts_the_idle_timeout(target: Target) -> None:
    """Stop a server whose client goes on sending, and reads nothing until the idle timeout is over."""
    with target.fresh(grace_s=LONG_GRACE_S, idle_timeout_s=IDLE_TIMEOUT_S) as own:
        began = time.monotonic()  # the idle clock starts later, and runs on while the server is paused
        with own.connect(SMALL_BUFFER_BYTES) as slow:
            slow.greeted()
            with own.paused():
                slow.send(b"1,2\n" * FEW_LINES)
                slow.await_delivery()
                own.server.process.send_signal(signal.SIGTERM)
            told_after_s = time.monotonic() - began
            try:
                time.sleep(2 * IDLE_TIMEOUT_S)  # the claim is about a time without events
                slow.send(b"1")  # if the server has closed, its kernel answers with a reset
                slow.expect(THREE * FEW_LINES)
            except Violation as trouble:
                late = LateClient if told_after_s > IDLE_TIMEOUT_S / 2 else Late
                raise late(f"with --idle-timeout {IDLE_TIMEOUT_S:g}, told to stop: {trouble}") from None
            slow.drain()
            expect_exit(own, 0)


@case("7.5")
def l19_a_stop_told_twice(target: Target) -> None:
    """Stop signals within half a second of the first change nothing."""
    in_time(lambda: check_a_stop_told_twice(target))


def check_a_stop_told_twice(target: Target) -> None:
    """Stop a server that has replies to deliver, and do so again at once."""
    with patient(target) as own, own.connect(SMALL_BUFFER_BYTES) as slow:
        slow.greeted().send(b"1,2\n" * SLOW_LINES)
        slow.await_reading()
        own.server.process.send_signal(signal.SIGTERM)
        first_at = time.monotonic()
        await_refusal(own)
        for again in (signal.SIGTERM, signal.SIGINT):
            own.server.process.send_signal(again)
        told_after_s = time.monotonic() - first_at
        time.sleep(SAME_STOP_S)  # whatever the server does of it, it has done by then
        try:
            slow.expect(THREE * SLOW_LINES)
            slow.drain()
            expect_exit(own, 0)
        except Violation as trouble:
            late = LateClient if told_after_s > SAME_STOP_S / 2 else Late
            raise late(f"told to stop again after {told_after_s:.3f} s: {trouble}") from None


@case("7.2, 7.3")
def l24_every_kind_of_line_at_a_stop(target: Target) -> None:
    """Whatever lines were received before SIGTERM are answered as ever, each client's in its mode; who waits is not greeted."""
    check_backlog_at_a_stop(target)
    sent = [mode + kind for mode in MODES for kind in KINDS]
    if not target.serves_several:
        sent = [b"".join(sent)]
    with patient(target, len(sent)) as own:
        peers = [own.greeted() for _ in sent]
        waiting = own.connect()
        for peer, lines in zip(peers, sent, strict=True):
            peer.send(lines[:-1])
        for peer in peers:
            peer.await_reading()
        with own.paused():
            for peer in peers:
                peer.send(b"\n5,6")
            for peer in peers:
                peer.await_delivery()
            own.server.process.send_signal(signal.SIGTERM)
        for peer, lines in zip(peers, sent, strict=True):
            peer.expect(oracle(lines).removeprefix(GREETING))
            peer.expect_end()
            peer.close()
        if own.candidate.takes("max_clients"):
            waiting.drain()
            if waiting.received:
                raise Violation("a client that had waited for a place was greeted after SIGTERM")
        expect_exit(own, 0)


def check_backlog_at_a_stop(target: Target) -> None:
    """Stop a server that has more lines of a client, cut anywhere, than it can answer: it reads on when it knows of the stop."""
    with patient(target) as own:
        deaf = own.connect(SMALL_BUFFER_BYTES).greeted()
        deaf.exchange(b"product\n", TO_PRODUCT)
        fill_unread(deaf, BACKLOG_BYTES, flood=UNALIGNED)
        delivered_bytes = len(deaf.sent) - unacknowledged_bytes(deaf.socket)
        own.server.process.send_signal(signal.SIGTERM)
        await_refusal(own)
        deaf.socket.setblocking(True)
        expect_replies_to(deaf, delivered_bytes)
        expect_exit(own, 0)


def expect_replies_to(peer: Peer, delivered_bytes: int) -> None:
    """Expect the replies to all lines that were delivered, and the end.

    What the server's kernel had no room for before the stop may arrive after it, and be answered line by line, or not.
    """
    answered_bytes = len(peer.received)
    promised, possible = (
        oracle(bytes(sent[: sent.rfind(b"\n") + 1]))[answered_bytes:]
        for sent in (peer.sent[:delivered_bytes], peer.sent)
    )
    peer.expect(promised)
    while peer.receive():
        pass
    came = bytes(peer.received[answered_bytes:])
    if not possible.startswith(came) or not came.endswith(b"\n"):
        raise Violation(
            f"received {shown(came)} before the end, which is the start of no replies to {shown(peer.sent)}"
        )


@case("6.2, 7.4")
def l25_zeros(target: Target) -> None:
    """An idle timeout of 0 s is none, and a grace of 0 s ends the server at once, whatever its client does."""
    in_time(lambda: check_zeros(target))


def check_zeros(target: Target) -> None:
    """Let a client be silent inside its line, go on, and not read its replies when the server stops."""
    with target.fresh(idle_timeout_s=0, grace_s=0) as own, own.connect(SMALL_BUFFER_BYTES) as peer:
        peer.greeted().send(b"1,")
        time.sleep(SILENCE_S)  # to be silent is what this client is for
        peer.exchange(b"2\n", THREE)
        peer.send(b"1,2\n" * SLOW_LINES)
        peer.await_reading()
        expect_exit_within_grace(own, own.patience_s / 2)
        peer.drain()


def patient(target: Target, places: int | None = None) -> AbstractContextManager[Target]:
    """Start a server with a grace that is longer than anybody's patience, and so many places, if it can be told so."""
    told: dict[str, float] = {"grace_s": LONG_GRACE_S} if target.candidate.takes("grace") else {}
    if places is not None and target.candidate.takes("max_clients"):
        told["max_clients"] = places
    return target.fresh(**told)


def expect_exit_within_grace(target: Target, lag_s: float) -> None:
    """Stop a server, and expect it to end within its grace, and a moment more."""
    target.server.process.send_signal(signal.SIGTERM)
    try:
        expect_exit(target, 0, lag_s)
    except TimeoutError as trouble:
        raise Late(f"with --grace {target.server.grace_s:g}: {trouble}") from None


def check_idle_stop(target: Target, number: signal.Signals) -> None:
    """Stop a server at once, and one that has a silent client."""
    with target.fresh() as own:
        own.server.process.send_signal(number)
        expect_exit(own, 0)
    with target.fresh() as own:
        silent = own.greeted()
        own.server.process.send_signal(number)
        silent.expect_end()
        silent.close()
        expect_exit(own, 0)


def expect_exit(target: Target, code: int, margin_s: float = STOP_MARGIN_S) -> None:
    """Wait for the server's own end, that much longer than its grace at most."""
    ended_with = target.server.wait(margin_s)
    if ended_with != code:
        said = target.server.error_output()
        raise Violation(f"exit code {ended_with}, expected {code}; standard error: {said!r}")


def await_refusal(target: Target) -> None:
    """Wait until new clients are turned away."""
    limit = time.monotonic() + target.patience_s
    while not refused(target):
        if time.monotonic() > limit:
            raise Violation("a new client was accepted, or kept waiting, while the server drained")
        time.sleep(0.01)


def refused(target: Target) -> bool:
    """Tell whether a new client is turned away, rather than served or kept waiting."""
    with socket.socket() as client:
        client.settimeout(0.2)
        try:
            client.connect(target.address)
            return not client.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True
