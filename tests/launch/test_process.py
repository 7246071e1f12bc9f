"""Starting and stopping servers."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil
import pytest

from harness.errors import LaunchError
from harness.launch import process as launching
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours


def test_a_server_is_ready_when_the_context_begins_and_gone_when_it_ends() -> None:
    with launch(ours("threaded")) as launched:
        with socket.create_connection(launched.address) as client:
            assert client.recv(9) == b"<welcome:"
        assert launched.startup_s > 0
    assert launched.process.returncode == 0
    assert not psutil.pid_exists(launched.process.pid)


def test_a_server_that_does_not_announce_itself_is_ready_when_its_port_answers(
    faulty: Callable[[str], Candidate],
) -> None:
    with (
        launch(faulty("does_not_announce")) as launched,
        socket.create_connection(launched.address) as client,
    ):
        assert client.recv(9) == b"<welcome:"


def test_a_port_is_free_although_a_process_that_is_forked_meanwhile_holds_what_it_was_looked_for_with() -> (
    None
):
    with launching.bound_by_choice() as held, socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(held.getsockname())
        server.listen()


def test_what_a_server_prints_when_it_is_ready_is_let_go(faulty: Callable[[str], Candidate]) -> None:
    """However much it is: the server never waits for us to read it, and we do not keep it."""
    with launch(faulty("prints_much")) as launched:
        before_bytes = psutil.Process().memory_info().rss
        with socket.create_connection(launched.address) as client:
            client.sendall(b"1,2\nquit\n")
            with client.makefile("rb") as replies:
                assert replies.read().endswith(b"connection closed\r\n"), "it says so when all is printed"
        assert psutil.Process().memory_info().rss - before_bytes < 32 << 20


def test_a_server_that_leaves_and_keeps_its_output_open_is_explained() -> None:
    """As one that makes itself a daemon; nobody waits for the end of its output."""
    command = f"setsid {sys.executable} -c 'import signal; signal.pause()' & echo $! >&2; exit 4"
    with (
        pytest.raises(LaunchError, match=r"did not start: exit code 4, (\d+)$") as refused,
        launch(Candidate("x", ("sh", "-c", command))),
    ):
        pass
    with suppress(ProcessLookupError):  # it may not have left its group in time
        os.kill(int(str(refused.value).rpartition(" ")[2]), signal.SIGKILL)


def test_a_server_that_does_not_start_is_explained(faulty: Callable[[str], Candidate]) -> None:
    with (
        pytest.raises(LaunchError, match=r"faulty did not start: exit code 1, cannot start, for a reason"),
        launch(faulty("does_not_start")),
    ):
        pass


def test_a_server_that_is_never_ready_is_given_up(
    faulty: Callable[[str], Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "START_LIMIT_S", 0.5)
    before = set(psutil.Process().children())
    with pytest.raises(LaunchError, match="was not ready within"), launch(faulty("never_ready")):
        pass
    assert set(psutil.Process().children()) <= before


def test_a_command_that_does_not_exist_is_explained() -> None:
    with (
        pytest.raises(LaunchError, match="cannot run /no/such/server"),
        launch(Candidate("x", ("/no/such/server",))),
    ):
        pass


def test_a_server_is_pinned_with_all_its_threads() -> None:
    core = min(psutil.Process().cpu_affinity())
    with launch(ours("threaded"), cores=(core,)) as launched:
        assert psutil.Process(launched.process.pid).cpu_affinity() == [core]
        assert core in psutil.Process().cpu_affinity()


def test_what_ignores_a_stop_is_killed_with_its_group() -> None:
    script = "trap '' TERM; sleep 1000 & echo Server up, running, and waiting for call on 127.0.0.1 1; wait; sleep 1000"
    with launch(Candidate("stubborn", ("sh", "-c", script), announces=True)) as launched:
        children = psutil.Process(launched.process.pid).children()
        assert children
    assert launched.process.returncode is not None
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
