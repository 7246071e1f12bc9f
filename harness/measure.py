"""Measure one cell: a fresh server and a fresh generator, a core each; and look at the machine meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import psutil

from harness.candidates import Candidate
from harness.conformance.case import Violation
from harness.conformance.oracle import oracle
from harness.conformance.peer import GREETING, Peer
from harness.drive import Order, Outcome, Reading
from harness.launch import PROJECT, Launched, launch, pinned, reap
from harness.record import Sample, histogram, read_times

REPLY_LIMIT_S: Final = 5.0
CHECK_LIMIT_S: Final = 10.0
SHORT_CHECK: Final = b"1,2\r\nx\nproduct\n3,-4\n\n5,6\nsum\n1,\t2"


class MeasureError(Exception):
    """A cell that could not be measured: exit code 3."""


@dataclass(frozen=True)
class Load:
    """What to do to a server, and where.

    Attributes:
        clients, pipeline: the closed loop's size.
        warmup_s, duration_s: before, and of, the measuring window.
        line: what every request is; None for lists of three integers, all different.
        server_cores, generator_cores: where each of them runs; empty means anywhere.
    """

    clients: int
    pipeline: int
    warmup_s: float
    duration_s: float
    line: str | None = None
    server_cores: tuple[int, ...] = ()
    generator_cores: tuple[int, ...] = ()

    @property
    def pinned(self) -> bool:
        """Tell whether server and generator have a core each."""
        return bool(self.generator_cores) and bool(self.server_cores)


@dataclass(frozen=True)
class Snapshot:
    """What the kernel knows of the server at one moment; zeros if its process is not known."""

    memory_bytes: int = 0
    peak_bytes: int = 0
    threads: int = 0
    descriptors: int = 0
    switches_voluntary: int = 0
    switches_involuntary: int = 0


def two_cores() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return a core for the server and one for the generator; none for either if there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return ((cores[0],), (cores[1],)) if len(cores) > 1 else ((), ())


def measure(
    candidate: Candidate,
    load: Load,
    progress: Callable[[float, int], None] = lambda *_: None,
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
    serving = (
        nullcontext(None)
        if candidate.address is not None
        else launch(candidate, max_clients=_places(candidate, load), cores=load.server_cores)
    )
    with serving as launched, tempfile.TemporaryDirectory() as scratch:
        address = launched.address if launched is not None else candidate.address
        assert address is not None  # noqa: S101 - it is launched, or has an address
        check_shortly(candidate.label, address)
        ready = snapshot(launched)
        order = Order(
            host=address[0],
            port=address[1],
            clients=load.clients,
            pipeline=load.pipeline,
            warmup_s=load.warmup_s,
            duration_s=load.duration_s,
            timeout_s=REPLY_LIMIT_S,
            times_file=f"{scratch}/times",
            line=load.line,
            server_pids=_processes(launched),
        )
        with generator(order, load.generator_cores) as tell:
            connect_s = float(tell("", "connected")["connect_s"])
            connected = snapshot(launched)
            idle_before, stolen_before = _machine_time()
            outcome = _outcome(tell("go", "done", progress)["outcome"])
            idle_after, stolen_after = _machine_time()
            afterwards = snapshot(launched)
        ready_ns, sent_ns, received_ns, counts = read_times(Path(order.times_file), outcome.records)

    begin, end = outcome.begin, outcome.end
    inside = (received_ns >= begin.at_ns) & (received_ns < end.at_ns)
    responses = (received_ns - ready_ns)[inside]
    services = (received_ns - sent_ns)[inside]
    lags = (sent_ns - ready_ns)[inside]
    weights = counts[inside]
    return Sample(
        block=block,
        server=candidate.label,
        workload=workload,
        clients=load.clients,
        pipeline=load.pipeline,
        pinned=load.pinned,
        window_s=(end.at_ns - begin.at_ns) / 1e9,
        answered=int(weights.sum()),
        answered_in_warmup=int(counts[received_ns < begin.at_ns].sum()),
        sent=outcome.sent,
        ok=outcome.ok,
        wrong=outcome.wrong,
        error=outcome.error,
        timeout=outcome.timeout,
        in_flight=outcome.in_flight,
        fault=outcome.fault,
        server_cpu_ns=end.server_cpu_ns - begin.server_cpu_ns,
        generator_cpu_ns=end.generator_cpu_ns - begin.generator_cpu_ns,
        switches_voluntary=max(0, afterwards.switches_voluntary - connected.switches_voluntary),
        switches_involuntary=max(0, afterwards.switches_involuntary - connected.switches_involuntary),
        startup_s=launched.startup_s if launched is not None else 0.0,
        connect_s=connect_s,
        memory_ready_bytes=ready.memory_bytes,
        memory_connected_bytes=connected.memory_bytes,
        memory_peak_bytes=afterwards.peak_bytes,
        threads=connected.threads,
        descriptors=connected.descriptors,
        steal_share=(stolen_after - stolen_before) / max(idle_after - idle_before, 1e-9),
        response_ns=histogram(responses, weights),
        service_ns=histogram(services, weights),
        lag_ns=histogram(lags, weights),
        response_max_ns=int(np.max(responses, initial=0)),
        service_max_ns=int(np.max(services, initial=0)),
        lag_max_ns=int(np.max(lags, initial=0)),
    )


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
        A function that writes a word to it and waits for an event of the given name, passing progress on.
    """
    with pinned(cores):
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.drive"],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )

    def tell(
        word: str, awaited: str, progress: Callable[[float, int], None] = lambda *_: None
    ) -> dict[str, Any]:
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
