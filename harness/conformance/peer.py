"""A client that remembers every byte, so that whatever a server does to it can be compared with the oracle."""

import fcntl
import itertools
import os
import select
import socket
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, Self

from harness.conformance.shell import octal, shown
from harness.conformance.violations import Violation
from harness.machine.connections import Address, endpoint_of, servers_entry, unacknowledged_bytes
from harness.oracle import GREETING, oracle, replies

SMALL_BUFFER_BYTES: Final = 4096
MEDIUM_BUFFER_BYTES: Final = 65536
LOOK_S: Final = 0.001


LONGEST_REPRODUCER: Final = 400

_nonces = itertools.count(100_001)


class Peer:
    """One connection to the server under test.

    Attributes:
        sent: all bytes sent.
        received: all bytes received.
        at_end: the server has closed.
        segments: the bytes of each send, for the reproducer.
    """

    def __init__(
        self,
        address: Address,
        patience_s: float,
        buffer_bytes: int | None = None,
        greeting_s: float | None = None,
    ) -> None:
        """Connect; every wait is limited to `patience_s`, that for the greeting to `greeting_s` if given (TimeoutError).

        With small buffers the server soon notices that a client does not read.
        """
        self.sent = bytearray()
        self.received = bytearray()
        self.at_end = False
        self.segments: list[bytes] = []
        self._patience_s = patience_s
        self._greeting_s = patience_s if greeting_s is None else greeting_s
        self._expected = 0
        self._half_closed = False
        endpoint = endpoint_of(address)
        self.socket = socket.socket(endpoint.family)
        self.socket.settimeout(patience_s)
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._reported("cannot connect"), ExitStack() as stack:
            stack.callback(self.socket.close)
            self.socket.connect(endpoint.address)
            self._ends = self.socket.getsockname(), self.socket.getpeername()
            stack.pop_all()

    def __enter__(self) -> Self:
        """Use it as a context: it is closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def send(self, data: bytes) -> None:
        """Send one segment."""
        self.sent += data
        self.segments.append(data)
        with self._reported("cannot send"):
            self.socket.sendall(data)

    def send_some(self, data: bytes | memoryview) -> int:
        """Send what the kernel takes at once; return how many bytes that was."""
        with self._reported("cannot send"):
            taken = self.socket.send(data, socket.MSG_DONTWAIT)
        self.sent += data[:taken]
        return taken

    def greeted(self) -> Self:
        """Expect the greeting."""
        self.socket.settimeout(self._greeting_s)
        self.expect(GREETING)
        self.socket.settimeout(self._patience_s)
        return self

    def expect(self, reply: bytes) -> None:
        """Wait for exactly these bytes; Violation as soon as others come or the connection ends."""
        wanted = self._expected + len(reply)
        expected_so_far = bytes(self.received[: self._expected]) + reply
        while True:
            if not expected_so_far.startswith(self.received[:wanted]):
                raise Violation(self._difference(reply))
            if len(self.received) >= wanted:
                break
            if not self.receive():
                raise Violation(self._difference(reply) + ", then the end")
        self._expected = wanted

    def expect_either(self, *possible: bytes) -> bytes:
        """Wait for exactly one of these replies, and return it."""
        while True:
            came = bytes(self.received[self._expected :])
            whole = [reply for reply in possible if came.startswith(reply)]
            if whole:
                self.expect(whole[0])
                return whole[0]
            if not any(reply.startswith(came) for reply in possible) or not self.receive():
                raise Violation(self._difference(b"", " or ".join(map(shown, possible))))

    def exchange(self, data: bytes, *replies: bytes) -> None:
        """Send a segment and expect these replies."""
        self.send(data)
        self.expect(b"".join(replies))

    def fence(self, mode: bytes = b"Sum") -> None:
        """Prove that nothing else was sent: a list never seen before is answered next, in the mode it should be in."""
        nonce = b"%d" % next(_nonces)
        self.exchange(nonce + b"\n", mode + b" of input numbers: '" + nonce + b"'\r\n")

    def expect_end(self) -> None:
        """Wait for the server to close in good order, sending nothing more."""
        while self.receive():
            pass
        if len(self.received) > self._expected:
            raise Violation(self._difference(b"", "the end"))

    def expect_delivery(self) -> None:
        """Wait until the server's kernel has acknowledged all; Violation if it resets the connection instead.

        After the server's end of output, receiving tells nothing of a reset.
        """
        limit = time.monotonic() + self._patience_s
        while unacknowledged_bytes(self.socket):
            if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise Violation(
                    f"sent {shown(self.sent)}; after its end the server reset: {os.strerror(error)}"
                )
            _look_again(limit, "the server's kernel does not take what was sent")

    def receive(self, most_bytes: int = 65536) -> bytes:
        """Receive a chunk; b"" at the end."""
        with self._reported("cannot receive"):
            data = self.socket.recv(most_bytes)
        self.received += data
        self.at_end = not data
        return data

    def drain(self) -> None:
        """Receive until the server closes, whatever comes; a reset is an end, too."""
        try:
            while self.receive():
                pass
        except Violation:
            self.at_end = True

    def half_close(self) -> None:
        """End the input."""
        self._half_closed = True
        with self._reported("cannot half-close"):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish: close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Close in good order, once."""
        self.socket.close()

    def await_delivery(self) -> None:
        """Wait until the server's kernel has acknowledged all that was sent."""
        limit = time.monotonic() + self._patience_s
        while unacknowledged_bytes(self.socket):
            _look_again(limit, "the server's kernel does not take what was sent")

    def await_reading(self) -> None:
        """Wait until the server has read all that was sent, where the kernel can tell; else until it was delivered."""
        self.await_delivery()
        limit = time.monotonic() + self._patience_s
        while (entry := servers_entry(*self._ends)) and entry.unread_bytes:
            _look_again(limit, "the server does not read what was sent")

    def is_closed_by_server(self) -> bool:
        """Tell whether the server has closed its end, even if it cannot tell us since we do not read."""
        entry = servers_entry(*self._ends)
        return entry is None or entry.inode == 0

    def wait_for(self, events: int, limit_s: float) -> int:
        """Wait for select.POLLIN or POLLOUT, or both; return which have come.

        (select() ends at 1,024 descriptors, and some cases need more.)
        """
        poller = select.poll()
        poller.register(self.socket, events)
        return sum(found for _, found in poller.poll(limit_s * 1000))

    def unread(self) -> int:
        """Count the bytes that have come and were not received yet."""
        (count,) = struct.unpack("i", fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4)))
        return int(count)

    def check_against_oracle(self) -> None:
        """Compare all that was received with all that was sent: a prefix always, equal after half-close and end."""
        in_full = self._half_closed and self.at_end
        answer = oracle(bytes(self.sent)) if in_full else _first(self.sent, len(self.received))
        if not answer.startswith(self.received):
            at = next(
                i for i, (a, b) in enumerate(zip(answer + b"\0", self.received, strict=False)) if a != b
            )
            raise Violation(
                f"byte {at} of all that was received is not the oracle's: expected {shown(answer[at:])},"
                f" received {shown(self.received[at:])}"
            )
        if in_full and len(self.received) < len(answer):
            raise Violation(f"after half-close and the end, missing: {shown(answer[len(self.received) :])}")

    def reproducer(self, endpoint: str) -> str | None:
        """Return a shell line that sends the same segments to `HOST PORT`, if it can be a short one."""
        if not self.segments or len(self.sent) > LONGEST_REPRODUCER:
            return None
        prints = [f"printf '{octal(segment)}'" for segment in self.segments]
        sender = prints[0] if len(prints) == 1 else "(" + "; sleep 0.1; ".join(prints) + ")"
        return f"{sender} | nc {endpoint}"

    def _difference(self, reply: bytes, instead: str = "") -> str:
        received = self.received[self._expected :]
        return f"sent {shown(self.sent)}; expected {instead or shown(reply)}; received {shown(received)}"

    @contextmanager
    def _reported(self, trouble: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise TimeoutError(
                f"sent {shown(self.sent)}; nothing more came within {self.socket.gettimeout():.1f} s"
                f" after {shown(self.received[self._expected :])}"
            ) from None
        except OSError as error:
            raise Violation(f"sent {shown(self.sent)}; {trouble}: {error.strerror}") from None


def _look_again(limit: float, trouble: str) -> None:
    """Wait a moment for what the kernel tells nobody of; TimeoutError after the limit."""
    if time.monotonic() > limit:
        raise TimeoutError(trouble)
    time.sleep(LOOK_S)


def _first(sent: bytearray, least_bytes: int) -> bytes:
    """Work out only so much of the oracle's answer as is needed."""
    answer = bytearray()
    for reply in replies(bytes(sent)):
        answer += reply
        if len(answer) > least_bytes:
            break
    return bytes(answer)
