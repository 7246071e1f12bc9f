"""The upstream that the suite plays: what it sees, and when it answers."""

import socket
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Event

import pytest

from harness.conformance.upstream import Asked, PlayedUpstream, answer_to
from harness.conformance.violations import Violation
from harness.oracle import GREETING

LIMIT_S = 30
TO_PRODUCT = b"<switching to product mode>\r\n"


@pytest.fixture
def upstream() -> Iterator[PlayedUpstream]:
    with PlayedUpstream(LIMIT_S) as played:
        yield played


def connected(upstream: PlayedUpstream) -> socket.socket:
    end = socket.create_connection(upstream.address, LIMIT_S)
    assert read(end, len(GREETING)) == GREETING
    return end


def read(end: socket.socket, size_bytes: int) -> bytes:
    received = b""
    while len(received) < size_bytes and (data := end.recv(size_bytes - len(received))):
        received += data
    return received


def to_the_end(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(65536), b""))


@pytest.mark.parametrize(
    ("line", "mode", "answer"),
    [
        (b"6,7\n", b"Sum", b"Sum of input numbers: '13'\r\n"),
        (b"6,7\n", b"Product", b"Product of input numbers: '42'\r\n"),
        (b"x\n", b"Product", b"ERROR. Enter only integers separated by commas\n"),
    ],
)
def test_the_right_answer_depends_on_the_mode(line: bytes, mode: bytes, answer: bytes) -> None:
    assert answer_to(line, mode) == answer


def test_it_sees_lines_with_their_mode_and_answers_when_told_to(upstream: PlayedUpstream) -> None:
    with connected(upstream) as one, connected(upstream) as other:
        one.sendall(b"product\n6,7\n")
        first = upstream.expect(b"6,7\n", b"Product")
        other.sendall(b"6,7\n")
        second = upstream.expect(b"6,7\n")
        assert upstream.under_way == [first, second]
        assert upstream.most_under_way == 2
        second.answer()
        first.answer(slowly=True)
        first.answer()  # one answer is enough
        right = TO_PRODUCT + answer_to(b"6,7\n", b"Product")
        assert read(one, len(right)) == right
        assert read(other, len(second.reply)) == second.reply
        assert upstream.under_way == []
        assert first.connection.lines == [b"product\n", b"6,7\n"]


def test_another_line_than_expected_is_a_violation(upstream: PlayedUpstream) -> None:
    with connected(upstream) as end:
        end.sendall(b"1\n2\n")
        with pytest.raises(Violation, match=r"asked b'1\\n' in sum mode; expected b'1\\n' in product mode"):
            upstream.expect(b"1\n", b"Product")
        upstream.await_under_way(2)
        with pytest.raises(Violation, match=r"asked b'2\\n', expected nothing"):
            upstream.expect_nothing()
        upstream.expect_nothing()


def test_nothing_asked_is_a_timeout() -> None:
    with PlayedUpstream(0.05) as impatient, pytest.raises(TimeoutError, match="asked nothing more"):
        impatient.next_asked()


def test_the_reply_to_a_switch_may_be_held_until_the_answer(upstream: PlayedUpstream) -> None:
    upstream.holds_switches = True
    with connected(upstream) as end:
        end.sendall(b"product\n6,7\n")
        asked = upstream.next_asked()
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(1)
        end.settimeout(LIMIT_S)
        asked.answer()
        assert end.recv(1000) == TO_PRODUCT + asked.reply


def test_it_answers_everything_by_itself_if_it_is_to(upstream: PlayedUpstream) -> None:
    with connected(upstream) as end:
        end.sendall(b"1\n")
        upstream.await_under_way(1)
        with upstream.answering(lambda asked: b"<%s>" % asked.line.strip()):
            end.sendall(b"2\n")
            assert read(end, 6) == b"<1><2>"
        assert upstream.said == {answer_to(b"1\n", b"Sum"): {b"<1>"}, answer_to(b"2\n", b"Sum"): {b"<2>"}}


class SlowQueue(SimpleQueue[Asked]):
    """Takes what is put into it only once somebody has looked, if anybody does in time."""

    def __init__(self) -> None:
        super().__init__()
        self.is_put, self.looked = Event(), Event()

    def put(self, item: Asked, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002 - as its base
        self.is_put.set()
        self.looked.wait(0.2)
        super().put(item, block, timeout)

    def get_nowait(self) -> Asked:
        try:
            return super().get_nowait()
        except Empty:
            self.looked.set()
            raise


def test_what_is_heard_while_it_begins_to_answer_is_answered_and_waits_for_nobody(
    upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowQueue()
    monkeypatch.setattr(upstream, "_waiting", slow)
    with connected(upstream) as end:
        end.sendall(b"1\n")
        assert slow.is_put.wait(LIMIT_S)
        with upstream.answering():
            reply = answer_to(b"1\n", b"Sum")
            assert read(end, len(reply)) == reply
        upstream.expect_nothing()


def test_some_lines_are_answered_whenever_they_come_and_others_wait(upstream: PlayedUpstream) -> None:
    with connected(upstream) as end, upstream.answering_whenever({b"5\n"}):
        with upstream.answering():
            end.sendall(b"1\n")
            reply = answer_to(b"1\n", b"Sum")
            assert read(end, len(reply)) == reply
        end.sendall(b"5\n1,2\n")
        late = answer_to(b"5\n", b"Sum")
        assert read(end, len(late)) == late
        upstream.expect(b"1,2\n").answer()


@pytest.mark.parametrize("reset", [False, True])
def test_it_hangs_up_in_the_middle_of_an_answer(upstream: PlayedUpstream, reset: bool) -> None:  # noqa: FBT001 - a case
    with connected(upstream) as end:
        end.sendall(b"1\n")
        asked = upstream.next_asked()
        asked.hang_up(last=b"Su", reset=reset)
        assert read(end, 2) == b"Su"
        if reset:
            with pytest.raises(ConnectionResetError):
                to_the_end(end)
        else:
            assert to_the_end(end) == b""
        assert asked.is_dropped()
        assert upstream.under_way == []


def test_it_goes_and_comes_back_at_the_same_address(upstream: PlayedUpstream) -> None:
    address = upstream.address
    with connected(upstream) as end:
        upstream.refuse()
        assert to_the_end(end) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, LIMIT_S)
    upstream.listen()
    with connected(upstream) as end:
        end.sendall(b"1\n")
        upstream.expect(b"1\n")
    assert upstream.address == address


def test_an_endless_answer_ends_with_the_connection(upstream: PlayedUpstream) -> None:
    with connected(upstream) as end:
        end.sendall(b"1\n")
        asked = upstream.next_asked()
        end.close()
        assert asked.flood(2**40) < 2**30


def test_it_forgets_what_was_asked_and_keeps_its_connections(upstream: PlayedUpstream) -> None:
    with connected(upstream) as end, connected(upstream) as gone:
        end.sendall(b"1\n")
        upstream.await_under_way(1)
        left = upstream.connections[1]
        gone.close()
        assert left.ended.wait(LIMIT_S)
        upstream.forget()
        assert len(upstream.connections) == 1
        assert (upstream.asked, upstream.under_way, upstream.most_under_way) == ([], [], 0)
