"""Measure one cell: a fresh server and a fresh generator, a core each; and look at the machine meanwhile.

Whatever company the load has shares the generator's core.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import psutil

from harness.conformance.case import Violation
from harness.conformance.peer import GREETING, Peer
from harness.drive.orders import (
    CLOSED,
    Company,
    CompanyOrder,
    CompanyOutcome,
    Order,
    Outcome,
    Reading,
    merged,
)
from harness.errors import CannotRun
from harness.launch.candidates import Address, Candidate
from harness.launch.process import DEFAULT_CLIENTS, PROJECT, Launched, launch, pinned, reap
from harness.oracle import oracle
from harness.record.files import Columns, Sample, read_times
from harness.study.window import tally
from implementations import ALL_CORES

REPLY_LIMIT_S: Final = 5.0
START_IN_NS: Final = 20_000_000
CHECK_LIMIT_S: Final = 10.0
VIEWS: Final = ("response", "service", "queueing", "lag")
GENERATOR: Final = "harness.drive.generator"
COMPANY: Final = "harness.drive.background.guests"
GO_ON: Final = "go on"
PAGE_BYTES: Final = resource.getpagesize()
MEMORY_EVERY_S: Final = 1.0
COMPANY_GREETING_S: Final = 10.0
COMPANY_ANSWER_S: Final = 30.0
"""Ten thousand that all ask at the same moment may have to wait."""
WINDOW_FIELDS: Final = (
    "window_s",
    "offered",
    "answered",
    "answered_in_warmup",
    "late",
    "censored",
    "series",
    "warmup_series",
    "response_slices_ns",
    "response_repeats_ns",
    "fairness_jain",
    "worst_client_share",
    "recovery_s",
)
OUTCOME_FIELDS: Final = (
    "planned",
    "sent",
    "never_sent",
    "ok",
    "wrong",
    "error",
    "timeout",
    "in_flight",
    "fault",
)
Progress = Callable[[float, int], None]
SHORT_CHECK: Final = b"1,2\r\nx\nproduct\n3,-4\n\n5,6\nsum\n1,\t2"


class MeasureError(CannotRun):
    """A cell that could not be measured: exit code 3."""


@dataclass(frozen=True)
class Load:
    """What to do to a server, and where.

    Attributes:
        clients, pipeline: how many connections, and how many requests each has in flight (at most, in an open loop).
        warmup_s, duration_s: before, and of, the measuring window.
        line: what every request is; None for lists of three integers, all different.
        server_cores, generator_cores: where each of them runs; empty means anywhere.
        arrivals: "closed", "constant" or "poisson".
        rate: requests per second, in an open loop.
        warmup_rate: the same during the warm-up; None for the same rate.
        seed: of random arrivals.
        generators: how many processes; each gets one of the generator's cores, if there are enough.
        timeout_s: how long to wait for a reply.
        relief_s, relief_rate: how much longer an open loop goes on after the window, and at which rate.
        churn: in a closed loop, whether each request comes on a connection of its own.
        company: who is there in the background.
        shared_cores: those of a server that uses all cores, its generators' among them.
    """

    clients: int
    pipeline: int
    warmup_s: float
    duration_s: float
    line: str | None = None
    server_cores: tuple[int, ...] = ()
    generator_cores: tuple[int, ...] = ()
    arrivals: str = CLOSED
    rate: float = 0.0
    warmup_rate: float | None = None
    seed: int = 0
    generators: int = 1
    timeout_s: float = REPLY_LIMIT_S
    relief_s: float = 0.0
    relief_rate: float = 0.0
    churn: bool = False
    company: Company | None = None
    shared_cores: tuple[int, ...] = ()

    @property
    def connections(self) -> int:
        """Count the clients that are there at once, the company included."""
        return self.clients + (self.company.clients if self.company else 0)

    @property
    def cores(self) -> tuple[int, ...]:
        """Return the cores that server and generators have to themselves, or should have; none if they have not."""
        return (*self.server_cores, *self.generator_cores) if self.pinned else self.shared_cores

    @property
    def pinned(self) -> bool:
        """Tell whether the server and every generator have a core each."""
        return bool(self.server_cores) and len(self.generator_cores) >= self.generators

    @property
    def generators_alone(self) -> bool:
        """Tell whether no server and no company runs on a generator's core."""
        return self.pinned and self.company is None


@dataclass(frozen=True)
class Snapshot:
    """What the kernel knows of the server at one moment; zeros if its process is not known."""

    memory_bytes: int = 0
    peak_bytes: int = 0
    threads: int = 0
    descriptors: int = 0
    switches_voluntary: int = 0
    switches_involuntary: int = 0


@dataclass(frozen=True)
class Observation:
    """All that was seen of one launch."""

    launched_s: float
    connect_s: float
    ready: Snapshot
    connected: Snapshot
    afterwards: Snapshot
    steal_share: float
    order: Order
    outcome: Outcome
    times: Columns
    company: CompanyOutcome
    memory_series_bytes: tuple[int, ...]


def two_cores() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a core for the server and one for the generator; none for either if there is but one."""
    server, generators = cores_for(1)
    return server, generators


def cores_for(generators: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a core for the server and one for each generator; none for either if there are not enough."""
    cores = sorted(os.sched_getaffinity(0))
    return ((cores[0],), tuple(cores[1 : 1 + generators])) if len(cores) > generators else ((), ())


def measure(
    candidate: Candidate,
    load: Load,
    progress: Progress = lambda *_: None,
    *,
    block: int = 0,
    workload: str = "",
) -> Sample:
    """Launch a server, check it shortly, load it, stop it.

    Args:
        candidate: the server; one that runs already is loaded as it is.
        load: what to do to it.
        progress: called four times a second with the seconds since the start and the requests sent.
        block: the cell's place in a plan.
        workload: likewise.

    Raises:
        LaunchError: it does not start.
        MeasureError: it answers wrongly, or the clients cannot connect.
    """
    load = load_for(candidate, load)
    serving = (
        nullcontext(None)
        if candidate.address is not None
        else launch(candidate, max_clients=_places(candidate, load), cores=load.server_cores)
    )
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as working:
        # Before the server, so that all of them start at the same time, each on its own core.
        generators = [
            working.enter_context(worker(GENERATOR, load.generator_cores[place : place + 1]))
            for place in range(load.generators)
        ]
        company = working.enter_context(worker(COMPANY, load.generator_cores[-1:])) if load.company else None
        with serving as launched:
            address = launched.address if launched is not None else candidate.address
            assert address is not None  # noqa: S101 - it is launched, or has an address
            try:
                check_shortly(candidate.label, address)
                seen = observe(address, launched, load, Workers(generators, company), scratch, progress)
            finally:
                working.close()  # before the server, which would wait for its clients to leave
    return _sample(candidate, load, seen, block, workload)


def load_for(candidate: Candidate, load: Load) -> Load:
    """Return the load that is put on a server: one that uses all cores is not pinned to one, its generator is."""
    if candidate.regime != ALL_CORES:
        return load
    return replace(load, server_cores=(), shared_cores=tuple(sorted(os.sched_getaffinity(0))))


@dataclass(frozen=True)
class Workers:
    """The processes that load a server: its generators, and the company's, if there is any."""

    generators: Sequence["Worker"]
    company: "Worker | None"


def observe(  # noqa: PLR0913 - all who take part
    address: Address,
    launched: Launched | None,
    load: Load,
    workers: Workers,
    scratch: str,
    progress: Progress,
) -> Observation:
    """Load a server that runs, and look at it and at the machine meanwhile."""
    generators, company = workers.generators, workers.company
    ready = snapshot(launched)
    memory = MemorySeries(_processes(launched), load)
    if company is not None:
        _let_company_come(company, address, load)
    company_pids = (company.pid,) if company is not None else ()
    orders = _orders(address, load, _processes(launched), company_pids, scratch)
    connect_s = sum(
        float(each.tell(_as_line(order), "connected")["connect_s"])
        for each, order in zip(generators, orders, strict=True)
    )
    connected = snapshot(launched)
    if company is not None:
        company.tell(GO_ON, "started")
    idle_before, stolen_before = _machine_time()
    outcome = merged(_outcomes(generators, memory.watched(progress)))
    idle_after, stolen_after = _machine_time()
    afterwards = snapshot(launched)
    of_company = company.tell(GO_ON, "done")["outcome"] if company is not None else {}
    return Observation(
        launched_s=launched.startup_s if launched is not None else 0.0,
        connect_s=connect_s,
        ready=ready,
        connected=connected,
        afterwards=afterwards,
        steal_share=(stolen_after - stolen_before) / max(idle_after - idle_before, 1e-9),
        order=orders[0],
        outcome=outcome,
        times=read_times([Path(order.times_file) for order in orders]),
        company=CompanyOutcome(**of_company),
        memory_series_bytes=tuple(memory.seen_bytes),
    )


class MemorySeries:
    """The server's resident memory, read once a second in the measuring window, whenever progress is told."""

    def __init__(self, pids: Sequence[int], load: Load) -> None:
        """Begin with nothing."""
        self.seen_bytes: list[int] = []
        self._pids = pids
        self._next_s = load.warmup_s
        self._end_s = load.warmup_s + load.duration_s

    def watched(self, progress: Progress) -> Progress:
        """Return a progress that looks at the memory, too."""

        def look(elapsed_s: float, sent: int) -> None:
            if self._pids and self._next_s <= elapsed_s <= self._end_s:
                self._next_s += MEMORY_EVERY_S
                self.seen_bytes.append(sum(map(resident_bytes, self._pids)))
            progress(elapsed_s, sent)

        return look


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory; nothing if it has died."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * PAGE_BYTES


def _let_company_come(company: "Worker", address: Address, load: Load) -> None:
    assert load.company is not None  # noqa: S101 - the company is of this load
    kind, clients = load.company.kind, load.company.clients
    order = CompanyOrder(*address, kind, clients, COMPANY_GREETING_S, COMPANY_ANSWER_S)
    came = company.tell(_as_line(order), "connected")
    if came["refused"]:
        raise MeasureError(f"of {load.company.clients:,} clients in the background, {came['refused']}")


def _orders(
    address: Address, load: Load, server_pids: tuple[int, ...], company_pids: tuple[int, ...], scratch: str
) -> list[Order]:
    """Deal the clients out to the generators; the first reads the clocks of server and company."""
    return [
        Order(
            host=address[0],
            port=address[1],
            clients=len(range(place, load.clients, load.generators)),
            pipeline=load.pipeline,
            warmup_s=load.warmup_s,
            duration_s=load.duration_s,
            timeout_s=load.timeout_s,
            times_file=f"{scratch}/times-{place}",
            line=load.line,
            server_pids=server_pids if place == 0 else (),
            company_pids=company_pids if place == 0 else (),
            arrivals=load.arrivals,
            rate=load.rate,
            warmup_rate=load.rate if load.warmup_rate is None else load.warmup_rate,
            seed=load.seed,
            generator=place,
            generators=load.generators,
            cores=load.cores,
            own_core=load.generators_alone,
            relief_s=load.relief_s,
            relief_rate=load.relief_rate,
            churn=load.churn,
        )
        for place in range(load.generators)
    ]


def _outcomes(generators: Sequence["Worker"], progress: Progress) -> list[Outcome]:
    """Let all generators start at the same moment, and wait for them; the first one's progress stands for all."""
    start_ns = time.monotonic_ns() + START_IN_NS
    for each in generators:
        each.tell(str(start_ns), "started")

    def of_all(elapsed_s: float, sent_by_one: int) -> None:
        progress(elapsed_s, sent_by_one * len(generators))

    return [_outcome(each.tell(None, "done", of_all)["outcome"]) for each in generators]


def _sample(candidate: Candidate, load: Load, seen: Observation, block: int, workload: str) -> Sample:
    window = tally(seen.order, seen.outcome, seen.times, load.clients)
    user_ns, system_ns = _divided_cpu_ns(seen.outcome.begin, seen.outcome.end)
    outcome, begin, end = seen.outcome, seen.outcome.begin, seen.outcome.end
    ready, connected, afterwards = seen.ready, seen.connected, seen.afterwards
    return Sample(
        block=block,
        server=candidate.label,
        workload=workload,
        regime=candidate.regime,
        server_cores=len(os.sched_getaffinity(0)) if candidate.regime == ALL_CORES else 1,
        clients=load.clients,
        pipeline=load.pipeline,
        arrivals=load.arrivals,
        rate=load.rate,
        seed=load.seed,
        generators=load.generators,
        pinned=load.pinned,
        timeout_s=load.timeout_s,
        warmup_s=load.warmup_s,
        **{name: getattr(window, name) for name in WINDOW_FIELDS},
        **{name: getattr(outcome, name) for name in OUTCOME_FIELDS},
        server_cpu_ns=end.server_cpu_ns - begin.server_cpu_ns,
        generator_cpu_ns=end.generator_cpu_ns - begin.generator_cpu_ns,
        generator_spin_ns=end.spun_ns - begin.spun_ns,
        switches_voluntary=max(0, afterwards.switches_voluntary - connected.switches_voluntary),
        switches_involuntary=max(0, afterwards.switches_involuntary - connected.switches_involuntary),
        startup_s=seen.launched_s,
        connect_s=seen.connect_s,
        memory_ready_bytes=ready.memory_bytes,
        memory_connected_bytes=connected.memory_bytes,
        memory_peak_bytes=afterwards.peak_bytes,
        threads=connected.threads,
        descriptors=connected.descriptors,
        steal_share=seen.steal_share,
        foreign_share=_foreign_share(load, begin, end),
        response_sum_ns=window.response.sum_ns,
        **{f"{view}_ns": getattr(window, view).ns for view in VIEWS},
        **{f"{view}_max_ns": getattr(window, view).max_ns for view in VIEWS},
        churn=load.churn,
        connect_ns=window.connect.ns,
        company=load.company.kind if load.company else "",
        company_clients=load.company.clients if load.company else 0,
        **{f"company_{name}": value for name, value in asdict(seen.company).items()},
        server_user_ns=user_ns,
        server_system_ns=system_ns,
        memory_series_bytes=seen.memory_series_bytes,
        relief_s=load.relief_s,
    )


def _divided_cpu_ns(begin: Reading, end: Reading) -> tuple[int, int]:
    """Divide the server's CPU time into user's and system's, as the kernel's ticks fell; zeros if none did."""
    user = end.server_user_ticks - begin.server_user_ticks
    ticks = user + end.server_system_ticks - begin.server_system_ticks
    if not ticks:
        return 0, 0
    used_ns = end.server_cpu_ns - begin.server_cpu_ns
    user_ns = used_ns * user // ticks
    return user_ns, used_ns - user_ns


def _foreign_share(load: Load, begin: Reading, end: Reading) -> float:
    """Return what nobody who takes part took of their cores' time; 0 where they have none to themselves.

    The kernel counts a core's time in ticks, which miss work that is done in between, in step with them. A generator that
    has its core to itself knows exactly how long it was kept from running: that share of its core is foreign, too.
    """
    if not load.cores:
        return 0.0
    window_ns = end.at_ns - begin.at_ns
    clocks = ("server_cpu_ns", "generator_cpu_ns", "company_cpu_ns")
    ours_ns: int = sum(getattr(end, name) - getattr(begin, name) for name in clocks)
    by_ticks = (end.cores_busy_ns - begin.cores_busy_ns - ours_ns) / (window_ns * len(load.cores))
    kept_ns = end.generator_waited_ns - begin.generator_waited_ns if load.generators_alone else 0
    return max(0.0, by_ticks, kept_ns / (window_ns * load.generators))


def check_shortly(label: str, address: tuple[str, int]) -> None:
    """Hold one short conversation against the oracle; MeasureError if the server answers anything else."""
    try:
        with Peer(address, CHECK_LIMIT_S) as peer:
            peer.exchange(b"", GREETING)
            peer.send(SHORT_CHECK)
            peer.half_close()
            peer.expect(oracle(SHORT_CHECK).removeprefix(GREETING))
            peer.expect_end()
    except (Violation, TimeoutError) as error:
        raise MeasureError(f"{label} answers wrongly: {error}") from None


class Worker:
    """A process of ours that takes part: it is told one line at a time, and tells events."""

    def __init__(self, process: subprocess.Popen[bytes], module: str) -> None:
        """Take over a process that runs one of our modules."""
        self.pid = process.pid
        self._process = process
        self._module = module

    def tell(self, line: str | None, awaited: str, progress: Progress = lambda *_: None) -> dict[str, Any]:
        """Write a line to it, unless that is None, and wait for an event of that name, passing progress on.

        Raises:
            MeasureError: it cannot do what it was told, or has ended.
        """
        if line is not None:
            self._write(line)
        while True:
            told = self._process.stdout.readline() if self._process.stdout else b""
            if not told:
                raise self._ended()
            event: dict[str, Any] = json.loads(told)
            if event["event"] == awaited:
                return event
            if event["event"] == "failed":
                raise MeasureError(event["reason"])
            progress(event["elapsed_s"], event["sent"])

    def _write(self, line: str) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _ended(self) -> MeasureError:
        return MeasureError(f"{self._module} has ended too early")


@contextmanager
def worker(module: str, cores: Sequence[int]) -> Iterator[Worker]:
    """Start the load generator or its company, on these cores, and wait for nothing; end it afterwards."""
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
    try:
        yield Worker(process, module)
    finally:
        if process.stdin:
            with suppress(BrokenPipeError):
                process.stdin.close()
        reap(process)


def snapshot(launched: Launched | None) -> Snapshot:
    """Look at a server's processes; one that has died counts as nothing."""
    seen = Snapshot()
    with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        for pid in _processes(launched):
            process = psutil.Process(pid)
            tasks = list(Path(f"/proc/{pid}/task").glob("*/status"))
            seen = Snapshot(
                seen.memory_bytes + process.memory_info().rss,
                seen.peak_bytes + _status(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024,
                seen.threads + process.num_threads(),
                seen.descriptors + process.num_fds(),
                # /proc/PID/status has the switches of the first thread alone.
                seen.switches_voluntary + sum(_status(task, "voluntary_ctxt_switches:") for task in tasks),
                seen.switches_involuntary
                + sum(_status(task, "nonvoluntary_ctxt_switches:") for task in tasks),
            )
    return seen


def _places(candidate: Candidate, load: Load) -> int | None:
    """Return the capacity to ask for: the default, unless more is needed."""
    needs_more = load.connections > DEFAULT_CLIENTS and candidate.takes("max_clients")
    return load.connections + 1 if needs_more else None


def _processes(launched: Launched | None) -> tuple[int, ...]:
    if launched is None:
        return ()
    leader = psutil.Process(launched.process.pid)
    return (leader.pid, *(child.pid for child in leader.children(recursive=True)))


def _status(file: Path, name: str) -> int:
    """Read a number from a status file; 0 if it is not there, as in that of a process that has just died."""
    words = file.read_text().split()
    return int(words[words.index(name) + 1]) if name in words else 0


def _machine_time() -> tuple[float, float]:
    """Return the seconds of all cores so far, and those that the hypervisor gave to others."""
    times = psutil.cpu_times()
    return sum(times[:8]), times.steal


def _outcome(given: dict[str, Any]) -> Outcome:
    return Outcome(**given | {"begin": Reading(**given["begin"]), "end": Reading(**given["end"])})


def _as_line(order: Order | CompanyOrder) -> str:
    return json.dumps(asdict(order))
