"""What the kernel tells of processes."""

import os
import socket
import subprocess
import sys

import psutil
import pytest

from harness.machine.processes import (
    Snapshot,
    Usage,
    cpu_ns_of,
    footprint,
    number_in,
    processes_of,
    snapshot,
    sockets_of,
    usage,
)

WAITS = 50


def test_a_process_that_waits_is_seen_to_wait_and_to_be_woken() -> None:
    code = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        for number in range(WAITS + 1):
            if number == 1:
                before = usage([process.pid])
            process.stdin.write(b"x\n")
            process.stdin.flush()
            process.stdout.readline()
        used = usage([process.pid]) - before
        process.stdin.close()
    assert used.cpu_ns > 0
    assert used.voluntary + used.involuntary >= WAITS / 2  # it may be so quick that it need not wait
    assert abs(used.wakeups - used.voluntary) <= 2
    assert 0 <= used.user_share <= 1


def test_usages_add_up_and_wakeups_leave_out_preemptions() -> None:
    one = Usage(cpu_ns=10, voluntary=3, involuntary=2, timeslices=5)
    assert one + one - one == one
    assert one.wakeups == 3
    assert Usage(user_ticks=3, system_ticks=1).user_share == 0.75


def test_what_a_process_holds_is_seen_and_what_has_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert processes_of(process.pid) == (process.pid,)
        assert footprint(process.pid).threads == 1
        assert snapshot(process.pid).descriptors >= 3
        assert cpu_ns_of([process.pid]) > 0
        process.communicate(b"\n")
    assert snapshot(process.pid) == Snapshot() == snapshot(None)
    with pytest.raises(ProcessLookupError):
        footprint(process.pid)
    assert cpu_ns_of([process.pid]) == 0


def test_a_number_in_the_kernels_texts_is_found_by_its_name() -> None:
    assert number_in("a: 1 b: 2 b: 3", "b:") == 2
    assert number_in("a: 1", "b:") == 0


def test_the_sockets_of_a_process_are_told_by_descriptor() -> None:
    with socket.socket() as one:
        descriptor, inode = one.fileno(), os.fstat(one.fileno()).st_ino
        assert sockets_of(os.getpid())[descriptor] == inode
    assert descriptor not in sockets_of(os.getpid())


def test_a_process_that_has_ended_holds_nothing_and_whoever_may_not_look_is_told_that_it_has_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    def refuse(of: psutil.Process) -> int:
        raise psutil.AccessDenied(of.pid)

    monkeypatch.setattr(psutil.Process, "num_fds", refuse)
    with pytest.raises(ProcessLookupError):
        footprint(process.pid)
    process.wait()
    with pytest.raises(psutil.AccessDenied):
        footprint(os.getpid())
