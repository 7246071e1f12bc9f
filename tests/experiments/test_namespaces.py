"""Hosts that are namespaces: what happens to packets between them. That hosts come up takes root, and is no test's business."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from harness.errors import CannotRun
from harness.experiments import namespaces
from harness.experiments.namespaces import Router, Wire, address_of_host

HOSTS = 3
PATIENCE_S = 5.0


@pytest.fixture
def ends() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Return for each host its own end of its cable, and the router's."""
    with ExitStack() as stack:
        pairs = [socket.socketpair(type=socket.SOCK_DGRAM) for _ in range(HOSTS)]
        for pair in pairs:
            for end in pair:
                stack.enter_context(end)
                end.settimeout(PATIENCE_S)
        yield pairs


def router(ends: list[tuple[socket.socket, socket.socket]], path: Wire) -> Router:
    return Router({address_of_host(number): far.fileno() for number, (_, far) in enumerate(ends)}, path)


def packet(to: int, text: bytes) -> bytes:
    """Return a packet of IPv4 to a host."""
    header = struct.pack("!12x4s4s", socket.inet_aton("192.0.2.9"), socket.inet_aton(address_of_host(to)))
    return header[:20] + text


def test_packets_reach_whom_they_are_for(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    there = router(ends, Wire())
    ends[0][0].send(packet(2, b"hello"))
    there.step(PATIENCE_S)
    assert ends[2][0].recv(100) == packet(2, b"hello")
    ends[0][0].send(packet(9, b"nobody"))
    there.step(PATIENCE_S)
    ends[1][0].setblocking(False)
    with pytest.raises(BlockingIOError):
        ends[1][0].recv(100)


def test_packets_are_under_way_for_a_while_and_stay_in_order(
    ends: list[tuple[socket.socket, socket.socket]],
) -> None:
    there = router(ends, Wire(delay_s=0.02))
    began_s = monotonic()
    for text in (b"1", b"2", b"3"):
        ends[0][0].send(packet(1, text))
    ends[1][0].setblocking(False)
    came: list[bytes] = []
    while len(came) < 3:
        there.step(PATIENCE_S)
        try:
            while True:
                came.append(ends[1][0].recv(100)[20:])
                assert monotonic() - began_s >= 0.02
        except BlockingIOError:
            pass
    assert came == [b"1", b"2", b"3"]


def test_a_host_that_is_cut_off_neither_hears_nor_is_heard(
    ends: list[tuple[socket.socket, socket.socket]],
) -> None:
    there = router(ends, Wire())
    there.cut([address_of_host(2)])
    for sender, to in ((0, 2), (2, 0), (0, 1)):
        ends[sender][0].send(packet(to, b"x"))
        there.step(PATIENCE_S)
    assert ends[1][0].recv(100)
    for deaf in (0, 2):
        ends[deaf][0].setblocking(False)
        with pytest.raises(BlockingIOError):
            ends[deaf][0].recv(100)
    there.cut([])
    ends[0][0].send(packet(2, b"again"))
    there.step(PATIENCE_S)
    assert ends[2][0].recv(100)[20:] == b"again"


def test_so_many_packets_are_lost(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    there = router(ends, Wire(loss=0.25, seed=3))
    ends[1][0].setblocking(False)
    came = 0
    for _ in range(400):
        ends[0][0].send(packet(1, b"x"))
        there.step(PATIENCE_S)
        try:
            ends[1][0].recv(100)
        except BlockingIOError:
            continue
        came += 1
    assert 260 < came < 340


@pytest.mark.parametrize("left_over", [True, False])
def test_a_namespace_that_is_left_over_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, *, left_over: bool
) -> None:
    there: set[str] = {"harness-host1"} if left_over else set()
    done: list[str] = []

    def ip(*words: str) -> None:
        _, what, name = words
        if (name in there) == (what == "add"):
            raise CannotRun(f"ip netns {what}: it is there, or it is not")
        there.symmetric_difference_update({name})
        done.append(what)

    monkeypatch.setattr(namespaces, "_ip", ip)
    with namespaces._namespace("harness-host1"):
        assert there == {"harness-host1"}
    assert not there
    assert done == ["del"] * left_over + ["add", "del"]
