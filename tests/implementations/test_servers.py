"""Every implementation against every case of the conformance suite, and what only our own servers promise."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from harness.conformance.case import Case
from harness.conformance.catalogue import CASES
from harness.conformance.judge import judge
from harness.launch.selection import ours
from harness.record import Judgement, Verdict
from implementations.asyncio_protocol import Handler
from implementations.catalogue import CATALOGUE, SERVERS, VARIANTS, Implementation
from implementations.protocol import ERROR, GREETING, MAX_LINE_BYTES
from implementations.relays.futures import Pool
from implementations.server import Options, Server

NAMES = [implementation.name for implementation in CATALOGUE]
OF_THE_LOOP = "FCLR"
"""What another event loop may change: how bytes come and go, and when; the lines themselves are the shared core's affair."""
OF_RECEIVING = "FC"
"""What it may change into what is received; before it gets figures, a run judges each variant by all cases."""
OF_WORKERS = {"C16"}
"""What cannot be judged of a server that is one process."""


def groups_of(variant: Implementation) -> str:
    """Return the groups of cases that what a variant changes may concern."""
    stock = SERVERS[variant.name.partition("+")[0]]
    return OF_RECEIVING if variant.own.event_loop == stock.own.event_loop else OF_THE_LOOP


TO_JUDGE = [(name, case) for name in NAMES for case in CASES] + [
    (variant.name, case) for variant in VARIANTS for case in CASES if case.id[0] in groups_of(variant)
]
PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30
SERVERS_AT_ONCE = 2
CASES_AT_ONCE = 4
"""Cases wait more than they compute."""


@pytest.fixture(scope="module")
def judgements(request: pytest.FixtureRequest) -> dict[tuple[str, str], Judgement]:
    """Judge what is selected, once: cases and servers run side by side, which single tests could not."""
    wanted: dict[str, list[Case]] = {}
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and {"name", "case"} <= callspec.params.keys():
            wanted.setdefault(callspec.params["name"], []).append(callspec.params["case"])
    with ThreadPoolExecutor(SERVERS_AT_ONCE) as pool:
        judged = pool.map(lambda name: judge(ours(name), wanted[name], side_by_side=CASES_AT_ONCE), wanted)
        return {
            (name, found.case): found
            for name, of_server in zip(wanted, judged, strict=True)
            for found in of_server
        }


@pytest.mark.parametrize(("name", "case"), TO_JUDGE, ids=[f"{name}-{case.id}" for name, case in TO_JUDGE])
def test_conformance(name: str, case: Case, judgements: dict[tuple[str, str], Judgement]) -> None:
    found = judgements[name, case.id]
    if case.id in OF_WORKERS and name != "processes":
        expected = Verdict.NOT_APPLICABLE
    elif case.capability in {None, *SERVERS[name].declares}:
        expected = Verdict.PASS
    else:
        expected = Verdict.BY_DESIGN
    assert found.verdict is expected, f"{case.id} {case.title}: {found.verdict} {found.detail}"


@contextmanager
def running(name: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    server = SERVERS[name]
    command = [sys.executable, "-m", server.module, *server.options, "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            assert process.stdout
            ready = re.fullmatch(
                r"Server up, running, and waiting for call on (\S+) (\d+)\n", process.stdout.readline()
            )
            assert ready
            yield process, (ready[1], int(ready[2]))
        finally:
            process.kill()


def run_to_end(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"implementations.{name}", *options]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT_S, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_verbose_tells_who_came_what_was_said_and_who_left(name: str) -> None:
    with running(name, "--verbose") as (process, address):
        with socket.create_connection(address, LIMIT_S) as client:
            client.sendall(b"1,2\r\nquit\n")
            while client.recv(1000):
                pass
            port = client.getsockname()[1]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=LIMIT_S)
    peer = f"127.0.0.1 {port}"
    assert said.splitlines() == [
        f"{peer} came",
        f"{peer} sent b'1,2\\r'",
        f"{peer} sent b'quit'",
        f"{peer} left",
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_names_and_ipv6(name: str, host: str) -> None:
    if host == "::1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    with (
        running(name, "--host", host) as (_, address),
        socket.create_connection(address, LIMIT_S) as client,
        client.makefile("rb") as lines,
    ):
        assert lines.readline() == b"<welcome: starting in sum mode>\n"


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (["--host", "no.such.host.invalid"], 1, "cannot listen on no.such.host.invalid 8080"),
        (["--host", "192.0.2.1", "--port", "0"], 1, "cannot listen on 192.0.2.1 0"),
        (["--port", "80000"], 2, "80000 is not between 0 and 65535"),
        (["--port", "x"], 2, "x is not a whole number"),
        (["--max-clients", "1.5"], 2, "1.5 is not a whole number"),
        (["--grace", "soon"], 2, "soon is not between 0 and 1,000,000 seconds"),
        (["--max-clients", "0"], 2, "0 is less than 1"),
        (["--max-clients", "900000000"], 2, "900000000"),
        (["--idle-timeout", "-1"], 2, "-1"),
        (["--grace", "nan"], 2, "nan"),
        (["--frobnicate"], 2, "--frobnicate"),
    ],
)
@pytest.mark.parametrize("name", ["blocking", "threaded"])
def test_bad_usage_is_one_clear_line(name: str, options: list[str], code: int, reason: str) -> None:
    done = run_to_end(name, *options)
    assert done.returncode == code
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "server", [each for each in CATALOGUE if each.most_clients], ids=lambda each: each.name
)
def test_a_server_takes_as_many_clients_as_the_catalogue_says(server: Implementation) -> None:
    too_many = f"{(server.most_clients or 0) + 1}"
    done = run_to_end(server.name, "--port", "0", "--max-clients", too_many)
    assert done.returncode == 2
    assert too_many in done.stderr
    assert done.stderr.count("\n") == 1
    with running(server.name, "--max-clients", str(server.most_clients)):
        pass


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("asyncio_streams", ["--loop", "other"], "--loop"),
        ("asyncio_streams", ["--loop", "uvloop", "--receive-kib", "64"], "uvloop decides for itself"),
        ("asyncio_streams", ["--loop", "nowhere:new"], "--loop nowhere:new: No module named 'nowhere'"),
        ("asyncio_protocol", ["--receive-kib", "0"], "0 is not between 1 and 1024 KiB"),
        ("threaded", ["--loop", "uvloop"], "--loop"),
    ],
)
def test_what_cannot_be_varied_is_one_clear_line(name: str, options: list[str], reason: str) -> None:
    done = run_to_end(name, "--port", "0", *options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert reason in done.stderr


@pytest.mark.parametrize("name", [name for name in SERVERS if name.startswith("asyncio_")])
def test_uvloop_is_there_exactly_if_it_was_chosen(name: str) -> None:
    with running(name) as (process, _):
        libraries = {Path(mapped.path).parent.name for mapped in psutil.Process(process.pid).memory_maps()}
    assert ("uvloop" in libraries) == name.endswith("+uvloop")


def test_workers_do_not_outlive_their_parent() -> None:
    with running("processes") as (parent, _):
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == len(os.sched_getaffinity(0))
        parent.kill()
        _, alive = psutil.wait_procs(workers, LIMIT_S)
        assert not alive


def test_an_interrupt_of_the_whole_group_is_one_stop() -> None:
    """Ctrl-C reaches parent and workers alike."""
    with running("processes") as (parent, address), socket.create_connection(address, LIMIT_S) as client:
        assert client.recv(1000)
        client.sendall(b"1,2\n")
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(LIMIT_S) == 0
        assert client.recv(1000) == b"Sum of input numbers: '3'\r\n"
        assert parent.stderr
        assert parent.stderr.read() == ""


def test_an_environment_cannot_lower_the_limit_of_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONINTMAXSTRDIGITS", "640")
    with running("blocking") as (_, address), socket.create_connection(address, LIMIT_S) as client:
        client.sendall(b"9" * 4096 + b"\nquit\n")
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    assert b"'" + b"9" * 4096 + b"'" in received


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_signal_may_be_ignored_by_the_parent(name: str) -> None:
    """A shell starts background jobs with SIGINT ignored; the server must stop all the same."""
    command = [sys.executable, "-m", f"implementations.{name}", "--port", "0"]
    ignoring = subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - before any thread starts
    )
    with ignoring as process:
        assert process.stdout
        process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(LIMIT_S) == 0


def test_hanging_up_on_a_slow_reader_leaves_no_traceback() -> None:
    """Asyncio's transport looks whether it is closing after resume_writing(): what is done in there, it does again."""
    troubles = []
    options = Options("127.0.0.1", 0, max_clients=1, idle_timeout_s=LIMIT_S, grace_s=1.0, verbose=False)

    async def converse(ours: socket.socket, theirs: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: troubles.append(context))
        places = asyncio.Semaphore(0)
        # A socket pair with a small buffer: the kernel cannot take the last reply, whatever the machine's speed.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        _, handler = await loop.connect_accepted_socket(
            partial(Handler, ours, Server(options, ours), places, Pool(options.upstream)), ours
        )
        await loop.sock_sendall(theirs, b"9" * MAX_LINE_BYTES)
        theirs.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LIMIT_S):
            while not handler.writing_paused:
                await asyncio.sleep(0)
            received = b""
            while data := await loop.sock_recv(theirs, 65_536):
                received += data
            await places.acquire()
        return received

    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        received = asyncio.run(converse(ours, theirs))
    assert received == GREETING + b"Sum of input numbers: '%s'\r\n" % (b"9" * MAX_LINE_BYTES)
    assert not troubles


@pytest.mark.parametrize("name", [name for name in SERVERS if name.startswith("asyncio_protocol")])
def test_delivery_at_a_stop_may_outlast_the_idle_timeout(name: str) -> None:
    """What the kernel has taken by then is all on its way: only the grace ends its delivery."""
    lines = 240  # their replies fit into what the kernel takes, and not into the client's buffer
    idle_timeout_s = 0.5
    with running(name, "--idle-timeout", str(idle_timeout_s), "--grace", "20") as (process, address):
        with socket.socket() as client:
            client.settimeout(LIMIT_S)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            assert client.recv(len(GREETING)) == GREETING
            client.sendall(b"\n" * lines)
            assert client.recv(1)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2 * idle_timeout_s)
            assert 1 + len(received_to_the_end(client)) == lines * len(ERROR)
        assert process.wait(LIMIT_S) == 0


def received_to_the_end(client: socket.socket) -> bytes:
    """Receive until the server closes."""
    chunks = iter(lambda: client.recv(65_536), b"")
    return b"".join(chunks)
