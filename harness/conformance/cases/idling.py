"""L: what a server does with clients that say nothing, or do not read."""

import time
from contextlib import suppress
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import ERROR
from harness.conformance.cases.steps import Late, LateClient, deaf_client, in_time
from harness.conformance.peer import SMALL_BUFFER_BYTES
from harness.conformance.target import Target
from harness.conformance.violations import Violation

CASES: Final = Cases()
case = CASES.case
IDLE_TIMEOUT_S: Final = 1.0
AT_ONCE_S: Final = 0.5
"""Half of what a close may linger that is not for idleness."""


@case("6.2, 6.8")
def l11_idle_timeout(target: Target) -> None:
    """A silent client is closed after the idle timeout, and so is one that trickles bytes of one line; no neighbour is."""
    places = {"max_clients": 1 + target.serves_several} if target.candidate.takes("max_clients") else {}
    with target.fresh(idle_timeout_s=IDLE_TIMEOUT_S, **places) as own:
        in_time(lambda: check_closed_in_time(own, trickle=b""))
        in_time(lambda: check_closed_in_time(own, trickle=b"1"))


@case("6.3")
def l14_idle_timeout_while_sending(target: Target) -> None:
    """A client that does not read is closed after the idle timeout; one that reads slowly is not."""
    with target.fresh(idle_timeout_s=IDLE_TIMEOUT_S) as own:
        in_time(lambda: check_deaf_client_is_closed(own))
        in_time(lambda: read_slowly(own, 33_000))


def check_deaf_client_is_closed(target: Target) -> None:
    """Let a client costly_batches without reading, and expect it to be closed an idle timeout after the server took the last."""
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
    expected = ERROR * lines
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
            peer.exchange(b"1" * 5000, ERROR)
        except Violation as trouble:
            if time.monotonic() < began + 1.9 * IDLE_TIMEOUT_S:
                raise
            raise LateClient(f"this client was too late to send its line: {trouble}") from None
        peer.drain()
        took_s = time.monotonic() - greeted
        if took_s > latest_s(target, 2 * IDLE_TIMEOUT_S):
            raise Late(f"with --idle-timeout {2 * IDLE_TIMEOUT_S:g} it was closed after {took_s:.2f} s")


def check_closed_in_time(target: Target, trickle: bytes) -> None:
    """Expect the end after the idle timeout, not before and not much later.

    The server's clock starts at its greeting, which a busy client sees late: between connecting and then.
    """
    began = time.monotonic()
    peer = target.greeted()
    greeted = time.monotonic()
    lively = LivelyNeighbour(target)
    peer.socket.settimeout(IDLE_TIMEOUT_S / 10)
    while not peer.at_end:
        lively.ask()
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
    ended = time.monotonic()
    while not peer.is_closed_by_server():
        if time.monotonic() > ended + AT_ONCE_S:
            raise Late(f"{AT_ONCE_S:g} s after its end of output the server has not closed")
        time.sleep(0.01)
    peer.close()
    lively.leave()


class LivelyNeighbour:
    """A client that asks something now and then, so that it is not closed, if the server serves several."""

    def __init__(self, target: Target) -> None:
        """Connect."""
        self._peer = target.greeted() if target.serves_several else None
        self._asked = time.monotonic()

    def ask(self) -> None:
        """Expect an answer, unless this client has been silent for too long itself."""
        if self._peer is None:
            return
        silent_s = time.monotonic() - self._asked
        try:
            self._peer.fence()
        except Violation as trouble:
            late = LateClient if silent_s > IDLE_TIMEOUT_S / 2 else Late
            raise late(f"{silent_s:.2f} s after its last line: {trouble}") from None
        self._asked = time.monotonic()

    def leave(self) -> None:
        """Give its place back."""
        if self._peer is not None:
            self._peer.close()


def latest_s(target: Target, idle_timeout_s: float = IDLE_TIMEOUT_S) -> float:
    """Return the specification's limit for an idle close, and time for a busy machine."""
    return 1.25 * idle_timeout_s + 0.2 + 2 * target.server.startup_s
