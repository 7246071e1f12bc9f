"""Clients in the background: what they say, what they notice, and their books."""

import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.drive.background.guests import Party
from harness.drive.background.manners import MANNERS, Manner
from harness.drive.background.talk import Talk
from harness.drive.fleet import BACKGROUND, GO_ON, as_line, background_outcome, worker
from harness.drive.orders import BackgroundOrder
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.oracle import oracle
from harness.plan import COSTLY, FLOOD, IDLE, SLOW_READERS, TRICKLE
from harness.record import BackgroundRequests

KINDS = (IDLE, SLOW_READERS, TRICKLE, COSTLY, FLOOD)


def kept(address: tuple[str, int], kind: str, clients: int = 3, limit_s: float = 10.0) -> BackgroundRequests:
    """Let clients come and, as soon as they have settled, leave again."""
    with worker(BACKGROUND, ()) as background:
        order = BackgroundOrder(*address, kind, clients, limit_s, limit_s)
        came = background.tell(as_line(order), "connected")
        assert (came["clients"], came["refused"]) == (clients, "")
        background.tell(GO_ON, "started")
        outcome = background_outcome(background)
    assert outcome.asked == outcome.ok + outcome.wrong + outcome.error
    return outcome


def test_every_kind_has_its_manner() -> None:
    assert set(MANNERS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_expected_is_what_the_oracle_answers(kind: str) -> None:
    manner = MANNERS[kind]
    talk = Talk(manner)
    rounds = 3 * len(manner.lines)
    said = talk.said_with(rounds)
    request, expected = b"", oracle(manner.prologue + b"".join(manner.lines) * 3)
    while len(request) < said:
        request += talk.request(len(request), said, manner.says_bytes)
    assert request == b"".join(manner.lines) * 3
    expected = expected.removeprefix(oracle(manner.prologue))
    assert talk.heard_with(rounds) == len(expected)
    for at in range(0, len(expected), 1000):
        assert talk.is_reply(at, expected[at : at + manner.hears_bytes])


@given(st.integers(0, 500), st.integers(0, 500))
def test_lines_are_counted_as_they_end(said: int, heard: int) -> None:
    manner = Manner(lines=(b"1,2\n", b"\n", b"hello\n"))
    text = (b"".join(manner.lines) * 100)[:said]
    talk = Talk(manner)
    assert talk.lines_said(said) == text.count(b"\n")
    assert talk.lines_begun(said) == text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    assert (
        talk.heard_with(talk.lines_answered(heard)) <= heard < talk.heard_with(talk.lines_answered(heard) + 1)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_company_asks_is_answered(kind: str) -> None:
    with launch(ours("asyncio_streams")) as launched:
        outcome = kept(launched.address, kind)
    assert outcome.ok == outcome.asked
    assert outcome.fault == ""
    assert outcome.asked >= {SLOW_READERS: 3 * 2048, FLOOD: 3 * 1000}.get(kind, 3)
    if kind == IDLE:
        assert outcome.asked == 3


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return both ends of a connection: a client's, and its server's, which reads what it likes."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
    ):
        client.setblocking(False)
        yield client, server


def party_of(kind: str, client: socket.socket) -> Party:
    host, port = client.getpeername()
    return Party(BackgroundOrder(host, port, kind, 1, 10.0, 10.0), [client])


def test_a_rush_is_over_when_the_server_has_read_all(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, server = ends
    said = Talk(MANNERS[SLOW_READERS]).said_with(MANNERS[SLOW_READERS].ahead)
    party, looked = party_of(SLOW_READERS, client), []
    look = party._unread_bytes

    def look_and_let_it_read() -> int:
        looked.append(look())
        if looked[-1]:
            server.recv(said // 2 + 1)
        return looked[-1]

    monkeypatch.setattr(party, "_unread_bytes", look_and_let_it_read)
    party.begin()
    party.settle()
    assert looked[-1] == 0
    assert looked[0] == said
    assert len(looked) == 3


def test_nor_is_a_server_waited_for_that_lets_its_clients_wait(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    party = party_of(SLOW_READERS, ends[0])
    party.begin()
    party.settle()
    assert party._unread_bytes() > 0


@pytest.mark.parametrize("kind", [IDLE, TRICKLE, COSTLY, FLOOD])
def test_who_does_not_rush_is_not_waited_for(kind: str, ends: tuple[socket.socket, socket.socket]) -> None:
    party = party_of(kind, ends[0])
    party.begin()
    party.settle()


def test_a_wrong_reply_is_noticed(faulty: Callable[..., Candidate]) -> None:
    with launch(faulty("goes_wrong_after_a_while")) as launched:
        outcome = kept(launched.address, FLOOD)
    assert outcome.wrong == 3
    assert outcome.fault.startswith("received b")


def test_a_server_that_dies_is_noticed(faulty: Callable[..., Candidate]) -> None:
    with launch(faulty("dies_after_a_while")) as launched:
        outcome = kept(launched.address, FLOOD)
    assert outcome.error > 0
    assert outcome.ok < outcome.asked


def test_what_is_never_answered_is_an_error(faulty: Callable[..., Candidate]) -> None:
    with launch(faulty("loses_replies")) as launched:
        outcome = kept(launched.address, SLOW_READERS, limit_s=0.5)
    assert outcome.error > 0
    assert outcome.fault == "not all was answered within 0.5 s"


def test_who_is_not_greeted_is_told_of() -> None:
    with launch(ours("threaded"), max_clients=4) as launched, worker(BACKGROUND, ()) as background:
        order = BackgroundOrder(*launched.address, IDLE, 10, 0.5, 10.0)
        came = background.tell(as_line(order), "connected")
        assert (came["clients"], came["refused"]) == (4, "client 5 was not greeted within 0.5 s")
        background.tell(GO_ON, "started")
        assert background.tell(GO_ON, "done")["outcome"]["ok"] == 4
