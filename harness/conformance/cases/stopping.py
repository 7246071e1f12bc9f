"""L: how the server process starts, idles and stops."""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Final

from harness.conformance.case import Group, NotApplicable, Violation
from harness.conformance.cases.capabilities import flood, meanwhile
from harness.conformance.cases.concurrency import flood as flood_without_reading
from harness.conformance.peer import GREETING, SMALL_BUFFER_BYTES, Peer
from harness.conformance.target import Target, run_to_end, with_options

LIFECYCLE: Final = Group("L", "Lifecycle")
case = LIFECYCLE.case

THREE: Final = b"Sum of input numbers: '3'\r\n"
SEVEN: Final = b"Sum of input numbers: '7'\r\n"
IDLE_TIMEOUT_S: Final = 1.0
TRIES: Final = 3
MOST_ATTEMPTS: Final = 10
IDLE_CLIENTS: Final = 900
BUSY_CLIENTS: Final = 20
FEW_LINES: Final = 400
"""Their replies fit into what the kernel holds for a client that does not read, and not into that client's buffer."""
SLOW_LINES: Final = 1500
SHORT_GRACE_S: Final = 1.0
LONG_GRACE_S: Final = 60.0
"""Longer than anybody's patience: what happens before its end is not the end's doing."""
TIME_TO_HANG_UP_S: Final = 0.1
RECEIVED_PAIRS: Final = 6000
"""48 KB: more than a server takes at once, and no more than the kernel takes for one that does not read."""


class Late(Violation):
    """Something came, but not in time."""


class LateClient(Late):
    """The client was late itself, so that the server may have been right."""


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

    def check() -> None:
        with target.fresh(grace_s=SHORT_GRACE_S) as own:
            own.connect().send(b"1,")
            deaf_client(own) if target.has("concurrent") else None
            expect_exit_within_grace(own, own.server.startup_s)

    in_time(check)


@case("7.5")
def l06_second_signal(target: Target) -> None:
    """A second signal ends the process at once, by that signal."""
    for second in (signal.SIGTERM, signal.SIGINT):
        with target.fresh(grace_s=LONG_GRACE_S) as own:
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
        last = [own.connect(SMALL_BUFFER_BYTES).greeted() for _ in range(30 if target.serves_several else 1)]
        for peer in last:
            peer.send(b"1,2\n" * 5000 + b"quit\n")
        own.server.process.send_signal(signal.SIGTERM)
        for peer in last:
            peer.reset()
        expect_exit(own, 0)
        if said := own.server.error_output():
            raise Violation(f"standard error: {said!r}")


@case("6.2")
def l11_idle_timeout(target: Target) -> None:
    """A silent client is closed after the idle timeout, and so is one that trickles bytes of one line."""
    with target.fresh(idle_timeout_s=IDLE_TIMEOUT_S) as own:
        in_time(lambda: check_closed_in_time(own, trickle=b""))
        in_time(lambda: check_closed_in_time(own, trickle=b"1"))


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


@case("6.3")
def l14_idle_timeout_while_sending(target: Target) -> None:
    """A client that does not read is closed after the idle timeout; one that reads slowly is not."""
    with target.fresh(idle_timeout_s=IDLE_TIMEOUT_S) as own:
        in_time(lambda: check_deaf_client_is_closed(own))
        in_time(lambda: read_slowly(own, 33_000))


def check_deaf_client_is_closed(target: Target) -> None:
    """Let a client flood without reading, and expect it to be closed an idle timeout after the server took the last."""
    deaf = deaf_client(target)
    looked = started = time.monotonic()
    while not deaf.is_closed_by_server():
        if looked > started + latest_s(target):  # looking itself may take long
            raise Late(
                f"with --idle-timeout {IDLE_TIMEOUT_S:g} it was still open {latest_s(target):.2f} s after it had stalled"
            )
        time.sleep(0.01)
        looked = time.monotonic()
    deaf.close()


def read_slowly(target: Target, lines: int) -> None:
    """Ask for more than all buffers hold, and read a little of it at a time; then read all the rest."""
    slow = target.connect(SMALL_BUFFER_BYTES).greeted()
    slow.send(b"\n" * lines)
    expected = b"ERROR. Enter only integers separated by commas\n" * lines
    began = looked = time.monotonic()
    longest_pause_s = 0.0
    received = 0
    while received < len(expected):
        now = time.monotonic()
        longest_pause_s, looked = max(longest_pause_s, now - looked), now
        try:
            received += len(slow.receive())
        except Violation as trouble:
            raise closed_on_a_slow_reader(longest_pause_s, str(trouble)) from None
        if slow.at_end:
            raise closed_on_a_slow_reader(longest_pause_s, f"closed after {received:,} bytes")
        if now < began + 2.5 * IDLE_TIMEOUT_S:
            time.sleep(IDLE_TIMEOUT_S / 20)  # to be slow is what this client is for
    slow.expect(expected)
    slow.close()


def closed_on_a_slow_reader(longest_pause_s: float, trouble: str) -> Late:
    """Return what there is to say, unless the reader was slower than it should have been."""
    if longest_pause_s > IDLE_TIMEOUT_S / 4:
        return LateClient(f"this client did not read for {longest_pause_s:.2f} s: {trouble}")
    return Late(f"a reader that was slow but live: {trouble}")


@case("6.2")
def l15_idle_timeout_of_a_long_line(target: Target) -> None:
    """The early ERROR for a line that is too long does not restart the idle clock."""
    with target.fresh(idle_timeout_s=2 * IDLE_TIMEOUT_S) as own:
        in_time(lambda: check_long_line_is_closed(own))


def check_long_line_is_closed(target: Target) -> None:
    """Send a line that is too long when most of the idle timeout is over; the end must not come much later."""
    began = time.monotonic()  # the server's clock starts at its greeting, which a busy client sees late
    with target.greeted() as peer:
        greeted = time.monotonic()
        try:
            while time.monotonic() < began + 1.6 * IDLE_TIMEOUT_S:
                time.sleep(IDLE_TIMEOUT_S / 10)  # to trickle is what this client is for
                peer.send(b"1")
            peer.exchange(b"1" * 5000, b"ERROR. Enter only integers separated by commas\n")
        except Violation as trouble:
            if time.monotonic() < began + 1.9 * IDLE_TIMEOUT_S:
                raise
            raise LateClient(f"this client was too late to send its line: {trouble}") from None
        peer.drain()
        took_s = time.monotonic() - greeted
        if took_s > latest_s(target, 2 * IDLE_TIMEOUT_S):
            raise Late(f"with --idle-timeout {2 * IDLE_TIMEOUT_S:g} it was closed after {took_s:.2f} s")


@case("7.4")
def l16_grace_of_a_busy_server(target: Target) -> None:
    """The grace is kept however many clients there are, and however busy the server is with some of them."""

    def check() -> None:
        busy_clients = min(BUSY_CLIENTS, target.places)
        with target.fresh(grace_s=SHORT_GRACE_S) as own:
            for _ in range(min(IDLE_CLIENTS, target.places - busy_clients)):
                own.greeted()
            busy = [flood(own.greeted()) for _ in range(busy_clients)]
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


def patient(target: Target) -> AbstractContextManager[Target]:
    """Start a server with a grace that is longer than anybody's patience, if it can be told one."""
    return target.fresh(grace_s=LONG_GRACE_S) if target.candidate.takes("grace") else target.fresh()


def expect_exit_within_grace(target: Target, lag_s: float) -> None:
    """Stop a server, and expect it to end within its grace, and a moment more."""
    started = time.monotonic()
    target.server.process.send_signal(signal.SIGTERM)
    try:
        expect_exit(target, 0)
    except TimeoutError as trouble:
        raise Late(str(trouble)) from None
    took_s = time.monotonic() - started
    if took_s > target.server.grace_s + lag_s:
        raise Late(f"with --grace {target.server.grace_s:g} the server ended after {took_s:.2f} s")


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
    flood_without_reading(deaf, 4 * 1024 * 1024)
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


def check_closed_in_time(target: Target, trickle: bytes) -> None:
    """Expect the end after the idle timeout, not before and not much later.

    The server's clock starts at its greeting, which a busy client sees late: between connecting and then.
    """
    began = time.monotonic()
    peer = target.greeted()
    greeted = time.monotonic()
    peer.socket.settimeout(IDLE_TIMEOUT_S / 10)
    while not peer.at_end:
        took_s = time.monotonic() - greeted
        try:
            peer.receive()
        except TimeoutError:
            with suppress(Violation):
                peer.send(trickle) if trickle else None
        except Violation:
            peer.at_end = True  # our last byte crossed the server's close
        if not peer.at_end and took_s > latest_s(target):
            raise Late(f"with --idle-timeout {IDLE_TIMEOUT_S:g} it was still open after {took_s:.2f} s")
    if (took_s := time.monotonic() - began) < 0.8 * IDLE_TIMEOUT_S:
        raise Violation(f"with --idle-timeout {IDLE_TIMEOUT_S:g} it was closed after {took_s:.2f} s")
    peer.close()


def latest_s(target: Target, idle_timeout_s: float = IDLE_TIMEOUT_S) -> float:
    """Return the specification's limit for an idle close, and time for a busy machine."""
    return 1.25 * idle_timeout_s + 0.2 + 2 * target.server.startup_s
