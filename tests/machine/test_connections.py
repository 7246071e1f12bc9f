"""What the kernel tells of the other end of a connection, however it is asked."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.machine import connections
from harness.machine.connections import Address, Entry, servers_entry

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["the connection", "the table"])
def entry_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Entry | None]:
    """Return what looks for the other end: by a question for it alone, or, where none is answered, in the table."""
    if request.param == "the table":
        monkeypatch.setattr(connections, "_told", lambda *_: b"")

    def look(client: socket.socket) -> Entry | None:
        ends: tuple[Address, Address] = client.getsockname(), client.getpeername()
        return servers_entry(*ends)

    return look


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(listener.getsockname()))
        server, _ = listener.accept()
        stack.enter_context(server)
        yield client, server


def test_what_is_not_yet_read_is_counted(pair: Pair, entry_of: Callable[..., Entry | None]) -> None:
    client, server = pair
    client.sendall(b"12345")
    assert len(server.recv(3, socket.MSG_WAITALL)) == 3
    found = entry_of(client)
    assert found
    assert found.unread_bytes == 2
    assert found.inode


def test_an_end_without_a_file_is_closed(pair: Pair, entry_of: Callable[..., Entry | None]) -> None:
    client, server = pair
    server.close()
    assert client.recv(1) == b""
    found = entry_of(client)
    assert found is None or found.inode == 0


def test_whoever_listens_is_no_end_of_a_connection(pair: Pair) -> None:
    client, server = pair
    client.sendall(b"12345")
    assert len(server.recv(3, socket.MSG_WAITALL)) == 3
    ends: tuple[Address, Address] = client.getsockname(), client.getpeername()
    server.close()  # with a reset, since not all was read
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert servers_entry(*ends) is None
    assert connections.input_of(*reversed(ends)) is None


def test_nothing_is_known_of_an_end_that_was_never_here(entry_of: Callable[..., Entry | None]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 9))
        assert entry_of(client) is None
