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

import pytest

from implementations.catalogue import CATALOGUE, SERVERS
from implementations.protocol import GREETING
from implementations.server import ONE_CLIENTS_ERRORS, RETRY_S, pause_after

NAMES = [implementation.name for implementation in CATALOGUE]
HAND_MADE_LOOPS = ["select_generators", "selectors_callbacks"]
PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30
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


@pytest.mark.parametrize("name", [name for name in NAMES if name != "processes"])
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
