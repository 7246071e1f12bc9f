"""Load from many: a real cluster of two workers on this machine, and one more that is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic_ns

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.stats import ks_2samp, kstest

from harness.analyse.samples.validity import invalidity
from harness.cli.app import cli
from harness.drive import dask
from harness.drive.dask import reached
from harness.drive.schedule import intended_ns, phases_of
from harness.errors import CannotRun, UsageError
from harness.experiments.capacity_from_many import limit_from_many
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.machine.processes import reap
from harness.machine.resources import our_cores
from harness.oracle import GREETING, oracle
from harness.plan import CONSTANT, IDLE, POISSON, Background, Cell, Load, Slicing, twin_of
from harness.record import Sample
from harness.study import from_many
from harness.study.block import FleetCrew, measure_block
from harness.study.fleet import Fleet, fleet_of
from harness.study.from_many import measure_from_many
from harness.study.host import as_of_here
from harness.study.shard import what_runs_here
from tests.makers import changed

SHORT = Load(clients=5, pipeline=2, warmup_s=0.1, duration_s=0.3)
BUSY = ("steal", "lag", "foreign", "generator-saturated", "start-off", "littles-law")
"""What a machine that does other things, too, makes of a sample; a stall over the edge of so short a window is beyond Little's law."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with fleet_of("local:2") as there:
        yield there


@pytest.fixture(scope="module")
def scheduler(fleet: Fleet) -> str:
    """Return where others reach the same cluster."""
    return fleet.cluster.address


def real_trouble(sample: Sample) -> list[str]:
    return [reason for reason in invalidity(sample) if not reason.startswith(BUSY)]


def told_by(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def test_books_add_up_for_each_worker_and_for_all(fleet: Fleet) -> None:
    seen: list[float] = []
    sample = measure_from_many(fleet, ours("threaded"), SHORT, lambda elapsed_s, _: seen.append(elapsed_s))
    assert real_trouble(sample) == []
    assert [share.worker for share in sample.workers] == ["0", "1"]
    assert [share.clients for share in sample.workers] == [3, 2]
    assert all(share.requests.sent == share.requests.ok > 0 for share in sample.workers)
    assert sum(share.requests.sent for share in sample.workers) == sample.requests.sent
    assert 0 < sum(sample.times.response.histogram.values()) == sample.window.answered <= sample.requests.ok
    assert sample.placement.generators == 2
    assert sample.window.length_s == SHORT.duration_s
    assert sample.server.cpu_ns > 0
    assert sample.server.memory_connected_bytes > 0
    assert 0 < (sample.window.fairness_jain or 0) <= 1


def test_on_one_machine_all_clocks_are_the_same(fleet: Fleet) -> None:
    sample = measure_from_many(fleet, ours("blocking"), changed(SHORT, clients=1))
    (share,) = sample.workers
    assert abs(share.clock_offset_ns) <= share.clock_error_ns
    assert share.clock_moved_ns == 0
    assert share.start_off_ns >= share.clock_error_ns


def test_an_open_loop_is_the_schedule_that_one_generator_would_have(fleet: Fleet) -> None:
    load = changed(SHORT, pipeline=1, arrivals=CONSTANT, rate=400.0, relief_s=0.1, relief_rate=100.0)
    sample = measure_from_many(fleet, ours("select_generators"), load)
    assert real_trouble(sample) == []
    assert sample.requests.planned == sample.requests.ok == 170
    assert sum(sample.times.response.histogram.values()) == sample.window.offered == 120
    assert sample.window.recovery_s is not None


def test_connections_that_come_and_go_and_company_come_from_many_too(fleet: Fleet) -> None:
    load = changed(SHORT, pipeline=1, churn=True, background=Background(IDLE, 4))
    sample = measure_from_many(fleet, ours("asyncio_streams"), load)
    assert real_trouble(sample) == []
    assert sum(sample.times.connect_ns.values()) == sample.window.answered
    assert sample.background.ok == 4


@contextmanager
def recording() -> Iterator[tuple[str, list[int]]]:
    """Run a server that takes note of when each line comes; yield its address, and the times."""
    times: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:

        def serve(client: socket.socket) -> None:
            with client, client.makefile("rb") as lines:
                client.sendall(GREETING)
                for line in lines:
                    times.append(monotonic_ns())
                    client.sendall(oracle(line).removeprefix(GREETING))

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                Thread(target=serve, args=(client,), daemon=True).start()

        thread = Thread(target=accept, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(listener.shutdown, socket.SHUT_RDWR)
        yield "{}:{}".format(*listener.getsockname()), times


def test_what_arrives_at_the_server_is_the_asked_process(fleet: Fleet) -> None:
    """The shards of a Poisson process, each at its worker's time, are that process again: every arrival, in its place.

    A busy machine may stand still for a moment, so that arrivals crowd behind it: one of a few tries is to be without.
    """
    likely = 0.0
    for seed in (11, 12, 13):
        likely = max(likely, likelihood_of_arrivals(fleet, seed))
        if likely > 0.01:
            break
    assert likely > 1e-6


def likelihood_of_arrivals(fleet: Fleet, seed: int) -> float:
    """Offer requests at random times, and say how likely it is that those of their arrivals are the same."""
    load = Load(clients=8, warmup_s=0.0, duration_s=1.5, arrivals=POISSON, rate=300.0, seed=seed)
    with recording() as (address, times):
        there = Candidate(
            "recorder", address=(address.split(":")[0], int(address.split(":")[1])), ways=("fresh",)
        )
        sample = measure_from_many(fleet, there, load)
    assert sample.requests.ok == sample.requests.planned == len(times)
    intended = intended_ns(phases_of(load), load.arrivals, load.seed)
    arrived = np.sort(np.array(times)) - min(times) + intended[0]
    uniform = kstest(arrived / max(load.duration_s * 1e9, arrived.max()), "uniform").pvalue
    return float(min(ks_2samp(arrived, intended, method="asymp").pvalue, uniform))


def test_a_server_may_run_on_a_worker_which_then_loads_nothing(fleet: Fleet) -> None:
    there = Fleet(fleet.cluster, fleet.cluster.named("1"))
    try:
        sample = measure_from_many(there, ours("threaded"), SHORT)
    finally:
        there.end()
    assert real_trouble(sample) == []
    assert [share.worker for share in sample.workers] == ["0"]
    assert sample.server.cpu_ns > 0
    assert sample.server.threads > 5


def test_a_server_on_all_cores_has_all_of_its_machine(fleet: Fleet) -> None:
    sample = measure_from_many(fleet, ours("processes"), SHORT)
    assert real_trouble(sample) == []
    assert sample.placement.server_cores == len(our_cores())
    assert sample.server.cpu_ns > 0


def test_slices_come_from_many(fleet: Fleet) -> None:
    names = ("threaded", "asyncio_streams")
    cells = tuple(Cell(0, name, "clients_64") for name in names)
    slicing = Slicing(cycles=3, slice_s=0.05, warmup_s=0.1, window_s=0.2)
    outcome = measure_block(
        cells, {name: ours(name) for name in names}, Load(clients=4), slicing, FleetCrew(fleet), "seed"
    )
    for name in names:
        fleet.dismiss(name)
    assert outcome.unmeasured == {}
    for sample in outcome.samples:
        assert real_trouble(sample) == []
        assert len(sample.slices) == 3
        for each in sample.kept_slices:
            assert each.in_flight_ns == 4 * round(each.length_s * 1e9)
            assert each.answered > 0
        assert sum(share.requests.sent for share in sample.workers) == sample.requests.sent


def test_connections_from_many_are_held_and_answered(fleet: Fleet) -> None:
    limit = limit_from_many(fleet, ours("asyncio_protocol"), 301)
    assert (limit.held, limit.answered, limit.error) == (301, 301, "")


@pytest.fixture
def doomed(scheduler: str) -> Iterator[subprocess.Popen[bytes]]:
    """Return one more worker of the cluster, whose end is near."""
    command = (sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--name", "doomed")
    process = subprocess.Popen(
        (*command, "--no-nanny", "--nthreads", "1", "--no-dashboard"),
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        yield process
    finally:
        reap(process)


@pytest.mark.parametrize(
    ("end", "why"), [(signal.SIGKILL, "has died"), (signal.SIGSTOP, "has not answered within")]
)
def test_a_worker_that_dies_or_lags_in_the_middle_is_named_and_the_run_goes_on_without_it(
    scheduler: str,
    doomed: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    end: signal.Signals,
    why: str,
) -> None:
    monkeypatch.setattr(from_many, "PATIENCE_S", 3.0)
    with fleet_of(scheduler, most=3) as there:
        sample = measure_from_many(
            there,
            ours("threaded"),
            changed(SHORT, clients=6, duration_s=1.0, timeout_s=1.0),
            lambda *_: doomed.send_signal(end),
        )
        (reason,) = real_trouble(sample)
        assert reason.startswith(f"worker-lost: worker doomed {why}")
        assert reason.endswith("; 2 of 6 clients were its")
        lost = {share.worker: share.lost for share in sample.workers}
        assert lost.keys() == {"0", "1", "doomed"}
        assert lost["0"] == lost["1"] == ""
        assert all(share.requests.sent == share.requests.ok > 0 for share in sample.workers if not share.lost)
        after = measure_from_many(there, ours("threaded"), SHORT)
        assert real_trouble(after) == []
        assert [share.worker for share in after.workers] == ["0", "1"]


def test_the_command_says_it_all(scheduler: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    words = (
        "load",
        "threaded",
        "--cluster",
        scheduler,
        "--clients",
        "4",
        "--warmup",
        "0.1",
        "--duration",
        "0.3",
    )
    said = told_by(*words, "--json", str(file))
    assert "worker 0" in said.output
    figures = json.loads(file.read_text())
    assert [each["name"] for each in figures["workers"]] == ["0", "1"]
    assert sum(each["requests"]["sent"] for each in figures["workers"]) == figures["requests"]["sent"]
    assert figures["generator"]["processes"] == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--on", "nobody"), "no worker is called 'nobody'; there are 0, 1"),
        (("--clients", "1"), "2 workers need a client each: there are 1"),
    ],
)
def test_what_of_a_cluster_cannot_be_is_said(scheduler: str, words: tuple[str, ...], reason: str) -> None:
    said = told_by("load", "threaded", "--cluster", scheduler, *words)
    assert isinstance(said.exception, CannotRun | UsageError)
    assert str(said.exception) == reason


def test_too_few_workers_are_waited_for_and_counted(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "REACH_S", 0.5)
    with pytest.raises(CannotRun, match=r"has 2 workers, and 5 are needed"), fleet_of(scheduler, most=5):
        pass


def test_a_name_that_a_worker_cannot_resolve_is_said_with_the_workers(fleet: Fleet) -> None:
    there = Candidate("nowhere", address=("no-such-host.invalid", 9), ways=("fresh",))
    with pytest.raises(
        CannotRun, match=r"^worker 0: at no-such-host.invalid:9 client 1 of 3 cannot connect: "
    ):
        measure_from_many(fleet, there, SHORT)


def test_a_scheduler_that_does_not_answer_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "REACH_S", 0.5)
    with pytest.raises(CannotRun, match=r"^no scheduler is reached at tcp://127.0.0.1:1 within 0.5 s"):
        reached("tcp://127.0.0.1:1", what_runs_here).__enter__()


def test_a_worker_of_other_versions_is_named(scheduler: str) -> None:
    with pytest.raises(CannotRun, match=r"^worker 0 has this harness .*, and here is older$"):
        reached(scheduler, OlderHere(os.getpid())).__enter__()


@dataclass(frozen=True)
class OlderHere:
    """Says of the coordinator alone that it is older."""

    coordinator: int

    def __call__(self) -> tuple[str, str]:
        version, machine = what_runs_here()
        return ("older" if os.getpid() == self.coordinator else version), machine


def test_a_server_of_ours_is_started_by_its_name_wherever_it_was_chosen() -> None:
    moved = changed(ours("threaded"), command=("/elsewhere/python", "-m", "implementations.threaded"))
    assert as_of_here(moved.measured("fresh")) == ours("threaded").measured("fresh")
    assert as_of_here(changed(moved, implementation=None)).command == moved.command
    twin = changed(moved, label=twin_of(moved.label))
    assert as_of_here(twin) == changed(ours("threaded"), label=twin.label)


def test_a_server_that_runs_already_is_loaded_from_many(fleet: Fleet) -> None:
    with launch(ours("threaded")) as launched:
        sample = measure_from_many(fleet, Candidate("there", address=launched.address), SHORT)
        assert launched.process.poll() is None
    assert real_trouble(sample) == []
    assert (sample.server.threads, sample.server.cpu_ns) == (0, 0)
