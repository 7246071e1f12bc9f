"""What the kernel tells of the other end of a connection, however it is asked; and how servers are reached."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from harness.machine import connections
from harness.machine.connections import (
    Address,
    Entry,
    Timer,
    endpoint_of,
    endpoints_of,
    listening_host,
    reached,
    servers_entry,
    timer_of,
)

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


HOSTS = {"both.test": ["::1", "127.0.0.1"], "six.test": ["::1"]}


def listener(family: socket.AddressFamily, host: str) -> socket.socket:
    try:
        return socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look some names up in a table of our own."""
    asked: Any = socket.getaddrinfo

    def answered(host: str, *words: object, **more: object) -> list[object]:
        return [each for number in HOSTS.get(host, [host]) for each in asked(number, *words, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", answered)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("family", "number"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
def test_a_name_is_reached_where_somebody_listens(family: socket.AddressFamily, number: str) -> None:
    with listener(family, number) as server:
        port = server.getsockname()[1]
        assert reached(("both.test", port), 5) == (number, port)
        assert reached((number, port), 5) == (number, port)
        endpoint = endpoint_of((number, port))
        with socket.socket(endpoint.family) as client:
            client.connect(endpoint.address)


@pytest.mark.usefixtures("names")
def test_what_was_tried_is_said() -> None:
    with listener(socket.AF_INET, "127.0.0.1") as server:
        port = server.getsockname()[1]
    refused = "Connection refused"
    with pytest.raises(OSError, match=f"::1: .*; 127.0.0.1: {refused}"):
        reached(("both.test", port), 5)
    with pytest.raises(OSError, match=f"] {refused}$"):
        reached(("127.0.0.1", port), 5)


@pytest.mark.parametrize(
    ("family", "number", "host"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),  # noqa: S104 - for a moment
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_who_listens_is_found_without_being_asked(
    family: socket.AddressFamily, number: str, host: str
) -> None:
    with listener(family, number) as server:
        port = server.getsockname()[1]
        assert listening_host(port) == host
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert listening_host(port) is None


def test_what_is_no_name_is_an_error_like_others() -> None:
    with pytest.raises(OSError, match="no host"):
        endpoints_of(("x" * 70, 1))


def test_the_interface_of_a_link_is_kept() -> None:
    index, name = socket.if_nameindex()[0]
    assert endpoint_of((f"fe80::1%{name}", 1)).address[3:] == (index,)


def test_the_clock_for_probes_runs_where_they_are_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    end, _ = pair
    ends: tuple[Address, Address] = end.getsockname(), end.getpeername()
    assert timer_of(*ends) == Timer.NONE
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert timer_of(*ends) == Timer.KEEP_ALIVE
    monkeypatch.setattr(connections, "_told", lambda *_: b"")
    assert timer_of(*ends) is None
