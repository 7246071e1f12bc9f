"""Measure one cell: a fresh server and a fresh generator, a core each; and look at the machine meanwhile.

Whatever company the load has shares the generator's core.
"""

import tempfile
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, replace
from typing import Final

from harness.conformance.smoke import check_shortly
from harness.drive.fleet import COMPANY, GENERATOR, Progress, Workers, worker
from harness.drive.orders import Reading
from harness.launch.candidates import Candidate
from harness.launch.process import DEFAULT_CLIENTS, launch
from harness.machine.resources import our_cores
from harness.plan import ALL_CORES, Load
from harness.record import Sample
from harness.study.observe import Observation, observe
from harness.study.window import tally

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
    return replace(load, server_cores=(), shared_cores=our_cores())


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
        server_cores=len(our_cores()) if candidate.regime == ALL_CORES else 1,
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


def _places(candidate: Candidate, load: Load) -> int | None:
    """Return the capacity to ask for: the default, unless more is needed."""
    needs_more = load.connections > DEFAULT_CLIENTS and candidate.takes("max_clients")
    return load.connections + 1 if needs_more else None
