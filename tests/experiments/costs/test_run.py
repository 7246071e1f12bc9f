"""What a server costs: counted requests, a crowd, starts and stops."""

import itertools
import os
import shutil
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from harness.errors import LaunchError, MeasureError
from harness.experiments.costs import requests, serving
from harness.experiments.costs.clients import connected_clients
from harness.experiments.costs.connections import ACTIVE, crowd, holding, refuses, sizes
from harness.experiments.costs.lifetime import LAUNCHES
from harness.experiments.costs.requests import UNTRACED_LAUNCHES
from harness.experiments.costs.run import costs
from harness.experiments.costs.serving import scaled
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.machine.processes import processes_of, settle
from harness.machine.strace import TraceError
from harness.study.cell import VISITORS, visitors_of
from implementations.catalogue import CATALOGUE

SCALE = 0.01


def test_what_a_process_holds_is_read() -> None:
    found = holding([os.getpid()], 7)
    assert found.connections == 7
    assert found.pss_bytes <= found.rss_bytes
    assert found.descriptors >= 3
    assert min(found.threads, found.page_table_bytes, found.kernel_stack_bytes, found.slab_bytes) > 0


def test_counted_requests_are_as_many_as_were_asked_for() -> None:
    with launch(ours("threaded")) as launched, connected_clients(launched.address, 3, pipeline=4) as clients:
        assert clients.ask(10) == 30  # no multiple of what is in flight
        assert clients.ask(5, clients.all[:1]) == 5
        assert [client.in_flight for client in clients.all] == [0, 0, 0]
        settle(processes_of(launched.process.pid))


def test_requests_are_counted_of_a_server_in_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the tables: as many clients as are measured have come, and left."""
    came: list[int] = []
    monkeypatch.setattr(
        serving, "visit", lambda candidate, _, load: came.append(visitors_of(candidate, load))
    )
    for name, clients, visitors in (("threaded", 100, 100), ("threaded", 3, VISITORS), ("blocking", 1, 1)):
        with serving.in_service(ours(name), clients):
            assert came.pop() == visitors


@pytest.mark.parametrize("defect", ["goes_wrong_after_a_while", "dies_after_a_while"])
def test_a_wrong_or_missing_reply_ends_it(faulty: Callable[..., Candidate], defect: str) -> None:
    with (
        launch(faulty(defect)) as launched,
        connected_clients(launched.address, 1) as clients,
        pytest.raises(MeasureError),
    ):
        clients.ask(100_000)


def test_the_time_to_stop_a_server_may_come_between_two_looks_at_the_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = itertools.chain((0.0, 1.0, 2.0), itertools.repeat(2.0))
    with launch(ours("threaded")) as launched, connected_clients(launched.address, 4) as clients:
        monkeypatch.setattr(
            "harness.experiments.costs.clients.time", SimpleNamespace(monotonic=lambda: next(readings))
        )
        farewell = clients.ask_to_the_end(1.0, launched.process.terminate)
    assert farewell.checked
    assert not farewell.wrong


def test_the_costs_of_a_server_of_many_clients() -> None:
    found = costs(ours("threaded"), SCALE)
    assert [load.workload for load in found.loads] == ["clients_64", "clients_64_pipeline_16", "ping_pong"]
    for load in found.loads:
        assert load.requests > 0 < load.cpu_us
        assert load.wakeups == pytest.approx(load.switches_voluntary, abs=0.05)
        assert len(load.page_faults_by_launch) == UNTRACED_LAUNCHES
    if shutil.which("strace"):
        one = found.load("ping_pong")
        assert one is not None
        assert one.syscalls["recvfrom"] == pytest.approx(1, abs=0.1)
        assert found.untraced == ""
    assert [each.connections for each in found.crowd.holdings] == [0, 10, 50, 100]
    last = found.crowd.holdings[-1]
    assert last.threads - found.crowd.holdings[0].threads == 100
    assert last.descriptors - found.crowd.holdings[0].descriptors == 100
    assert last.active_clients == ACTIVE
    assert last.cpu_us_per_request > 0 < last.lone_cpu_us_per_request
    assert found.crowd.ended_at is None
    life = found.lifetime
    assert len(life.stop_s) == len(life.loaded_stop_s) == LAUNCHES
    assert set(life.exit_codes) == {0}
    assert life.checked > 0 == life.wrong


def test_the_costs_of_a_server_of_one_client() -> None:
    found = costs(ours("blocking"), SCALE)
    assert [load.workload for load in found.loads] == ["ping_pong"]
    assert [each.connections for each in found.crowd.holdings] == [0, 1]
    assert "more than this model can serve at once" in found.crowd.ended_by
    assert found.lifetime.clients == 1


def test_no_tracer_is_a_note_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_pids: object) -> None:
        raise TraceError("strace is not installed")

    monkeypatch.setattr(requests, "traced", refuse)
    assert requests.traced_load(ours("blocking"), requests.LOADS[-1], SCALE) == (
        {},
        "strace is not installed",
    )


def test_how_many_connections_are_tried_follows_from_what_is_declared() -> None:
    by_name = {each.name: sizes(ours(each.name), 1.0) for each in CATALOGUE}
    assert by_name["blocking"] == (1,)
    assert by_name["select_generators"][-1] == 1_000
    assert by_name["asyncio_streams"][-1] == 10_000
    assert scaled(100, 0.001, 16) == 16


def test_a_server_says_itself_what_it_cannot_hold() -> None:
    assert "this model's limit is 1024" in refuses(ours("select_generators"), 10_000)
    assert refuses(ours("threaded"), 2_000) == ""


def test_a_crowd_that_is_refused_ends_with_its_count(faulty: Callable[..., Candidate]) -> None:
    found = crowd(faulty("dies_after_a_while", ("concurrent", "many_clients")), SCALE)
    assert found.ended_at is not None
    assert 0 <= found.ended_at <= found.wanted
    assert found.ended_by


def test_a_server_that_does_not_start_has_no_costs(faulty: Callable[..., Candidate]) -> None:
    with pytest.raises(LaunchError, match="cannot start, for a reason"):
        costs(faulty("does_not_start"), SCALE)
