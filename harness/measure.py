"""Measure one cell: a fresh server and a fresh generator, a core each; and look at the machine meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import psutil

from harness.candidates import Address, Candidate
from harness.conformance.case import Violation
from harness.conformance.oracle import oracle
from harness.conformance.peer import GREETING, Peer
from harness.launch import PROJECT, Launched, launch, pinned, reap
from harness.order import CLOSED, Order, Outcome, Reading, merged
from harness.record import Columns, Sample, read_times
from harness.tally import tally
from implementations import ALL_CORES

REPLY_LIMIT_S: Final = 5.0
START_IN_NS: Final = 20_000_000
CHECK_LIMIT_S: Final = 10.0
VIEWS: Final = ("response", "service", "queueing", "lag")
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


class MeasureError(Exception):
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
    shared_cores: tuple[int, ...] = ()

    @property
    def cores(self) -> tuple[int, ...]:
        """Return the cores that server and generators have to themselves, or should have; none if they have not."""
        return (*self.server_cores, *self.generator_cores) if self.pinned else self.shared_cores

    @property
    def pinned(self) -> bool:
        """Tell whether the server and every generator have a core each."""
        return bool(self.server_cores) and len(self.generator_cores) >= self.generators


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
    with serving as launched:
        address = launched.address if launched is not None else candidate.address
        assert address is not None  # noqa: S101 - it is launched, or has an address
        check_shortly(candidate.label, address)
        seen = observe(address, launched, load, progress)
    return _sample(candidate, load, seen, block, workload)


def load_for(candidate: Candidate, load: Load) -> Load:
    """Return the load that is put on a server: one that uses all cores is not pinned to one, its generator is."""
    if candidate.regime != ALL_CORES:
        return load
    return replace(load, server_cores=(), shared_cores=tuple(sorted(os.sched_getaffinity(0))))


def observe(address: Address, launched: Launched | None, load: Load, progress: Progress) -> Observation:
    """Load a server that runs, and look at it and at the machine meanwhile."""
    ready = snapshot(launched)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as started:
        orders = _orders(address, load, _processes(launched), scratch)
        tells = [
            started.enter_context(generator(order, load.generator_cores[place : place + 1]))
            for place, order in enumerate(orders)
        ]
        connect_s = sum(float(tell("", "connected")["connect_s"]) for tell in tells)
        connected = snapshot(launched)
        idle_before, stolen_before = _machine_time()
        outcome = merged(_outcomes(tells, progress))
        idle_after, stolen_after = _machine_time()
        afterwards = snapshot(launched)
        return Observation(
            launched_s=launched.startup_s if launched is not None else 0.0,
            connect_s=connect_s,
            ready=ready,
            connected=connected,
            afterwards=afterwards,
            steal_share=(stolen_after - stolen_before) / max(idle_after - idle_before, 1e-9),
            order=orders[0],
            outcome=outcome,
            times=read_times(Path(order.times_file) for order in orders),
        )


def _orders(address: Address, load: Load, server_pids: tuple[int, ...], scratch: str) -> list[Order]:
    """Deal the clients out to the generators; the first reads the server's clocks."""
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
            arrivals=load.arrivals,
            rate=load.rate,
            warmup_rate=load.rate if load.warmup_rate is None else load.warmup_rate,
            seed=load.seed,
            generator=place,
            generators=load.generators,
            cores=load.cores,
        )
        for place in range(load.generators)
    ]


def _outcomes(tells: Sequence[Callable[..., dict[str, Any]]], progress: Progress) -> list[Outcome]:
    """Let all generators start at the same moment, and wait for them; the first one's progress stands for all."""
    start_ns = time.monotonic_ns() + START_IN_NS
    for tell in tells:
        tell(str(start_ns), "started")

    def of_all(elapsed_s: float, sent_by_one: int) -> None:
        progress(elapsed_s, sent_by_one * len(tells))

    return [_outcome(tell(None, "done", of_all)["outcome"]) for tell in tells]


def _sample(candidate: Candidate, load: Load, seen: Observation, block: int, workload: str) -> Sample:
    window = tally(seen.order, seen.outcome, seen.times)
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
    )


def _foreign_share(load: Load, begin: Reading, end: Reading) -> float:
    """Return what others than server and generators took of their cores' time; 0 where they have none to themselves."""
    if not load.cores:
        return 0.0
    ours_ns = end.server_cpu_ns - begin.server_cpu_ns + end.generator_cpu_ns - begin.generator_cpu_ns
    all_ns = (end.at_ns - begin.at_ns) * len(load.cores)
    return max(0.0, (end.cores_busy_ns - begin.cores_busy_ns - ours_ns) / all_ns)


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


@contextmanager
def generator(order: Order, cores: tuple[int, ...]) -> Iterator[Callable[..., dict[str, Any]]]:
    """Start the load generator.

    Yields:
        A function that writes a word to it, unless it is None, and waits for an event of the given name, passing
        progress on. The empty word stands for the order.
    """
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.drive"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )

    def tell(word: str | None, awaited: str, progress: Progress = lambda *_: None) -> dict[str, Any]:
        if word is not None:
            _write_line(process.stdin, word or json.dumps(asdict(order)))
        while True:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise MeasureError("the load generator has ended too early")
            event: dict[str, Any] = json.loads(line)
            if event["event"] == awaited:
                return event
            if event["event"] == "failed":
                raise MeasureError(event["reason"])
            progress(event["elapsed_s"], event["sent"])

    try:
        yield tell
    finally:
        if process.stdin:
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
    return load.clients + 1 if load.clients >= 1000 and candidate.takes("max_clients") else None


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


def _write_line(file: IO[bytes] | None, line: str) -> None:
    if file is None:
        return
    try:
        file.write(line.encode() + b"\n")
        file.flush()
    except BrokenPipeError:
        raise MeasureError("the load generator has ended too early") from None
