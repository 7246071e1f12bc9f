"""numpy is loaded, or it is said in one line why not, wherever threads or memory are refused."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness.machine.numerics import LIBRARIES_BYTES, THREADS, numerics_loaded

PROJECT = Path(__file__).resolve().parents[2]
GIB = 1024**3
TOO_LITTLE_BYTES = 180 * 1024**2  # here OpenBLAS, left to itself, waits for ever
LIMIT_S = 60


def limited(
    words: list[str], limit: Callable[[], None], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env=os.environ | environment,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def no_thread_fits() -> None:
    """The stack of a thread is larger than all addresses together."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (8 * GIB, hard))
    resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB))


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY, reason="stacks are limited"
)
def test_figures_take_no_thread() -> None:
    words = ["-m", "harness", "compare", "threaded", "blocking"]
    done = limited(words, no_thread_fits, {THREADS: "2"})
    assert (done.returncode, done.stderr) == (0, "")


def test_that_there_is_no_room_is_said_in_one_line() -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (TOO_LITTLE_BYTES, TOO_LITTLE_BYTES))
    done = limited(["-m", "harness", "load", "threaded"], limit, {})
    assert done.returncode == 3
    assert done.stderr == (
        f"harness: there is not enough memory: numpy and its like take {LIBRARIES_BYTES // 2**20} MiB of addresses\n"
    )


@pytest.mark.parametrize("given", [None, "4"])
def test_servers_get_the_environment_as_it_was(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    if given is not None:
        monkeypatch.setenv(THREADS, given)
    with numerics_loaded():
        assert os.environ[THREADS] == "1"
    assert os.environ.get(THREADS) == given
