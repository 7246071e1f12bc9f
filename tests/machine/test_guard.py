"""Nothing that was started is left, whatever the end of the one that has started it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.machine.guardian import marked

PROJECT = Path(__file__).resolve().parents[2]
LIMIT_S = 60
WAIT = "import signal; signal.pause()"
KEEPER = """
import os, signal, subprocess, sys, threading
from harness.machine.guard import be_guarded, forget_group, keep_group

def start(*command):
    return subprocess.Popen(command, process_group=0)

be_guarded()
"""
END = "print('started', flush=True)\n"


def lines(*each: str) -> str:
    return "\n".join(each)


def kept(*further: str) -> bool:
    """Run a keeper; tell whether all that it has started ends when it does: they share its standard output."""
    keeper = lines(KEEPER, *further)
    with subprocess.Popen(
        [sys.executable, "-c", keeper], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return False
    return b"started" in said


@pytest.mark.parametrize(
    "end",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGHUP)",
        "os._exit(1)",
        "sys.exit()",
    ],
)
def test_whatever_the_end_nothing_is_left(end: str) -> None:
    assert kept("start('sleep', '600')", END, end)


@pytest.mark.parametrize("command", ["'env', '-i', 'sleep', '600'", "'setsid', 'sleep', '600'"])
def test_what_clears_its_environment_or_leaves_its_group_is_not_left(command: str) -> None:
    assert kept(f"keep_group(start({command}).pid)", END, "os._exit(1)")


def test_what_a_thread_has_started_outlives_the_thread_and_not_the_process() -> None:
    assert kept(
        "started = []",
        "thread = threading.Thread(target=lambda: started.append(start('sleep', '600')))",
        "thread.start()",
        "thread.join()",
        "assert started[0].poll() is None",
        END,
        "os._exit(1)",
    )


def test_a_keeper_within_another_is_not_left_either() -> None:
    """Nor what that has started, although nobody tells it to end it."""
    told = "print('started', file=sys.stderr, flush=True)"
    inner = lines(KEEPER, "start('sleep', '600')", told, "signal.pause()")
    within = f"inner = subprocess.Popen([sys.executable, '-c', {inner!r}], stderr=subprocess.PIPE)"
    assert kept(within, "inner.stderr.readline()", END, "os._exit(1)")


def test_a_group_that_is_forgotten_is_left_alone() -> None:
    """Its number may be another's by then."""
    keeper = lines(
        KEEPER,
        "clear = start('env', '-i', 'sleep', '600').pid",
        "keep_group(clear)",
        "forget_group(clear)",
        "start('sleep', '600')",
        "print(clear, flush=True)",
    )
    with subprocess.Popen(
        [sys.executable, "-c", keeper], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout
        forgotten = int(process.stdout.readline())
        process.wait(LIMIT_S)
        os.kill(forgotten, 0)
        os.kill(forgotten, signal.SIGKILL)
        assert not process.stdout.read(), "the other one has ended"


def test_who_carries_a_token_is_found() -> None:
    with subprocess.Popen([sys.executable, "-c", WAIT], env={"A": "a token of ours"}) as process:
        assert marked(b"a token of ours") == [process.pid]
        process.kill()
    assert marked(b"a token of ours") == []
