"""What the suite cannot do to a server from outside: the operating system refuses it one call, or says what is not so."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from implementations.catalogue import CATALOGUE, SERVERS

NAMES = [implementation.name for implementation in CATALOGUE]
PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 30

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
