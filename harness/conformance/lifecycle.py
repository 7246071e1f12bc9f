"""L: how the server process starts, idles and stops."""

import signal
import socket
import time
from contextlib import suppress
from typing import Final

from harness.conformance.case import Group, NotApplicable, Violation
from harness.conformance.concurrency import SMALL_BUFFER_BYTES, flood
from harness.conformance.peer import GREETING, Peer
from harness.conformance.target import Target, run_to_end, with_options

LIFECYCLE: Final = Group("L", "Lifecycle")
case = LIFECYCLE.case

THREE: Final = b"Sum of input numbers: '3'\r\n"
SEVEN: Final = b"Sum of input numbers: '7'\r\n"
IDLE_TIMEOUT_S: Final = 1.0
SHORT_GRACE_S: Final = 1.0
TIME_TO_HANG_UP_S: Final = 0.1
SLOW_READ_BYTES: Final = 128 * 1024
RECEIVED_PAIRS: Final = 6000
"""48 KB: more than a server takes at once, and no more than the kernel takes for one that does not read."""


@case("5.2")
def l01_readiness_line(target: Target) -> None:
    """With port 0 the server takes a free port, and tells it in the readiness line when it can be used."""
    for _ in range(3):
        with target.fresh(port=0) as own:
            own.answers(b"1,2\n", THREE)


@case("7.1, 7.4")
def l02_sigterm_when_idle(target: Target) -> None:
    """SIGTERM ends an idle server with exit code 0, also right after its readiness line."""
    check_idle_stop(target, signal.SIGTERM)


@case("7.2, 7.3")
def l03_received_lines_are_answered(target: Target) -> None:
    """Lines received before SIGTERM are answered; an unfinished one is thrown away."""
    clients = 3 if target.has("concurrent") and target.candidate.declares is not None else 1
    with target.fresh() as own:
        peers = [own.greeted() for _ in range(clients)]
        own.server.process.send_signal(signal.SIGSTOP)
        for peer in peers:
            peer.send(b"1,2\n3,4\n" * RECEIVED_PAIRS + b"5,6")
            peer.await_delivery()
        own.server.process.send_signal(signal.SIGTERM)
        own.server.process.send_signal(signal.SIGCONT)
        for peer in peers:
            peer.expect((THREE + SEVEN) * RECEIVED_PAIRS)
            peer.expect_end()
            peer.close()
        expect_exit(own, 0)


@case("7.2")
def l04_no_new_clients_while_draining(target: Target) -> None:
    """While the server drains, nobody new is served."""
    with target.fresh() as own:
        deaf = deaf_client(own)
        own.server.process.send_signal(signal.SIGTERM)
        limit = time.monotonic() + own.patience_s
        while not refused(own):
            if time.monotonic() > limit:
                raise Violation("a new client was accepted, or kept waiting, while the server drained")
            time.sleep(0.01)
        if own.server.process.poll() is not None:
            raise Violation(
                "the server ended before its client had its replies and before the grace was over"
            )
        deaf.reset()
        expect_exit(own, 0)


@case("7.4")
def l05_grace_is_kept(target: Target) -> None:
    """Neither a stalled client nor one that does not read outlasts the grace."""
    with target.fresh(grace_s=SHORT_GRACE_S) as own:
        own.connect().send(b"1,")
        deaf_client(own) if target.has("concurrent") else None
        started = time.monotonic()
        own.server.process.send_signal(signal.SIGTERM)
        expect_exit(own, 0)
        took_s = time.monotonic() - started
        if took_s > SHORT_GRACE_S + own.server.startup_s:
            raise Violation(f"with --grace {SHORT_GRACE_S:g} the server ended after {took_s:.2f} s")


@case("7.5")
def l06_second_signal(target: Target) -> None:
    """A second signal ends the process at once, by that signal."""
    for second in (signal.SIGTERM, signal.SIGINT):
        with target.fresh(grace_s=60) as own:
            deaf = deaf_client(own)
            own.server.process.send_signal(signal.SIGTERM)
            while not refused(own):
                time.sleep(0.01)
            own.server.process.send_signal(second)
            expect_exit(own, -second)
            deaf.reset()


@case("5.5")
def l07_restart_at_once(target: Target) -> None:
    """The same port can be taken again at once, although connections on it have just been closed."""
    with target.fresh() as own:
        port = own.address[1]
        with own.greeted() as peer:
            peer.exchange(b"quit\n", b"connection closed\r\n")
            peer.expect_end()
        left_open = own.greeted()
        own.server.stop()
        left_open.drain()
    with target.fresh(port=port) as again:
        again.answers(b"1,2\n", THREE)


@case("5.3")
def l08_port_in_use(target: Target) -> None:
    """A port in use: one line on standard error that names the address, exit code 1."""
    with target.fresh() as own:
        port = own.address[1]
        command = target.candidate.filled_command(with_options(port=str(port)))
        code, said = run_to_end(command, own.patience_s)
        if code != 1:
            raise Violation(f"exit code {code}, expected 1; standard error: {said!r}")
        if said.count("\n") != 1 or str(port) not in said:
            raise Violation(f"expected one line that names port {port}, standard error: {said!r}")
        own.answers(b"1,2\n", THREE)


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
        last = own.greeted()
        last.send(b"1,2\n" * 5000)
        own.server.process.send_signal(signal.SIGTERM)
        last.reset()
        expect_exit(own, 0)
        if said := own.server.error_output():
            raise Violation(f"standard error: {said!r}")


@case("6.2")
def l11_idle_timeout(target: Target) -> None:
    """A silent client is closed after the idle timeout, and so is one that trickles bytes of one line."""
    with target.fresh(idle_timeout_s=IDLE_TIMEOUT_S) as own:
        silent = own.greeted()
        check_closed_in_time(own, silent, trickle=b"")
        trickling = own.greeted()
        check_closed_in_time(own, trickling, trickle=b"1")


@case("5.4")
def l12_bad_usage(target: Target) -> None:
    """Bad usage: a message on standard error, exit code 2."""
    if not target.candidate.takes("port"):
        raise NotApplicable("its command has no place for {port}")
    wrong = [with_options(port="eighty"), with_options(port="65536"), with_options(port="-1")]
    wrong += (
        [with_options(max_clients="0"), with_options(max_clients="1000000000")]
        if target.candidate.takes("max_clients")
        else []
    )
    wrong += (
        [with_options(idle_timeout="-1"), with_options(idle_timeout="nan")]
        if target.candidate.takes("idle_timeout")
        else []
    )
    commands = [target.candidate.filled_command(given) for given in wrong]
    commands.append([*target.candidate.filled_command(with_options()), "--no-such-option"])
    for command in commands:
        code, said = run_to_end(command, target.patience_s)
        if code != 2 or not said.strip() or "Traceback" in said:
            raise Violation(f"{' '.join(command)}: exit code {code}, expected 2; standard error: {said!r}")


@case("7.3")
def l13_replies_survive_more_input(target: Target) -> None:
    """Replies on their way at SIGTERM arrive, even if the client goes on sending."""
    with target.fresh() as own, own.connect(SMALL_BUFFER_BYTES) as peer:
        peer.greeted()
        own.server.process.send_signal(signal.SIGSTOP)
        peer.send(b"1,2\n" * 1000)
        peer.await_delivery()
        own.server.process.send_signal(signal.SIGTERM)
        own.server.process.send_signal(signal.SIGCONT)
        peer.await_reading()
        time.sleep(TIME_TO_HANG_UP_S)  # whatever the server does too early, it has done by then
        expected = GREETING + THREE * 1000
        while len(peer.received) < len(expected):
            with suppress(OSError):
                peer.socket.send(b"1")
            if not peer.receive():
                raise Violation(f"{len(peer.received):,} of {len(expected):,} bytes arrived")
        peer.drain()
        expect_exit(own, 0)


@case("6.3")
def l14_idle_timeout_while_sending(target: Target) -> None:
    """A client that does not read is closed after the idle timeout; one that reads slowly is not."""
    with target.fresh(idle_timeout_s=IDLE_TIMEOUT_S) as own:
        deaf = own.connect(SMALL_BUFFER_BYTES).greeted()
        started = time.monotonic()
        taken_until_s = time.monotonic() - started if flood(deaf, 4 * 1024 * 1024) else 0.0
        while not deaf.is_closed_by_server() and time.monotonic() < started + taken_until_s + own.patience_s:
            time.sleep(0.01)
        took_s = time.monotonic() - started
        if took_s > taken_until_s + latest_s(own):
            raise Violation(
                f"with --idle-timeout {IDLE_TIMEOUT_S:g} it was closed {took_s:.2f} s after it had connected"
            )
        deaf.close()
        with own.connect(SLOW_READ_BYTES // 4) as slow:
            read_slowly(slow.greeted(), 33_000)


def read_slowly(slow: Peer, lines: int) -> None:
    """Ask for many replies, read a part of them and pause, again and again."""
    slow.send(b"\n" * lines)
    expected = b"ERROR. Enter only integers separated by commas\n" * lines
    received = pausing_from = 0
    while received < len(expected):
        received += len(slow.receive())
        if slow.at_end:
            raise Violation(f"a reader that was slow but live was closed after {received:,} bytes")
        if received > pausing_from + SLOW_READ_BYTES:
            pausing_from = received
            time.sleep(0.3 * IDLE_TIMEOUT_S)  # to be slow is what this client is for
    slow.expect(expected)


@case("6.2")
def l15_idle_timeout_of_a_long_line(target: Target) -> None:
    """The early ERROR for a line that is too long does not restart the idle clock."""
    with target.fresh(idle_timeout_s=2 * IDLE_TIMEOUT_S) as own, own.greeted() as peer:
        greeted = time.monotonic()
        while time.monotonic() < greeted + 1.6 * IDLE_TIMEOUT_S:
            time.sleep(IDLE_TIMEOUT_S / 10)  # to trickle is what this client is for
            peer.send(b"1")
        peer.exchange(b"1" * 5000, b"ERROR. Enter only integers separated by commas\n")
        peer.drain()
        took_s = time.monotonic() - greeted
        if took_s > latest_s(own, 2 * IDLE_TIMEOUT_S):
            raise Violation(f"with --idle-timeout {2 * IDLE_TIMEOUT_S:g} it was closed after {took_s:.2f} s")


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


def expect_exit(target: Target, code: int) -> None:
    """Wait for the server's own end."""
    ended_with = target.server.wait()
    if ended_with != code:
        said = target.server.error_output()
        raise Violation(f"exit code {ended_with}, expected {code}; standard error: {said!r}")


def deaf_client(target: Target) -> Peer:
    """Connect a client to which the server cannot deliver its replies."""
    deaf = target.connect(SMALL_BUFFER_BYTES).greeted()
    flood(deaf, 4 * 1024 * 1024)
    return deaf


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


def check_closed_in_time(target: Target, peer: Peer, trickle: bytes) -> None:
    """Expect the end after the idle timeout, not before and not much later."""
    started = time.monotonic()
    peer.socket.settimeout(IDLE_TIMEOUT_S / 10)
    while not peer.at_end:
        try:
            peer.receive()
        except TimeoutError:
            with suppress(Violation):
                peer.send(trickle) if trickle else None
        except Violation:
            peer.at_end = True  # our last byte crossed the server's close
        took_s = time.monotonic() - started
        if took_s > latest_s(target):
            raise Violation(f"with --idle-timeout {IDLE_TIMEOUT_S:g} it was still open after {took_s:.2f} s")
    if took_s < 0.8 * IDLE_TIMEOUT_S:
        raise Violation(f"with --idle-timeout {IDLE_TIMEOUT_S:g} it was closed after {took_s:.2f} s")
    peer.close()


def latest_s(target: Target, idle_timeout_s: float = IDLE_TIMEOUT_S) -> float:
    """Return the specification's limit for an idle close, and time for a busy machine."""
    return 1.25 * idle_timeout_s + 0.2 + 2 * target.server.startup_s
