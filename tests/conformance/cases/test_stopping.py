"""What a server that is told to stop still owes to a client whose lines were more than its kernel had room for."""

import socket
from collections.abc import Iterator

import pytest

from harness.conformance.cases.stopping import expect_replies_to
from harness.conformance.peer import Peer
from harness.conformance.violations import Violation
from harness.launch.candidates import HOST
from harness.oracle import GREETING, oracle

SENT = b"1,2\n" * 3
DELIVERED_BYTES = len(b"1,2\n" * 2 + b"1,")
REPLY = oracle(b"1,2\n").removeprefix(GREETING)


@pytest.fixture
def ends() -> Iterator[tuple[Peer, socket.socket]]:
    """Connect a client, that was greeted and has sent all its lines, to a server that is ours."""
    with (
        socket.create_server((HOST, 0)) as listener,
        Peer(listener.getsockname(), patience_s=10) as peer,
        listener.accept()[0] as server,
    ):
        server.sendall(GREETING)
        peer.expect(GREETING)
        peer.send(SENT)
        yield peer, server


@pytest.mark.parametrize("answered", [2, 3])
def test_lines_that_were_delivered_are_answered_and_others_may_be(
    ends: tuple[Peer, socket.socket], answered: int
) -> None:
    peer, server = ends
    server.sendall(answered * REPLY)
    server.shutdown(socket.SHUT_WR)
    expect_replies_to(peer, DELIVERED_BYTES)


@pytest.mark.parametrize(
    "replies", [REPLY, 2 * REPLY + REPLY[:5], 2 * REPLY + b"nonsense\r\n", 4 * REPLY], ids=repr
)
def test_less_than_that_is_a_violation_and_so_is_part_of_a_reply_and_more_than_was_asked(
    ends: tuple[Peer, socket.socket], replies: bytes
) -> None:
    peer, server = ends
    server.sendall(replies)
    server.shutdown(socket.SHUT_WR)
    with pytest.raises(Violation):
        expect_replies_to(peer, DELIVERED_BYTES)
