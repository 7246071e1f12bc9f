"""What several test modules need: faulty servers to judge, and made-up samples to analyse."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from pathlib import Path
from random import randrange

import numpy as np
import pytest
from hypothesis import settings

from harness.launch import process
from harness.launch.candidates import Candidate
from harness.plan import Cell, Load, Waiting
from harness.record import (
    SCHEMA,
    ConnectionScaling,
    Design,
    Distribution,
    Environment,
    FaultResult,
    GeneratorUse,
    Holding,
    Judgement,
    Lifetime,
    LoadCosts,
    MachineUse,
    Manifest,
    Placement,
    Requests,
    RequestTimes,
    Results,
    RunProgress,
    Sample,
    ServerCosts,
    ServerFacts,
    ServerUse,
    UpstreamUse,
    Verdict,
    Window,
)
from harness.record.buckets import histogram
from tests.makers import changed

# How long an example takes is the machine's business: it may be busy.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

RELAYED = Load(upstream=Waiting(wait_s=0.005, pool=64))
TESTS = Path(__file__).parent
PORTS_OF_TESTS = 8_192
"""The first of them; the last lies below those that a command chooses from."""
FAULTY = TESTS / "servers" / "faulty.py"
LONGEST = (
    "cli/test_app.py",
    "conformance/proof/test_specimens.py",
    "implementations/test_servers.py",
    "conformance/proof/test_mutants.py",
    "implementations/test_lessons.py",
    "conformance/fuzz/test_search.py",
    "experiments/faults/test_run.py",
    "conformance/fuzz/test_model.py",
    "experiments/effects/test_effects.py",
    "report/page/test_browser.py",
)
"""They begin first, so that in the end nobody waits for one of them alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {TESTS / file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _ports_in_turn() -> Iterator[None]:
    """No two servers are told one port: on a busy machine the second chooses long before the first has it.

    Commands that tests start choose by themselves, at random, and from other ports.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ports = range(PORTS_OF_TESTS + worker, process.PORTS_BY_CHOICE[0], workers)
    first = randrange(len(ports))  # noqa: S311 - no secret; others may test on this machine
    in_turn = cycle((*ports[first:], *ports[:first]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "randrange", lambda *_: next(in_turn))
        yield


@pytest.fixture
def faulty() -> Callable[..., Candidate]:
    """Return a maker of candidates with a defect."""

    def make(defect: str, declares: Iterable[str] | None = ("concurrent",)) -> Candidate:
        return Candidate(
            "faulty",
            (sys.executable, str(FAULTY), "{port}", defect),
            None if declares is None else frozenset(declares),
        )

    return make


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Sample]:
    """Return a maker of samples: valid, with a given throughput and CPU time for each request."""

    def make(
        server: str = "threaded",
        block: int = 0,
        workload: str = "clients_64",
        rps: float = 10_000,
        cpu_us: float = 50,
        **changes: object,
    ) -> Sample:
        answered = int(rps)
        response_ns = np.linspace(1e6, 5e6, answered).astype(np.int64)
        counts = np.ones(answered, dtype=np.int64)
        responses = Distribution(histogram(response_ns, counts), 5_000_000)
        sample = Sample(
            cell=Cell(block, server, workload),
            load=Load(),
            placement=Placement(pinned=True),
            window=Window(
                length_s=1.0, offered=answered, answered=answered, answered_in_warmup=10, late=0,
                series=(answered // 20,) * 20, warmup_series=(), response_slices_ns=(),
            ),
            requests=Requests(
                planned=answered + 10, sent=answered + 10, ok=answered + 10, wrong=0, error=0, timeout=0, in_flight=0,
                fault="",
            ),
            times=RequestTimes(
                response=responses,
                service=responses,
                queueing=Distribution(histogram(response_ns * 0, counts), 0),
                lag=Distribution(histogram(response_ns // 1000, counts), 5_000),
                response_sum_ns=64_000_000_000,
            ),
            server=ServerUse(
                cpu_ns=int(cpu_us * 1e3 * answered), switches_voluntary=answered, switches_involuntary=0, threads=66,
                descriptors=70, startup_s=0.1, memory_ready_bytes=20_000_000, memory_connected_bytes=21_000_000,
                memory_peak_bytes=22_000_000,
            ),
            generator=GeneratorUse(cpu_ns=int(3e8), spin_ns=0, connect_s=0.1),
            machine=MachineUse(steal_share=0.0),
        )  # fmt: skip
        return changed(sample, **changes)

    return make


@pytest.fixture(scope="session")
def make_relayed(make_sample: Callable[..., Sample]) -> Callable[..., Sample]:
    """Return a maker of samples of relays that went well: 64 clients, a wait of 5 ms, a pool of 64, a share of its ceiling."""

    def make(
        server: str = "threaded",
        block: int = 0,
        share: float = 0.9,
        workload: str = "relay_5ms_64",
        rps: float = 0.0,
        cpu_us: float = 40,
        load: Load = RELAYED,
        **changes: object,
    ) -> Sample:
        sample = make_sample(server, block, workload, rps or share * load.ceiling_rps, cpu_us)
        answered = sample.window.answered
        counts = np.ones(answered, dtype=np.int64)
        own = Distribution(histogram(counts * 500_000, counts), 500_000)
        late = Distribution(histogram(counts * 20_000, counts), 20_000)
        assert load.upstream
        took_ns = round(load.upstream.wait_s * 1e9) + 20_000
        used = UpstreamUse(
            asked=answered, under_way_ns=answered * took_ns, integral_ns=answered * took_ns, most=load.most_under_way, strays=0,
            late=late, asking=own, returning=own, own=own,
        )  # fmt: skip
        known = {"load": load, "upstream": used, "response_sum_ns": load.clients * 10**9}
        return changed(sample, **known | changes)

    return make


@pytest.fixture(scope="session")
def make_fault() -> Callable[..., FaultResult]:
    """Return a maker of faults that were survived without anything remarkable."""

    def make(server: str = "threaded", fault: str = "stalled", **changes: object) -> FaultResult:
        values: dict[str, object] = {
            "server": server, "fault": fault, "title": "clients do something", "size": 500, "place": "beside",
            "survived": True, "reasons": (), "seconds": 1.0, "probe_checked": 100, "probe_lost": 0,
            "probe_duplicated": 0, "probe_wrong": 0, "probe_median_ns": 300_000, "probe_worst_ns": 4_000_000,
            "others_checked": 1000, "others_lost": 0, "others_wrong": 0, "descriptors_before": 7,
            "descriptors_after": 7, "threads_before": 2, "threads_after": 2, "memory_before_bytes": 20 << 20,
            "memory_after_bytes": 21 << 20,
        }  # fmt: skip
        return FaultResult(**(values | changes))  # type: ignore[arg-type] # names and types are the dataclass's

    return make


@pytest.fixture(scope="session")
def make_costs() -> Callable[..., ServerCosts]:
    """Return a maker of costs: a thread for each client, and changes to what a request costs."""

    def make(server: str = "threaded", **changes: object) -> ServerCosts:
        values: dict[str, object] = {
            "workload": "clients_64", "clients": 64, "pipeline": 1, "traced_requests": 1000,
            "syscalls": {"futex": 4.0, "recvfrom": 1.0, "sendto": 1.0}, "other_syscalls": 0.005, "requests": 10_000,
            "cpu_us": 20.0, "user_share": 0.6, "switches_voluntary": 1.0, "switches_involuntary": 0.0, "wakeups": 1.0,
            "page_faults": 0.0, "page_faults_by_launch": (0.0, 0.0),
        }  # fmt: skip
        load = LoadCosts(**(values | changes))  # type: ignore[arg-type] # names and types are the dataclass's
        holdings = tuple(
            Holding(
                n,
                15_000_000 + 30 * 1024 * n,
                9_000_000 + 29 * 1024 * n,
                4096 * n,
                16384 * n,
                0,
                8192 * n,
                2 + n,
                4 + n,
            )
            for n in (0, 1000, 5000, 10_000)
        )
        life = Lifetime((0.05,) * 4, (0.01, 0.02), (0.03, 0.04), 64, 5000, 0, (0,) * 4)
        return ServerCosts(server, (load,), ConnectionScaling(10_000, holdings), life)

    return make


@pytest.fixture(scope="session")
def make_results(make_sample: Callable[..., Sample]) -> Callable[..., Results]:
    """Return a maker of runs: two servers, b slower than a by a factor."""

    def make(factor: float = 0.5, blocks: int = 5, **changes: object) -> Results:
        rng = np.random.default_rng(1)
        samples = []
        for block in range(blocks):
            for server, speed in (("threaded", 1.0), ("trio_nursery", factor)):
                rps = 20_000 * speed * float(rng.normal(1, 0.01))
                samples.append(
                    make_sample(server, block, rps=rps, cpu_us=0.98e6 / rps)
                )  # the server is the limit
        environment = Environment(
            "CPython 3.11.7",
            {"trio": "0.35.0"},
            "Linux 6",
            "a processor",
            2,
            (0,),
            (1,),
            2**34,
            (1024, 20_000),
        )
        servers = tuple(
            ServerFacts(
                label,
                "a model",
                ("concurrent",),
                f"python -m {label}",
                f"implementations/{label}.py",
                90,
                "0",
            )
            for label in ("threaded", "trio_nursery")
        )
        design = Design(
            workloads=("clients_64",),
            blocks=blocks,
            warmup_s=0.3,
            duration_s=1.0,
            seed=1,
            planned_cells=2 * blocks,
        )
        manifest = Manifest(
            schema=SCHEMA,
            started="2026-01-01 00:00",
            command=("harness", "bench"),
            revision="abc",
            servers=servers,
            environment=environment,
            design=design,
            progress=RunProgress(complete=True, seconds=60.0),
        )
        conformance = tuple(
            Judgement(label, "F01", "The greeting", "MUST", Verdict.PASS, "")
            for label in ("threaded", "trio_nursery")
        )
        return Results(manifest=changed(manifest, **changes), samples=tuple(samples), conformance=conformance)

    return make
