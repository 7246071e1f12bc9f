"""Relays, alive: what the upstream is asked, in which order, and what stands for an answer that does not come."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness.oracle import oracle
from implementations.catalogue import CATALOGUE, RELAYS, SERVERS, VARIANTS
from implementations.protocol import ERROR, GREETING, NO_ANSWER, TO_PRODUCT
from implementations.server import DEFAULT_POOL, beside_each_other

NAMES = [
    *(each.name for each in CATALOGUE),
    *(each.name for each in VARIANTS if each.name.endswith("+uvloop")),
    *(each.name for each in RELAYS),
]
SIDE_BY_SIDE = [
    name
    for name in NAMES
    if "concurrent" in SERVERS[name].declares and name not in {"processes", "asyncio_streams+blocking"}
]
"""Those of which a pool can be seen as a whole: `processes` has one in each worker."""
PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30
SEVEN = b"Sum of input numbers: '7'\r\n"


@contextmanager
def running(name: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    server = SERVERS[name]
    command = [sys.executable, "-m", server.module, *server.options, "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            assert process.stdout
            ready = re.fullmatch(r"Server up.* on (\S+) (\d+)\n", process.stdout.readline())
            assert ready
            yield process, (ready[1], int(ready[2]))
        finally:
            process.kill()


def refusal(name: str, *options: str, files: int | None = None) -> tuple[int, str]:
    """Return the exit code of a server that does not start, and its one line."""

    def limit_files() -> None:
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    done = subprocess.run(
        [sys.executable, "-m", f"implementations.{name}", "--port", "0", *options],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        preexec_fn=limit_files,
    )
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


class Peer:
    """One end of a connection, with its lines."""

    def __init__(self, connection: socket.socket, sockets: ExitStack) -> None:
        connection.settimeout(LIMIT_S)
        self.socket = sockets.enter_context(connection)
        self.lines = sockets.enter_context(connection.makefile("rb"))
        self.say = connection.sendall

    def hear(self) -> bytes:
        return self.lines.readline()


class Upstream:
    """An upstream that says what a test lets it say."""

    def __init__(self, sockets: ExitStack) -> None:
        self.sockets = sockets
        self.listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.listener.settimeout(LIMIT_S)
        self.option = "--upstream={}:{}".format(*self.listener.getsockname())

    def next(self) -> Peer:
        """Accept and greet."""
        peer = Peer(self.listener.accept()[0], self.sockets)
        peer.say(GREETING)
        return peer


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def upstream(sockets: ExitStack) -> Upstream:
    return Upstream(sockets)


def client_of(address: tuple[str, int], sockets: ExitStack) -> Peer:
    client = Peer(socket.create_connection(address, LIMIT_S), sockets)
    assert client.hear() == GREETING
    return client


@pytest.fixture(scope="module")
def calculator() -> Iterator[str]:
    with running("threaded") as (_, address):
        yield "--upstream={}:{}".format(*address)


@pytest.mark.parametrize("name", NAMES)
def test_a_relay_answers_as_its_upstream_would(name: str, calculator: str) -> None:
    said = (
        b"1,2\nhello\nproduct\n3,4 \r\n"
        + b"5\nsum\n6,-6\n\n" * 20
        + b"9" * 4096
        + b"\n"
        + b"9" * 5000
        + b"\n8"
    )
    with (
        running(name, calculator) as (_, address),
        socket.create_connection(address, LIMIT_S) as client,
        client.makefile("rb") as received,
    ):
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        assert received.read() == oracle(said)


@pytest.mark.parametrize("name", NAMES)
def test_a_mode_goes_with_its_question(name: str, upstream: Upstream, sockets: ExitStack) -> None:
    with running(name, upstream.option) as (_, address):
        client = client_of(address, sockets)
        client.say(b"7\nproduct\n8 , 9\t\r\n")
        asked = upstream.next()
        assert asked.hear() == b"7\n"
        asked.say(SEVEN)
        assert client.hear() == SEVEN
        assert client.hear() == TO_PRODUCT
        assert asked.socket.recv(1000, socket.MSG_PEEK) == b"product\n8 , 9\t\n"
        for byte in TO_PRODUCT + b"Product of input numbers: '72'\r\n":
            asked.say(bytes([byte]))
        assert client.hear() == b"Product of input numbers: '72'\r\n"


@pytest.mark.parametrize("name", NAMES)
def test_an_upstream_that_is_not_there_may_come_later(name: str, sockets: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        host, port = placeholder.getsockname()
    with running(name, f"--upstream={host}:{port}") as (_, address):
        client = client_of(address, sockets)
        client.say(b"7\nhello\n7\n")
        assert (client.hear(), client.hear(), client.hear()) == (NO_ANSWER, ERROR, NO_ANSWER)
        with running("threaded", f"--port={port}"):
            answer = NO_ANSWER
            while answer == NO_ANSWER:
                client.say(b"7\n")
                answer = client.hear()
        assert answer == SEVEN


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_that_comes_too_late_goes_to_nobody(
    name: str, upstream: Upstream, sockets: ExitStack
) -> None:
    with running(name, upstream.option, "--upstream-timeout", "0.3") as (_, address):
        client = client_of(address, sockets)
        client.say(b"1\nhello\n")
        late = upstream.next()
        assert late.hear() == b"1\n"
        assert client.hear() == NO_ANSWER
        assert late.hear() == b""
        assert client.hear() == ERROR


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("said", [ERROR, SEVEN[:-1], b"", SEVEN + b"?"], ids=["error", "half", "end", "more"])
def test_an_upstream_that_does_not_keep_to_the_protocol_is_not_asked_again_over_that_connection(
    name: str, said: bytes, upstream: Upstream, sockets: ExitStack
) -> None:
    with running(name, upstream.option) as (_, address):
        client = client_of(address, sockets)
        client.say(b"1\n")
        asked = upstream.next()
        assert asked.hear() == b"1\n"
        asked.say(said)
        if not said.endswith(b"\n") and said != SEVEN + b"?":
            asked.socket.shutdown(socket.SHUT_WR)
        assert client.hear() == (SEVEN if said.startswith(SEVEN) else NO_ANSWER)
        client.say(b"2\n")
        again = upstream.next()
        assert again.hear() == b"2\n"
        again.say(SEVEN)
        assert client.hear() == SEVEN


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_so_many_are_asked_at_a_time_and_the_others_wait(
    name: str, upstream: Upstream, sockets: ExitStack
) -> None:
    with running(name, upstream.option, "--pool", "2") as (_, address):
        clients = [client_of(address, sockets) for _ in range(5)]
        clients[0].say(b"0\n0\n0\n")
        asked = [upstream.next()]
        assert asked[0].hear() == b"0\n"
        clients[1].say(b"1\n")
        asked.append(upstream.next())
        assert asked[1].hear() == b"1\n"
        for number in (2, 3, 4):
            clients[number].say(b"hello\n%d\n" % number)
            assert clients[number].hear() == ERROR
        order = []
        for _ in range(5):
            asked[0].say(SEVEN)
            order.append(asked[0].hear())
        assert sorted(order) == [b"0\n", b"0\n", b"2\n", b"3\n", b"4\n"]
        for peer in asked:
            peer.say(SEVEN)
        for client, answers in zip(clients, (3, 1, 1, 1, 1), strict=True):
            assert [client.hear() for _ in range(answers)] == [SEVEN] * answers
        upstream.listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            upstream.listener.accept()


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_waits_for_answers(name: str, upstream: Upstream, sockets: ExitStack) -> None:
    with running(name, upstream.option, "--grace", "20") as (process, address):
        client = client_of(address, sockets)
        client.say(b"1\n2\n")
        asked = upstream.next()
        assert asked.hear() == b"1\n"
        process.send_signal(signal.SIGTERM)
        asked.say(SEVEN)
        assert asked.hear() == b"2\n"
        asked.say(SEVEN)
        assert client.lines.read() == SEVEN * 2
        assert process.wait(LIMIT_S) == 0
        assert process.stderr
        assert process.stderr.read() == ""


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_vanishes_leaves_nothing_to_say(name: str, upstream: Upstream) -> None:
    with running(name, upstream.option, "--grace", "20") as (process, address):
        with ExitStack() as short:
            client = client_of(address, short)
            client.say(b"1\n2\n3\n")
            asked = upstream.next()
            assert asked.hear() == b"1\n"
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        process.send_signal(signal.SIGTERM)
        asked.say(SEVEN)
        assert process.wait(LIMIT_S) == 0
        assert process.stderr
        assert process.stderr.read() == ""


@pytest.mark.parametrize("name", ["threaded", "select_generators"])
def test_a_relay_of_itself_answers_all_the_same(name: str, sockets: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    code, line = refusal(name, "--port", str(port), f"--upstream=127.0.0.1:{port}")
    assert (code, "itself" in line) == (2, True)
    with running(
        name, "--host=0.0.0.0", f"--port={port}", f"--upstream=127.0.0.1:{port}", "--upstream-timeout=1"
    ) as (_, address):
        client = client_of(("127.0.0.1", address[1]), sockets)
        client.say(b"7\nhello\n")
        assert (client.hear(), client.hear()) == (NO_ANSWER, ERROR)


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (["--upstream", "nowhere"], 2, "nowhere is not HOST:PORT"),
        (["--upstream", "localhost:0"], 2, "localhost:0 is not HOST:PORT"),
        (["--upstream", ":80"], 2, ":80 is not HOST:PORT"),
        (["--upstream", "no.such.host.invalid:80"], 1, "cannot find the upstream no.such.host.invalid"),
        (["--upstream", "[::1]:1", "--pool", "0"], 2, "0 is less than 1"),
        (["--pool", "10"], 2, "--pool is of connections to an upstream: it needs --upstream"),
        (["--upstream", "[::1]:1", "--upstream-timeout", "0"], 2, "no answer comes in no time"),
        (["--upstream", "[::1]:1", "--pool", "900000000"], 2, "a pool of 900000000 need"),
    ],
)
def test_bad_usage_is_one_clear_line(options: list[str], code: int, reason: str) -> None:
    found, line = refusal("threaded", *options)
    assert found == code
    assert reason in line


def test_each_worker_has_a_connection() -> None:
    workers = len(os.sched_getaffinity(0))
    if workers == 1:
        pytest.skip("this machine has one core")
    code, line = refusal("processes", "--upstream", "127.0.0.1:1", "--pool", str(workers - 1))
    assert code == 2
    assert f"each of {workers} workers" in line


@pytest.mark.parametrize(
    ("given_clients", "given_pool", "files", "expected"),
    [
        (None, None, 10_000, (1000, DEFAULT_POOL)),
        (None, None, 1000, (900, DEFAULT_POOL)),
        (None, None, 100, (50, 50)),
        (None, 400, 1000, (600, 400)),
        (960, None, 1000, (960, 40)),
        (960, 100, 1000, (960, 100)),
        (1000, None, 1000, (1000, 1)),
    ],
)
def test_clients_and_pool_fit_beside_each_other(
    given_clients: int | None, given_pool: int | None, files: int, expected: tuple[int, int]
) -> None:
    assert beside_each_other(given_clients, given_pool, 1000, files) == expected


def test_serve_passes_the_options_on() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness", "serve", "threaded", "--upstream", "no.such.host.invalid:80"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot find the upstream no.such.host.invalid" in done.stderr


def test_what_does_not_fit_is_refused(calculator: str) -> None:
    code, line = refusal("threaded", calculator, "--max-clients=50", "--pool=27", files=100)
    assert code == 2
    assert "--max-clients 50 and a pool of 27 need 101 open files, and the hard limit is 100" in line
