"""A stop that is told once, twice, or again later."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.cli import stopping
from harness.cli.stopping import ONE_STOP_S, SIGNALS, obey_stop_signals


@pytest.fixture
def obeying(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Obey, by a clock that is set by hand; the signals are then as they were."""
    now_s = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:  # whatever these tests were started by may ignore some
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    obey_stop_signals()
    yield now_s
    for number, handler in before.items():
        signal.signal(number, handler)


def ended_at_once(number: int) -> None:
    raise AssertionError(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_in_good_order_and_the_same_told_twice_changes_nothing(
    obeying: list[float], number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_end_at_once", ended_at_once)
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(number)
    assert ended.value.code == 128 + number
    obeying[0] = ONE_STOP_S
    signal.raise_signal(number)
    obeying[0] += 0.01
    with pytest.raises(AssertionError, match=str(int(signal.SIGINT))):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_is_an_interruption(obeying: list[float]) -> None:
    assert obeying
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_was_to_be_ignored_stays_ignored(obeying: list[float]) -> None:
    """As under nohup."""
    assert obeying
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    obey_stop_signals()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_told_again_later_it_ends_whatever_it_does() -> None:
    program = (
        "from harness.cli import stopping; import os, signal\n"
        "stopping.ONE_STOP_S = -1\n"
        "stopping.obey_stop_signals()\n"
        "try:\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "finally:\n    os.kill(os.getpid(), signal.SIGTERM)\n    signal.pause()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=os.curdir, timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGTERM
