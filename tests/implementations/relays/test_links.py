"""Which connections are used again, and when another one may be tried."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from implementations.protocol import GREETING, Question
from implementations.relays import links
from implementations.relays.links import Links
from implementations.relays.session import Session

SEVEN = b"Sum of input numbers: '7'\r\n"
RETRY_S = 0.05


class FakeLink:
    """One end of a pair of sockets, over which a question has been answered."""

    def __init__(self) -> None:
        self.socket, self.upstream = socket.socketpair()
        self.session = Session()
        self.session.ask(Question(product_mode=False, line=b"7"))
        self.session.receive_data(GREETING + SEVEN)

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def pair() -> Iterator[tuple[FakeLink, FakeLink]]:
    with ExitStack() as open_sockets:
        made = FakeLink(), FakeLink()
        for link in made:
            open_sockets.enter_context(link.socket)
            open_sockets.enter_context(link.upstream)
        yield made


def test_the_one_used_last_is_used_again(pair: tuple[FakeLink, FakeLink]) -> None:
    pool: Links[FakeLink] = Links(RETRY_S)
    assert pool.take() is None
    for link in pair:
        pool.give_back(link)
    assert pool.take() is pair[1]
    assert pool.take() is pair[0]
    assert pool.take() is None


def test_one_that_has_something_to_say_is_thrown_away(pair: tuple[FakeLink, FakeLink]) -> None:
    pool: Links[FakeLink] = Links(RETRY_S)
    for link in pair:
        pool.give_back(link)
    pair[1].upstream.send(SEVEN)
    pair[0].upstream.close()
    assert pool.take() is None
    assert (pair[0].fileno(), pair[1].fileno()) == (-1, -1)


def test_one_that_is_closed_is_not_used(pair: tuple[FakeLink, FakeLink]) -> None:
    pool: Links[FakeLink] = Links(RETRY_S)
    pool.give_back(pair[0])
    pair[0].close()
    assert pool.take() is None


def test_one_that_went_wrong_is_not_kept(pair: tuple[FakeLink, FakeLink]) -> None:
    pool: Links[FakeLink] = Links(RETRY_S)
    pair[0].session.ask(Question(product_mode=False, line=b"8"))
    pool.give_back(pair[0])
    assert pair[0].fileno() == -1
    assert pool.take() is None


def attempt(pool: Links[FakeLink], tried: list[float], now: float, *, works: bool) -> None:
    with pool.attempt():
        tried.append(now)
        if not works:
            raise ConnectionRefusedError


def test_tries_are_far_between_once_one_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    pool: Links[FakeLink] = Links(RETRY_S)
    tried: list[float] = []
    times = [n / 1000 for n in range(1000)]
    for now in times:
        monkeypatch.setattr(links, "monotonic", lambda now=now: now)
        with pytest.raises(ConnectionError):
            attempt(pool, tried, now, works=False)
    assert len(tried) == 20
    monkeypatch.setattr(links, "monotonic", lambda: 2.0)
    for _ in range(5):
        attempt(pool, tried, 2.0, works=True)
    assert len(tried) == 25


def test_while_one_tries_again_others_do_not() -> None:
    pool: Links[FakeLink] = Links(retry_s=3600)
    with pytest.raises(ConnectionRefusedError):
        attempt(pool, [], 0.0, works=False)
    pool._try_after = 0.0
    with pool.attempt(), pytest.raises(ConnectionError, match="a moment ago"):
        attempt(pool, [], 0.0, works=True)
    attempt(pool, [], 0.0, works=True)
