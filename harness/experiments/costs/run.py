"""What one server costs: requests under three loads, connections up to ten thousand, coming and going."""

import gc
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from harness.drive.generator import ConnectError
from harness.drive.loops.loop import busy_ns as busy
from harness.experiments.costs.clients import Clients, Farewell, connected_clients
from harness.launch.candidates import Candidate
from harness.launch.process import Launched, LaunchError, launch, pinned
from harness.machine.processes import Usage, holding, processes_of, settle, usage
from harness.machine.strace import TraceError, traced
from harness.plan.workloads import by_name
from harness.record.costs import Crowd, Holding, Lifetime, LoadCosts, ServerCosts
from harness.study.cell import MeasureError, check_shortly, two_cores
from implementations import ONE_CORE

RARE: Final = 0.01
"""Fewer calls per request than this are added up and not named: attaching alone makes a call for each client."""
CROWD: Final = (1_000, 5_000, 10_000)
SMALL_CROWD: Final = (250, 500, 1_000)
ACTIVE: Final = 64
ACTIVE_REQUESTS: Final = 200
LONE_REQUESTS: Final = 2_000
SPARE_FILES: Final = 200
LAUNCHES: Final = 5
MOST_ATTEMPTS: Final = 3
FOREIGN_LIMIT: Final = 0.05
CORES: Final = two_cores()
"""Of the server and of its clients: fixed before any process is pinned, since that narrows what can be seen."""
UNTRACED_LAUNCHES: Final = 3
LOADED_S: Final = 0.3
STOP_LIMIT_S: Final = 30.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """A load, and how many requests each of its clients makes when nobody traces the server, and when strace does."""

    workload: str
    requests_each: int
    traced_each: int

    @property
    def clients(self) -> int:
        """Return how many clients the workload of this name has."""
        return by_name(self.workload).clients

    @property
    def pipeline(self) -> int:
        """Return how many requests each of them has in flight."""
        return by_name(self.workload).pipeline


LOADS: Final = (
    Load("clients_64", 800, 200),
    Load("clients_64_pipeline_16", 3_200, 640),
    Load("ping_pong", 20_000, 4_000),
)


def costs(candidate: Candidate, scale: float = 1.0, progress: Progress = lambda _: None) -> ServerCosts:
    """Find out what a server costs.

    Args:
        candidate: the server.
        scale: of the full number of requests and connections.
        progress: is told what is done now.

    Raises:
        LaunchError: it cannot be started, or this machine does not allow as many open files.
        MeasureError: it gives a wrong reply, or none.
    """
    allow_files(max(sizes(candidate, scale)) + SPARE_FILES)
    with own_core(), quiet():
        found, untraced = [], ""
        for load in LOADS:
            if load.clients == 1 or serves_many(candidate):
                progress(load.workload)
                calls, untraced = traced_load(candidate, load, scale)
                found.append(untraced_load(candidate, load, scale, calls))
        progress("connections")
        held = crowd(candidate, scale)
        progress("start and stop")
        return ServerCosts(
            candidate.label, tuple(found), held, lifetime(candidate), untraced, candidate.regime
        )


@contextmanager
def own_core() -> Iterator[None]:
    """Keep off the server's core."""
    with pinned(CORES[1]):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Let no garbage collection of ours fall into what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def allow_files(needed: int) -> None:
    """Raise our own soft limit of open files; LaunchError if the hard limit does not let us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        raise LaunchError(f"this machine allows {hard} open files, and {needed} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))


def serves_many(candidate: Candidate) -> bool:
    """Tell whether several clients may be given to a server at once."""
    return candidate.declares is None or "concurrent" in candidate.declares


@contextmanager
def serving(candidate: Candidate, clients: int) -> Iterator[Launched]:
    """Launch a server with room for so many clients and one more, on its cores, checked by a short conversation."""
    places = clients + 1 if clients > max(SMALL_CROWD) else None
    cores = CORES[0] if candidate.regime == ONE_CORE else CORES[0] + CORES[1]
    with launch(candidate, max_clients=places, cores=cores) as launched:
        check_shortly(candidate.label, launched.address)
        yield launched


def traced_load(candidate: Candidate, load: Load, scale: float) -> tuple[Mapping[str, float], str]:
    """Count syscalls per request, by name.

    Returns:
        The calls, and an empty text; or none, and why nothing could be traced.
    """
    each = scaled(load.traced_each, scale, load.pipeline)
    with (
        serving(candidate, load.clients) as launched,
        connected_clients(launched.address, load.clients, load.pipeline) as clients,
    ):
        clients.ask(load.pipeline)  # what is done once is done
        try:
            with traced(processes_of(launched.process.pid)) as trace:
                requests = clients.ask(each)
        except TraceError as error:
            return {}, str(error)
    return {name: count / requests for name, count in trace.calls.items()}, ""


def untraced_load(candidate: Candidate, load: Load, scale: float, calls: Mapping[str, float]) -> LoadCosts:
    """Measure what requests take of CPU and scheduler, in launches of their own, and add the syscalls that are known."""
    each = scaled(load.requests_each / UNTRACED_LAUNCHES, scale, load.pipeline)
    metered_launches = [quiet_launch(candidate, load, each) for _ in range(UNTRACED_LAUNCHES)]
    requests = sum(one.requests for one in metered_launches)
    used = sum((one.used for one in metered_launches), Usage())
    named = {name: count for name, count in calls.items() if count >= RARE}
    return LoadCosts(
        workload=load.workload,
        clients=load.clients,
        pipeline=load.pipeline,
        traced_requests=load.clients * scaled(load.traced_each, scale, load.pipeline) if calls else 0,
        syscalls=dict(sorted(named.items(), key=lambda item: -item[1])),
        other_syscalls=sum(calls.values()) - sum(named.values()),
        requests=requests,
        cpu_us=used.cpu_ns / 1e3 / requests,
        user_share=used.user_share,
        switches_voluntary=used.voluntary / requests,
        switches_involuntary=used.involuntary / requests,
        wakeups=used.wakeups / requests,
        page_faults=used.page_faults / requests,
        page_faults_by_launch=tuple(one.used.page_faults / one.requests for one in metered_launches),
        foreign_share=max(one.foreign_share for one in metered_launches),
    )


@dataclass(frozen=True)
class Metered:
    """What a server has used for so many requests; and what others have taken of our cores' time meanwhile."""

    requests: int
    used: Usage
    foreign_share: float

    @property
    def cpu_us(self) -> float:
        """Return the CPU time of a request."""
        return self.used.cpu_ns / 1e3 / self.requests


def quiet_launch(candidate: Candidate, load: Load, each: int) -> Metered:
    """Load a fresh server; again if others were at work meanwhile, but not for ever: then the quietest launch counts."""
    found: list[Metered] = []
    while len(found) < MOST_ATTEMPTS and not (found and found[-1].foreign_share <= FOREIGN_LIMIT):
        with (
            serving(candidate, load.clients) as launched,
            connected_clients(launched.address, load.clients, load.pipeline) as clients,
        ):
            clients.ask(load.pipeline)
            found.append(metered(launched, clients, each))
    return min(found, key=lambda one: one.foreign_share)


def metered(launched: Launched, clients: Clients, each: int, of_them: int | None = None) -> Metered:
    """Let clients ask, so many requests each, all clients or so many of them."""
    pids = processes_of(launched.process.pid)
    cores = CORES[0] + CORES[1]
    before, busy_ns, began_ns, own_ns = usage(pids), busy(cores), time.monotonic_ns(), time.process_time_ns()
    requests = clients.ask(each, clients.all[:of_them])
    used = usage(pids) - before
    ours_ns = used.cpu_ns + time.process_time_ns() - own_ns
    all_ns = max(1, (time.monotonic_ns() - began_ns) * len(cores))
    return Metered(requests, used, max(0.0, (busy(cores) - busy_ns - ours_ns) / all_ns))


def scaled(count: float, scale: float, least: int = 1) -> int:
    """Return so much of a count, in whole batches."""
    return max(1, round(count * scale / least)) * least


def sizes(candidate: Candidate, scale: float) -> tuple[int, ...]:
    """Return how many connections are tried, one number after the other."""
    if not serves_many(candidate):
        return (1,)
    many = candidate.declares is None or "many_clients" in candidate.declares
    return tuple(scaled(size, scale) for size in (CROWD if many else SMALL_CROWD))


def crowd(candidate: Candidate, scale: float) -> Crowd:
    """Give a server more and more connections; look at it with none, and at each size; and load it a little there."""
    wanted = sizes(candidate, scale)
    refusal = "" if wanted[-1] == scaled(CROWD[-1], scale) else refuses(candidate, CROWD[-1])
    try:
        with serving(candidate, wanted[-1]) as launched:
            return replace(grown(launched, wanted), ended_by=refusal) if refusal else grown(launched, wanted)
    except LaunchError as error:
        return Crowd(wanted[-1], (), ended_at=0, ended_by=str(error))


def refuses(candidate: Candidate, clients: int) -> str:
    """Return what a server says that is asked for more places than it declares; empty if it just starts."""
    try:
        with launch(candidate, max_clients=clients):
            return ""
    except LaunchError as error:
        return str(error)


def grown(launched: Launched, wanted: Sequence[int]) -> Crowd:
    """Connect client after client, each of which asks once; look at the server at each size."""
    pids = processes_of(launched.process.pid)
    settle(pids)
    found = [holding(pids, 0)]
    clients = Clients(launched.address)
    try:
        for size in wanted:
            newcomers = len(clients.all)
            clients.connect(size - newcomers)
            clients.ask(1, clients.all[newcomers:])
            pids = processes_of(launched.process.pid)
            settle(pids)
            found.append(busy_too(launched, clients, holding(pids, size)))
    except (ConnectError, MeasureError, OSError) as error:
        return Crowd(wanted[-1], tuple(found), ended_at=len(clients.all), ended_by=str(error))
    finally:
        clients.leave()
    return Crowd(wanted[-1], tuple(found))


def busy_too(launched: Launched, clients: Clients, at_rest: Holding) -> Holding:
    """Load a server by some of its clients, and by one alone, while the others stay silent."""
    if len(clients.all) < ACTIVE:
        return at_rest
    return replace(
        at_rest,
        active_clients=ACTIVE,
        cpu_us_per_request=metered(launched, clients, ACTIVE_REQUESTS, ACTIVE).cpu_us,
        lone_cpu_us_per_request=metered(launched, clients, LONE_REQUESTS, 1).cpu_us,
    )


def lifetime(candidate: Candidate) -> Lifetime:
    """Launch and stop a server several times, at rest and under load."""
    clients = ACTIVE if serves_many(candidate) else 1
    startups, stops, loaded_stops, codes = [], [], [], []
    heard = Farewell()
    for loaded in (False, True) * LAUNCHES:
        with serving(candidate, clients) as launched:
            startups.append(launched.startup_s)
            if loaded:
                took_s, farewell = stopped_under_load(launched, clients)
                loaded_stops.append(took_s)
                heard = Farewell(heard.checked + farewell.checked, heard.wrong + farewell.wrong)
            else:
                stops.append(time_to_end(launched, tell_to_stop(launched)))
            codes.append(launched.process.returncode)
    return Lifetime(
        tuple(startups), tuple(stops), tuple(loaded_stops), clients, heard.checked, heard.wrong, tuple(codes)
    )


def stopped_under_load(launched: Launched, count: int) -> tuple[float, Farewell]:
    """Stop a server that is being loaded; return how long it took to end, and what its clients heard."""
    told: list[float] = []
    with connected_clients(launched.address, count) as clients:
        heard = clients.ask_to_the_end(LOADED_S, lambda: told.append(tell_to_stop(launched)))
    if not told:
        raise MeasureError("all clients were closed on before the server was told to stop")
    return time_to_end(launched, told[0]), heard


def tell_to_stop(launched: Launched) -> float:
    """Send SIGTERM, and return when that was."""
    launched.process.send_signal(signal.SIGTERM)
    return time.monotonic()


def time_to_end(launched: Launched, told_s: float) -> float:
    """Wait for a process that was told to stop; return how long it took. The kernel says when, nobody has to ask."""
    descriptor = os.pidfd_open(launched.process.pid)
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        if not ended.poll(STOP_LIMIT_S * 1000):
            raise MeasureError(f"still running {STOP_LIMIT_S:g} s after it was to stop")
        took_s = time.monotonic() - told_s
    finally:
        os.close(descriptor)
    launched.process.wait()
    return took_s
