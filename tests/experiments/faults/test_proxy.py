"""The proxy: every byte passes, under whatever conditions; or both ends see a reset."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import active_count

import pytest

from harness.experiments.faults.proxy import Conditions, Proxy, pieces

LIMIT_S = 30
DATA = bytes(range(256)) * 20


@contextmanager
def through(conditions: Conditions) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Offer both ends of a connection that goes through a proxy."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Proxy(listener.getsockname(), conditions) as proxy,
        socket.create_connection(proxy.address, LIMIT_S) as client,
    ):
        listener.settimeout(LIMIT_S)
        server, _ = listener.accept()
        server.settimeout(LIMIT_S)
        with server:
            yield client, server


def all_of(end: socket.socket) -> bytes:
    return b"".join(iter(lambda: end.recv(65536), b""))


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions(),
        Conditions(delay_s=0.01),
        Conditions(slice_bytes=1),
        Conditions(slice_bytes=1000),
        Conditions(bytes_per_s=1e5),
        Conditions(delay_s=0.001, slice_bytes=100, bytes_per_s=1e6),
    ],
)
def test_both_directions_pass_every_byte_and_then_the_end(conditions: Conditions) -> None:
    with through(conditions) as (client, server):
        client.sendall(DATA)
        client.shutdown(socket.SHUT_WR)
        assert all_of(server) == DATA
        server.sendall(DATA[::-1])
        server.shutdown(socket.SHUT_WR)
        assert all_of(client) == DATA[::-1]


def test_one_direction_may_end_long_before_the_other() -> None:
    with through(Conditions()) as (client, server):
        server.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        client.sendall(b"still here")
        assert server.recv(100) == b"still here"


@pytest.mark.parametrize(
    ("conditions", "least_s"),
    [(Conditions(delay_s=0.2), 0.2), (Conditions(bytes_per_s=5000, slice_bytes=100), 0.2)],
)
def test_it_takes_as_long_as_the_conditions_say(conditions: Conditions, least_s: float) -> None:
    with through(conditions) as (client, server):
        started = time.monotonic()
        client.sendall(bytes(1000))
        client.shutdown(socket.SHUT_WR)
        all_of(server)
        assert time.monotonic() - started >= least_s


def test_both_ends_are_reset_after_so_many_bytes() -> None:
    with through(Conditions(reset_after_bytes=1000)) as (client, server):
        client.sendall(DATA)
        assert DATA[:1000].startswith(server.recv(1000))
        with pytest.raises(ConnectionResetError):
            all_of(server)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_reset_of_one_end_is_one_of_the_other() -> None:
    with through(Conditions()) as (client, server):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        with pytest.raises(ConnectionResetError):
            server.recv(1)


def test_who_cannot_be_connected_is_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()
    with (
        Proxy(nobody, Conditions()) as proxy,
        pytest.raises(ConnectionResetError),  # it may come while we connect
        socket.create_connection(proxy.address, LIMIT_S) as client,
    ):
        client.recv(1)


def test_nothing_is_left_when_the_context_ends() -> None:
    threads = active_count()
    with through(Conditions()) as (client, _):
        assert active_count() == threads + 1
        client.sendall(b"half a li")
    assert active_count() == threads


def test_pieces_are_of_the_size_and_nothing_is_missing() -> None:
    cut = list(pieces(b"abcdefg", 3))
    assert cut == [b"abc", b"def", b"g"]
    assert list(pieces(b"abc", 0)) == [b"abc"]
    assert all(len(a) >= len(b) for a, b in pairwise(cut))
