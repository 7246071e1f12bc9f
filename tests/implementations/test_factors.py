"""What the catalogue says of its servers besides their models is so."""

import asyncio
import os
import socket
import sys
import threading
from asyncio import selector_events
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import gevent.socket
import pytest
import trio
import uvloop

from harness.plan import ALL_CORES, ONE_CORE, regime_of
from implementations import event_loop
from implementations.catalogue import CATALOGUE, SERVERS, UNLOCKED, VARIANTS
from implementations.event_loop import Loops, cores_at_once, loop_factory, receive_at_once
from implementations.server import Options, Server

OPTIONS = {
    "TCP_NODELAY": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "TCP_NOTSENT_LOWAT": (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT),
    "TCP_CORK": (socket.IPPROTO_TCP, socket.TCP_CORK),
    "TCP_USER_TIMEOUT": (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    "SO_KEEPALIVE": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "SO_LINGER": (socket.SOL_SOCKET, socket.SO_LINGER),
    "SO_SNDBUF": (socket.SOL_SOCKET, socket.SO_SNDBUF),
    "SO_RCVBUF": (socket.SOL_SOCKET, socket.SO_RCVBUF),
}


DIFFERING = {
    "uvloop": {"event loop", "receives"},
    "recv64k": {"receives"},
    "buffered": {"receives"},
    "loops": {"event loop"},
}


def read(descriptor: int) -> dict[str, int]:
    borrowed = socket.socket(fileno=descriptor)
    try:
        return {name: borrowed.getsockopt(*option) for name, option in OPTIONS.items()}
    finally:
        borrowed.detach()


@contextmanager
def accepted() -> Iterator[socket.socket]:
    """Yield a socket as the kernel makes them."""
    with socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    ) as listener:  # asyncio asks for its protocol
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as client:
            client.setblocking(False)
            yield client


def streams_on(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> Callable[[socket.socket], dict[str, int]]:
    async def wrap(client: socket.socket) -> dict[str, int]:
        _, writer = await asyncio.open_connection(sock=client)
        found = read(client.fileno())
        writer.close()
        await writer.wait_closed()
        return found

    def run(client: socket.socket) -> dict[str, int]:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(wrap(client))

    return run


def in_trio(client: socket.socket) -> dict[str, int]:
    async def wrap() -> dict[str, int]:
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(client))
        return read(stream.socket.fileno())

    return trio.run(wrap)


def in_gevent(client: socket.socket) -> dict[str, int]:
    with gevent.socket.fromfd(client.fileno(), client.family, client.type) as wrapped:
        return read(wrapped.fileno())


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("asyncio_streams", streams_on(asyncio.SelectorEventLoop)),
        ("asyncio_streams+uvloop", streams_on(uvloop.new_event_loop)),
        ("trio_nursery", in_trio),
        ("gevent_greenlets", in_gevent),
    ],
)
def test_a_library_sets_the_options_that_are_listed(
    name: str, wrap: Callable[[socket.socket], dict[str, int]]
) -> None:
    with accepted() as client:
        before = read(client.fileno())
        after = wrap(client)
    changed = [option for option in OPTIONS if before[option] != after[option]]
    assert ", ".join(changed) == SERVERS[name].factors["socket options"].replace("none", "")


def test_the_receive_size_is_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    transports = vars(selector_events)["_SelectorTransport"]
    assert f"{transports.max_size // 1024} KiB" == SERVERS["asyncio_streams"].factors["receives"]
    monkeypatch.setattr(transports, "max_size", transports.max_size)  # is put back afterwards
    assert transports.max_size == 256 * 1024
    receive_at_once(64, "asyncio")
    assert transports.max_size == 64 * 1024


def test_how_much_is_received_is_for_asyncios_own_loop_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        receive_at_once(64, "uvloop")
    assert ended.value.code == 2
    assert "uvloop decides for itself" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("asyncio", asyncio.SelectorEventLoop),
        ("uvloop", uvloop.Loop),
        ("uvloop:new_event_loop", uvloop.Loop),
    ],
)
def test_a_loop_is_what_its_name_says(name: str, kind: type[asyncio.AbstractEventLoop]) -> None:
    with closing(loop_factory(name)()) as loop:
        assert type(loop) is kind


def test_a_variant_differs_from_its_model_in_what_its_name_says() -> None:
    for variant in (*VARIANTS, *UNLOCKED):
        model = SERVERS[variant.name.partition("+")[0]]
        differing = {name for name in model.factors if model.factors[name] != variant.factors[name]}
        assert differing == DIFFERING[variant.name.partition("+")[2]]
        assert (variant.module, variant.declares) == (model.module, model.declares)


def test_who_is_parallel_uses_all_cores() -> None:
    regimes = {server.name: regime_of(server.declares) for server in CATALOGUE}
    assert {name for name, regime in regimes.items() if regime == ALL_CORES} == {"processes"}
    assert set(regimes.values()) == {ONE_CORE, ALL_CORES}


def test_loops_have_a_share_of_the_places_each_and_stop_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loop, "cores_at_once", lambda: 2)
    monkeypatch.setattr(Server, "stop_on_signal", lambda _: None)
    pairs = [socket.socketpair() for _ in range(2)]
    clients = iter([ours for ours, _ in pairs])
    served: list[tuple[int, bytes, bool]] = []
    running = threading.Semaphore(0)

    def serve_one(part: Server) -> None:
        client = next(clients)
        with part.serving(client):
            running.release()
            served.append((part.options.max_clients, client.recv(1), part.stopping))

    with socket.socket() as listener:
        options = Options("127.0.0.1", 0, max_clients=3, idle_timeout_s=300, grace_s=1.0, verbose=False)
        server, loops = Server(options, listener), Loops(serve_one)
        loops.start(server)
        for _ in pairs:
            running.acquire()
        server.stop()
        loops.wait(server)
    for end in (end for pair in pairs for end in pair):
        end.close()
    assert sorted(served) == [(1, b"", True), (2, b"", True)]


def test_where_there_is_a_lock_one_loop_is_all_that_could_run(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    for locked, count in ((True, 1), (False, cores)):
        monkeypatch.setattr(sys, "_is_gil_enabled", lambda locked=locked: locked, raising=False)
        assert cores_at_once() == count
