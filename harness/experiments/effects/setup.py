"""What experiments are made of: a small server of ours that runs, a client that asks and times, burning threads counted."""

import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Barrier, Event, Thread
from typing import Final

from harness.errors import LaunchError, MeasureError
from harness.experiments.costs.serving import CORES
from harness.launch.candidates import HOST
from harness.launch.process import start
from harness.machine.processes import Usage, reap, usage
from harness.machine.strace import traced

REPLY_LIMIT_S: Final = 10.0
WARM_UP: Final = 20
REQUEST: Final = b"0123456789\n"
CONNECT_LIMIT_S: Final = 4.0


Times = list[int]


@contextmanager
def program(name: str, *words: object, apart: bool = True) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a small server while the context lasts; yield its process and its port.

    Args:
        name: of a module in `harness.experiments.effects.programs`.
        words: its command line.
        apart: give it a core of its own, if there are two; else the kernel decides among both.
    """
    command = [sys.executable, "-m", f"harness.experiments.effects.programs.{name}", *map(str, words)]
    with tempfile.TemporaryFile() as errors:
        process = start(command, errors, CORES.server if apart else CORES.both)
        try:
            said = process.stdout.readline() if process.stdout else b""
            if not said:
                raise LaunchError(f"{name} did not start")
            yield process, int(said)
        finally:
            reap(process)


@contextmanager
def client_of(port: int) -> Iterator[socket.socket]:
    """Connect a client, with every option as it comes."""
    with socket.create_connection((HOST, port), REPLY_LIMIT_S) as connection:
        yield connection


def ask(connection: socket.socket, request: bytes = REQUEST) -> int:
    """Send a request, wait for its echo, and return how long that took, in ns."""
    begun_ns = time.monotonic_ns()
    connection.sendall(request)
    heard = b""
    while len(heard) < len(request):
        data = connection.recv(1024)
        if not data:
            raise MeasureError("the server of an experiment has closed the connection")
        heard += data
    if heard != request:
        raise MeasureError(f"the server of an experiment echoed {heard!r} for {request!r}")
    return time.monotonic_ns() - begun_ns


def ask_often(connection: socket.socket, count: int, warm_up: int = WARM_UP) -> Times:
    """Ask so often, one request after the other; return how long each took, in ns, those to warm up left out."""
    return [ask(connection) for _ in range(warm_up + count)][warm_up:]


def ask_side_by_side(port: int, clients: int, each: int) -> tuple[Times, float]:
    """Let clients ask side by side, each so often; return how long each request took, in ns, and all of it, in s."""

    def ask_again_and_again(_: int) -> Times:
        with client_of(port) as connection:
            return [ask(connection) for _ in range(each)]

    begun_s = time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        times = [took for of_client in pool.map(ask_again_and_again, range(clients)) for took in of_client]
    return times, time.monotonic() - begun_s


@contextmanager
def asked_all_the_time(port: int, request: bytes, clients: int) -> Iterator[None]:
    """Let so many clients ask the same, again and again, while the context lasts; it begins when all have."""
    enough, begun = Event(), Barrier(clients + 1)

    def ask_again_and_again() -> None:
        with client_of(port) as connection:
            begun.wait()
            while not enough.is_set():
                ask(connection, request)

    asking = [Thread(target=ask_again_and_again) for _ in range(clients)]
    for each in asking:
        each.start()
    begun.wait()
    try:
        yield
    finally:
        enough.set()
        for each in asking:
            each.join()


def ask_metered(pid: int, connection: socket.socket, count: int) -> tuple[Times, Usage]:
    """Ask so often; return the times, and what the server has used meanwhile."""
    ask_often(connection, 0)
    before = usage([pid])
    times = ask_often(connection, count, 0)
    return times, usage([pid]) - before


def calls_of(pid: int, connection: socket.socket, count: int) -> dict[str, float]:
    """Ask so often while strace looks on; return the syscalls of each request. TraceError if it cannot."""
    with traced([pid]) as trace:
        ask_often(connection, count, 0)
    return {f"calls.{name}": calls / count for name, calls in trace.calls.items()}


def quantile_us(times_ns: Sequence[int], q: float) -> float:
    """Return a quantile (inverted distribution function), in µs."""
    ordered = sorted(times_ns)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] / 1e3


def connect_all_at_once(port: int, count: int) -> Times:
    """Let clients connect at the same moment; return how long each took, in ns; who had to wait too long took for ever."""
    poller = select.poll()
    waiting: dict[int, int] = {}
    with ExitStack() as opened:
        for _ in range(count):
            client = opened.enter_context(socket.socket())
            client.setblocking(False)
            waiting[client.fileno()] = time.monotonic_ns()
            client.connect_ex((HOST, port))
            poller.register(client, select.POLLOUT)
        limit_ns = time.monotonic_ns() + int(CONNECT_LIMIT_S * 1e9)
        took = []
        while waiting and (left_ns := limit_ns - time.monotonic_ns()) > 0:
            for descriptor, _ in poller.poll(left_ns / 1e6):
                poller.unregister(descriptor)
                took.append(time.monotonic_ns() - waiting.pop(descriptor))
    return took + [int(CONNECT_LIMIT_S * 1e9)] * len(waiting)
