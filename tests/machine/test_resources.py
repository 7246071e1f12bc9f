"""Cores, open files and threads: what the machine gives, and what it does not."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import LaunchError
from harness.machine import resources
from harness.machine.resources import (
    allow_files,
    cores_for,
    frequency_mhz,
    governor,
    most_files,
    no_more_files,
    no_more_threads,
    our_cores,
    pinned,
)


def test_cores_are_dealt_to_server_and_generators_or_to_nobody() -> None:
    found = cores_for()
    assert found.pinned == (len(our_cores()) > 1)
    assert set(found.both) <= set(our_cores())
    assert len(set(found.both)) == len(found.both)
    assert cores_for(10_000).both == ()


def test_processes_started_meanwhile_run_on_these_cores_alone() -> None:
    core, own = our_cores()[0], os.sched_getaffinity(0)
    with pinned([core]):
        found = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            check=True,
        )
    assert found.stdout.split() == [b"{%d}" % core]
    assert os.sched_getaffinity(0) == own


def test_more_files_than_there_may_be_are_refused() -> None:
    allow_files(1)
    with pytest.raises(LaunchError, match="this machine allows"):
        allow_files(most_files() + 1)


def test_a_process_may_be_kept_from_opening_one_more_file() -> None:
    code = "print('ready', flush=True)\ninput()\ntry: open('/dev/null')\nexcept OSError as error: print(error.errno)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        with no_more_files([process.pid]):
            said, _ = process.communicate(b"\n")
    assert said.split() == [b"%d" % errno.EMFILE]


def test_the_frequency_and_its_governor_are_told_where_the_kernel_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / f"cpu{our_cores()[0]}" / "cpufreq"
    monkeypatch.setattr(resources, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(resources, "CORES_OF_THE_MACHINE", tmp_path)
    (tmp_path / "cpuinfo").write_text("processor : 0\n")
    assert frequency_mhz() is None
    assert governor() == ""
    (tmp_path / "cpuinfo").write_text("cpu MHz\t\t: 800.000\nflags : x\ncpu MHz\t\t: 2100.500\n")
    told.mkdir(parents=True)
    for name, text in (("governor", "powersave\n"), ("min_freq", "800000\n"), ("max_freq", "3600000\n")):
        (told / f"scaling_{name}").write_text(text)
    assert frequency_mhz() == 2100.5
    assert governor() == "powersave, 800 to 3,600 MHz"


def test_a_process_may_be_kept_from_starting_one_more_thread() -> None:
    code = """
import threading
def start():
    try: threading.Thread(target=int).start()
    except RuntimeError: return "refused"
    return "started"
print("ready", flush=True)
input()
print(start(), flush=True)
input()
print(start())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        with no_more_threads([process.pid]):
            print(file=process.stdin, flush=True)
            assert process.stdout.readline() == "refused\n"
        said, _ = process.communicate("\n")
    assert said == "started\n"
