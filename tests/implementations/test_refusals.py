"""What the suite cannot do to a server from outside: the operating system refuses it one call, or says what is not so."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from implementations.catalogue import CATALOGUE, SERVERS
from implementations.protocol import GREETING
from implementations.server import ONE_CLIENTS_ERRORS, RETRY_S, pause_after

NAMES = [implementation.name for implementation in CATALOGUE]
HAND_MADE_LOOPS = ["select_generators", "selectors_callbacks"]
PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30
CORES = len(os.sched_getaffinity(0))
FOR_EVER_S = 3600
"""A pause that nobody would live to see the end of."""

RUN = """
import runpy, sys
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
SABOTAGE = """
import errno, os, socket
from implementations import server

def fails_once(owner, name, error, call=1):
    real, calls = getattr(owner, name), []
    def sabotaged(*arguments):
        calls.append(name)
        if len(calls) == call:
            os.write(2, f"{name} fails\\n".encode())
            raise error
        return real(*arguments)
    setattr(owner, name, sabotaged)
"""


def command(name: str, sabotage: str, *options: str) -> list[str]:
    """Return the command of a server in whose process something is done first."""
    server = SERVERS[name]
    program = SABOTAGE + textwrap.dedent(sabotage) + RUN
    return [sys.executable, "-c", program, server.module, "--port", "0", *server.options, *options]


@contextmanager
def running(
    name: str, sabotage: str, *options: str
) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    with subprocess.Popen(
        command(name, sabotage, *options),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            assert process.stdout
            ready = re.fullmatch(r"Server up.* on (\S+) (\d+)\n", process.stdout.readline())
            assert ready
            yield process, (ready[1], int(ready[2]))
        finally:
            process.kill()


def check_service(address: tuple[str, int]) -> None:
    with socket.create_connection(address, LIMIT_S) as client, client.makefile("rb") as lines:
        assert lines.readline() == GREETING
        client.sendall(b"1,2\n")
        assert lines.readline() == b"Sum of input numbers: '3'\r\n"


def stopped(process: subprocess.Popen[str]) -> str:
    """Stop a server in good order, and return what it has written to standard error."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    return said


@pytest.mark.parametrize("call", ["recv", "send", "accept"])
@pytest.mark.parametrize("name", HAND_MADE_LOOPS)
def test_a_readiness_that_was_false_is_no_error(name: str, call: str) -> None:
    sabotage = f"""
        server.RETRY_S = {FOR_EVER_S}
        fails_once(socket.socket, {call!r}, BlockingIOError(errno.EAGAIN, "not yet"))
    """
    with running(name, sabotage) as (process, address):
        check_service(address)
        assert stopped(process) == f"{call} fails\n"


def sabotaged_accept(name: str, error: str) -> str:
    """Return what lets the first accept() fail; gevent's sockets have one of their own."""
    owner = "__import__('gevent.socket').socket.socket" if name == "gevent_greenlets" else "socket.socket"
    return f"fails_once({owner}, 'accept', {error})\n"


@pytest.mark.parametrize("name", [*NAMES, "asyncio_streams+uvloop", "asyncio_protocol+uvloop"])
def test_one_connections_error_makes_nobody_wait(name: str) -> None:
    sabotage = f"server.RETRY_S = {FOR_EVER_S}\n" + sabotaged_accept(name, "ConnectionAbortedError(103, '')")
    with running(name, sabotage) as (process, address):
        check_service(address)
        assert set(stopped(process).splitlines()) == {"accept fails"}  # in each worker


@pytest.mark.parametrize("name", [*NAMES, "asyncio_streams+uvloop", "asyncio_protocol+uvloop"])
@pytest.mark.parametrize("error", ["OSError(errno.ENOBUFS, '')", "MemoryError()"])
def test_accepting_goes_on_after_a_shortage(name: str, error: str) -> None:
    with running(name, sabotaged_accept(name, error)) as (process, address):
        check_service(address)
        assert set(stopped(process).splitlines()) == {"accept fails"}


def test_only_a_shortage_makes_accepting_pause() -> None:
    assert {pause_after(OSError(number, "")) for number in ONE_CLIENTS_ERRORS} == {0.0}
    for number in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EINVAL):
        assert pause_after(OSError(number, "")) == RETRY_S
    assert pause_after(MemoryError()) == RETRY_S


@pytest.mark.parametrize("name", [*NAMES, "asyncio_streams+uvloop", "asyncio_protocol+uvloop"])
def test_memory_that_is_refused_to_one_client_is_its_own_affair(name: str) -> None:
    sabotage = """
        from implementations.protocol import Connection
        real = Connection.answer
        def answer(self, line):
            if line == b"much":
                raise MemoryError
            return real(self, line)
        Connection.answer = answer
    """
    with running(name, sabotage) as (process, address):
        with socket.create_connection(address, LIMIT_S) as client:
            client.sendall(b"much\n")
            try:
                while client.recv(1000):
                    pass
            except ConnectionResetError:
                pass
        check_service(address)
        stopped(process)


@pytest.mark.parametrize("name", ["asyncio_protocol", "asyncio_streams"])
def test_a_socket_that_the_library_cannot_set_up_is_lost_alone(name: str) -> None:
    sabotage = """
        real = server.open_listener
        def open_listener(*arguments):
            listener = real(*arguments)
            fails_once(socket.socket, "setsockopt", OSError(errno.ENOBUFS, ""))
            return listener
        server.open_listener = open_listener
    """
    with running(name, sabotage) as (process, address):
        with socket.create_connection(address, LIMIT_S) as client:
            assert not client.recv(1000)
        check_service(address)
        assert stopped(process) == "setsockopt fails\n"


def test_a_listener_that_cannot_be_watched_is_watched_later() -> None:
    sabotage = "fails_once(__import__('selectors').EpollSelector, 'register', OSError(errno.ENOSPC, ''))\n"
    with running("selectors_callbacks", sabotage) as (process, address):
        check_service(address)
        assert stopped(process) == "register fails\n"


def test_a_loop_that_cannot_be_had_is_one_clear_line() -> None:
    sabotage = """
        import selectors
        def refused(*_):
            raise OSError(errno.ENFILE, "Too many open files in system")
        selectors.EpollSelector._selector_cls = refused
    """
    done = subprocess.run(
        command("selectors_callbacks", sabotage),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "Too many open files in system" in done.stderr


def without_a_thread_for(work: str) -> str:
    """Return what refuses a thread to one piece of work."""
    return f"""
        real = server.start_thread
        server.start_thread = lambda work, *arguments: work.__name__ != {work!r} and real(work, *arguments)
    """


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_needs_no_further_thread(name: str) -> None:
    with (
        running(name, without_a_thread_for("stop"), "--grace", str(FOR_EVER_S)) as (process, address),
        socket.create_connection(address, LIMIT_S) as client,
    ):
        assert client.recv(1000) == GREETING
        assert not stopped(process)


def test_the_grace_needs_no_further_thread() -> None:
    with running("processes", without_a_thread_for("stop_within_grace"), "--grace", "1") as (process, _):
        assert not stopped(process)


def test_a_second_worker_that_is_refused_at_the_start_is_one_clear_line() -> None:
    if CORES == 1:
        pytest.skip("there is but one worker")
    sabotage = "fails_once(os, 'fork', OSError(errno.EAGAIN, ''), call=2)\n"
    with subprocess.Popen(
        command("processes", sabotage),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        said, complaint = process.communicate(timeout=LIMIT_S)  # until the workers have ended, too
    assert process.returncode == 1
    assert not said
    assert complaint == f"fork fails\ncannot start: {CORES - 1} of {CORES} workers are to be had\n"


def next_workers(parent: psutil.Process, before: list[psutil.Process]) -> list[psutil.Process]:
    """Wait for a worker that was not there before."""
    while not set(parent.children()) - set(before):
        assert parent.is_running()
    return parent.children()


@pytest.mark.parametrize("sabotage", ["", f"fails_once(os, 'fork', OSError(11, ''), call={CORES + 1})\n"])
def test_a_worker_that_is_killed_is_replaced_as_soon_as_can_be(sabotage: str) -> None:
    with running("processes", sabotage) as (process, address):
        parent = psutil.Process(process.pid)
        workers = parent.children()
        workers[0].kill()
        assert process.stderr
        assert process.stderr.readline() == (
            f"worker {workers[0].pid} has ended, exit code -9; another takes its place\n"
        )
        after = next_workers(parent, workers)
        assert len(after) == len(workers) == CORES
        check_service(address)
        assert stopped(process) == ("fork fails\n" if sabotage else "")
        assert not psutil.wait_procs(after, LIMIT_S)[1]


def test_a_worker_is_not_replaced_without_a_pause() -> None:
    sabotage = f"""
        from implementations import processes
        import runpy
        processes.RESTART_S = {FOR_EVER_S}
        runpy.run_module = lambda *_, **__: server.run(
            (workers := processes.Workers()).wait, prepare=workers.start
        )
    """
    with running("processes", sabotage) as (process, _):
        parent = psutil.Process(process.pid)
        workers = parent.children()
        workers[0].kill()
        assert process.stderr
        process.stderr.readline()
        assert parent.children() == workers[1:]
        assert not stopped(process)


@pytest.mark.parametrize("name", NAMES)
def test_a_readiness_line_that_nobody_reads_is_one_clear_line(name: str) -> None:
    receiving, sending = os.pipe()
    os.close(receiving)
    with os.fdopen(sending, "wb") as unread:
        done = subprocess.run(
            command(name, ""),
            cwd=PROJECT,
            stdout=unread,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"cannot write to standard output: Broken pipe\n")


def test_help_that_cannot_be_written_is_one_clear_line() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("threaded", "", "--help"),
            cwd=PROJECT,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        b"cannot write to standard output: No space left on device\n",
    )


def test_a_host_that_cannot_be_encoded_is_one_clear_line() -> None:
    done = subprocess.run(
        command("threaded", "", "--host", "\udcff"),
        cwd=PROJECT,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"\\udcff" in done.stderr


def test_the_first_process_of_a_container_ends_at_a_later_signal() -> None:
    """The kernel spares it from its own signals, unless it has a handler for them."""
    container = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us make no process namespace")
    sabotage = """
        server.SAME_STOP_S = 0
        server.Server.stop = lambda _: server.say("told to stop")
    """
    with subprocess.Popen(
        [*container, *command("threaded", sabotage)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as outside:
        assert outside.stdout
        assert outside.stderr
        outside.stdout.readline()
        (first_process,) = psutil.Process(outside.pid).children()
        first_process.terminate()
        assert outside.stderr.readline() == "told to stop\n"
        first_process.terminate()
        assert outside.wait(LIMIT_S) == 128 + signal.SIGTERM
