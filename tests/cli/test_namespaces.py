"""`harness namespaces`: the command that it runs."""

import sys
from pathlib import Path

import pytest

from harness.cli.namespaces import run_to_its_end

TELLS_US_TO_STOP = """
import os, signal, sys, time
def end(*_):
    time.sleep(0.5)
    open(sys.argv[1], "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, end)
os.kill(os.getppid(), signal.SIGINT)
while True:
    signal.pause()
"""
"""And takes its time when it is told so itself."""


def test_a_command_ends_by_itself_when_we_are_told_to_stop(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with pytest.raises(KeyboardInterrupt):
        run_to_its_end([sys.executable, "-S", "-c", TELLS_US_TO_STOP, str(report)])
    assert report.exists()


def test_how_a_command_ended_is_told() -> None:
    assert run_to_its_end([sys.executable, "-S", "-c", "raise SystemExit(3)"]) == 3
