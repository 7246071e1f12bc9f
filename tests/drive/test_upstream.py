"""The upstream over real sockets: it is a calculator, it takes its time, and asks nobody's patience longer than it must."""

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from select import epoll

import pytest

from harness.conformance.smoke import SHORT_CHECK
from harness.drive.journal import QUESTION, Journal
from harness.drive.questions import NOBODY, Questions
from harness.drive.upstream import LONGEST_BYTES, Upstream, clock
from harness.oracle import GREETING, oracle

MS = 1_000_000


@pytest.fixture
def make_upstream() -> Iterator[Callable[..., Upstream]]:
    made = []

    def make(wait_ns: int = 0, **known: tuple[int, bytes]) -> Upstream:
        poller = epoll()
        upstream = Upstream(
            poller, Questions(repeat(wait_ns)), known={text.encode(): to for text, to in known.items()}
        )
        made.append(upstream)
        return upstream

    yield make
    for upstream in made:
        upstream.close()


@contextmanager
def asking(upstream: Upstream) -> Iterator[socket.socket]:
    with socket.create_connection(upstream.address) as asker:
        asker.setblocking(False)
        assert hear(upstream, asker, len(GREETING)) == GREETING
        yield asker


def work(upstream: Upstream) -> None:
    for descriptor, _ in upstream.await_events(clock() + MS):
        upstream.attend(descriptor)


def hear(upstream: Upstream, asker: socket.socket, length: float = math.inf) -> bytes:
    """Let the upstream work until so much has been received, or all."""
    heard = b""
    while len(heard) < length:
        with suppress(BlockingIOError):
            data = asker.recv(65536)
            if not data:
                break
            heard += data
        if len(heard) < length:
            work(upstream)
    return heard


def test_it_is_a_calculator(make_upstream: Callable[..., Upstream]) -> None:
    upstream = make_upstream()
    with asking(upstream) as asker:
        asker.sendall(SHORT_CHECK)
        asker.shutdown(socket.SHUT_WR)
        assert GREETING + hear(upstream, asker) == oracle(SHORT_CHECK)


def test_quit_ends_a_connection(make_upstream: Callable[..., Upstream]) -> None:
    upstream = make_upstream()
    with asking(upstream) as asker:
        asker.sendall(b"1,2\nquit\n3,4\n")
        assert GREETING + hear(upstream, asker) == oracle(b"1,2\nquit\n")


def test_a_connection_asks_one_thing_at_a_time(make_upstream: Callable[..., Upstream]) -> None:
    upstream = make_upstream(5 * MS)
    with asking(upstream) as first, asking(upstream) as second:
        first.sendall(b"1,2\n3,4\n")
        second.sendall(b"5,6\n")
        assert GREETING + hear(upstream, first, 2 * 27) == oracle(b"1,2\n3,4\n")
        assert upstream.questions.most == 2


def test_each_question_is_kept_with_its_times_and_whose_it_is(make_upstream: Callable[..., Upstream]) -> None:
    upstream = make_upstream(2 * MS, **{"1,2\n": (7, b"Sum of input numbers: '3'\r\n")})
    upstream.log = Journal(10, QUESTION)
    with asking(upstream) as asker:
        asker.sendall(b"1,2\n")
        assert hear(upstream, asker, 27) == b"Sum of input numbers: '3'\r\n"
        asker.sendall(b"3,4\n")
        hear(upstream, asker, 27)
    rows = [*QUESTION.iter_unpack(upstream.log._rows.getbuffer()[: 2 * QUESTION.size])]
    assert [client for *_, client in rows] == [7, NOBODY]
    for asked_ns, due_ns, answered_ns, _ in rows:
        assert due_ns == asked_ns + 2 * MS <= answered_ns
    waited_ns = sum(answered_ns - asked_ns for asked_ns, _, answered_ns, _ in rows)
    assert waited_ns == upstream.questions.area_ns(rows[-1][2])


def test_an_answer_never_goes_to_another_than_who_asked(make_upstream: Callable[..., Upstream]) -> None:
    """The next one to come may have the same descriptor."""
    upstream = make_upstream(20 * MS)
    with asking(upstream) as asker:
        asker.sendall(b"1,2\n")
        while not upstream.questions.under_way:
            work(upstream)
        asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with asking(upstream) as other:
        while upstream.questions.under_way:
            work(upstream)
        other.sendall(b"hello\n")
        assert hear(upstream, other, 5) == b"ERROR. Enter only integers separated by commas\n"


def test_a_line_that_never_ends_is_not_kept(make_upstream: Callable[..., Upstream]) -> None:
    upstream = make_upstream()
    with asking(upstream) as asker, pytest.raises(ConnectionError):
        flood(upstream, asker)


def flood(upstream: Upstream, asker: socket.socket) -> None:
    while True:
        with suppress(BlockingIOError):
            asker.send(b"9" * LONGEST_BYTES)
        work(upstream)
