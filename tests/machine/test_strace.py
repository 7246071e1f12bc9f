"""Counting syscalls of a process that runs."""

import os
import shutil
from pathlib import Path

import pytest

from harness.experiments.effects.setup import ask_often, client_of, program
from harness.machine import strace
from harness.machine.strace import TraceError, calls_in, traced

SUMMARY = """\
syscall              calls
---------------- ---------
recvfrom              1000
futex                  312
------------------ -------
total                 1312
"""
COUNT = 100


def test_the_summary_is_read() -> None:
    assert calls_in(SUMMARY) == {"recvfrom": 1000, "futex": 312}
    assert calls_in("") == {}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
def test_the_calls_of_requests_are_counted() -> None:
    with program("receive_buffer", 1024) as (process, port), client_of(port) as connection:
        ask_often(connection, 0)
        with traced([process.pid]) as trace:
            ask_often(connection, COUNT, 0)
        # A reply is heard before the call that sent it has come back: the tracer may go in between.
        assert COUNT - 1 <= trace.calls["sendto"] <= COUNT
        # The call that was waited in as the tracer came may be made again, and one is waited in as it goes.
        assert COUNT - 1 <= trace.calls["recvfrom"] <= COUNT + 2
        assert ask_often(connection, 1)  # and it lives on


def test_that_strace_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(TraceError, match="strace is not installed"), traced([os.getpid()]):
        pass


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not here")
def test_that_it_cannot_trace_is_said_in_its_words() -> None:
    with pytest.raises(TraceError, match=r"No such process|ended before"), traced([2**22 - 1]):
        pass


def test_a_strace_that_does_not_let_go_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it may be with a server that has ended meanwhile."""
    stubborn = tmp_path / "strace"
    stubborn.write_text("#!/bin/sh\ntrap '' INT\necho 'strace: Process 1 attached' >&2\nexec sleep 600\n")
    stubborn.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(strace, "LET_GO_LIMIT_S", 0.1)
    with pytest.raises(TraceError, match="did not let go"), traced([1]):
        pass
