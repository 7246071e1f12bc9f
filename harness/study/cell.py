"""Measure one cell: a fresh server and a fresh generator, a core each; and look at the machine meanwhile.

Clients in the background share the generator's core.
"""

import tempfile
from contextlib import ExitStack, nullcontext

from harness.conformance.smoke import check_shortly
from harness.drive.fleet import Progress, workers_for
from harness.drive.orders import Reading
from harness.launch.candidates import Candidate
from harness.launch.process import DEFAULT_CLIENTS, launch
from harness.machine.resources import Cores, cores_for, our_cores
from harness.plan import ALL_CORES, Cell, Load
from harness.record import GeneratorUse, MachineUse, Placement, Sample, ServerUse
from harness.study.observe import Observation, observe
from harness.study.window import tally


def measure(
    candidate: Candidate,
    load: Load,
    progress: Progress = lambda *_: None,
    *,
    cell: Cell | None = None,
    generators: int = 1,
) -> Sample:
    """Launch a server, check it shortly, load it, stop it.

    Args:
        candidate: the server; one that runs already is loaded as it is.
        load: what to do to it.
        progress: called four times a second with the seconds since the start and the requests sent.
        cell: its place in a plan, if there is one.
        generators: how many processes load it.

    Raises:
        LaunchError: it does not start.
        MeasureError: it answers wrongly, or the clients cannot connect.
    """
    cores = cores_for(generators, all_cores=candidate.regime == ALL_CORES)
    serving = (
        nullcontext(None)
        if candidate.address is not None
        else launch(candidate, max_clients=_places(candidate, load), cores=cores.server)
    )
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as working:
        # Before the server, so that all of them start at the same time, each on its own core.
        workers = working.enter_context(workers_for(load, cores, generators))
        with serving as launched:
            address = launched.address if launched is not None else candidate.address
            assert address is not None  # noqa: S101 - it is launched, or has an address
            try:
                check_shortly(candidate.label, address)
                seen = observe(address, launched, load, cores, workers, scratch, progress)
            finally:
                working.close()  # before the server, which would wait for its clients to leave
    placement = Placement(
        generators=generators,
        pinned=cores.pinned,
        regime=candidate.regime,
        server_cores=len(our_cores()) if candidate.regime == ALL_CORES else 1,
    )
    foreign_share = _foreign_share(cores, generators, load, seen.outcome.begin, seen.outcome.end)
    return _sample(cell or Cell(0, candidate.label, ""), load, placement, foreign_share, seen)


def _sample(cell: Cell, load: Load, placement: Placement, foreign_share: float, seen: Observation) -> Sample:
    window, times = tally(load, seen.outcome, seen.times)
    begin, end = seen.outcome.begin, seen.outcome.end
    user_ns, system_ns = _divided_cpu_ns(begin, end)
    ready, connected, afterwards = seen.ready, seen.connected, seen.afterwards
    return Sample(
        cell=cell,
        load=load,
        placement=placement,
        window=window,
        requests=seen.outcome.requests,
        times=times,
        server=ServerUse(
            cpu_ns=end.server_cpu_ns - begin.server_cpu_ns,
            user_ns=user_ns,
            system_ns=system_ns,
            switches_voluntary=max(0, afterwards.switches_voluntary - connected.switches_voluntary),
            switches_involuntary=max(0, afterwards.switches_involuntary - connected.switches_involuntary),
            threads=connected.threads,
            descriptors=connected.descriptors,
            startup_s=seen.launched_s,
            memory_ready_bytes=ready.memory_bytes,
            memory_connected_bytes=connected.memory_bytes,
            memory_peak_bytes=afterwards.peak_bytes,
            memory_series_bytes=seen.memory_series_bytes,
        ),
        generator=GeneratorUse(
            cpu_ns=end.generator_cpu_ns - begin.generator_cpu_ns,
            spin_ns=end.spun_ns - begin.spun_ns,
            connect_s=seen.connect_s,
        ),
        machine=MachineUse(steal_share=seen.steal_share, foreign_share=foreign_share),
        background=seen.background,
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


def _foreign_share(cores: Cores, generators: int, load: Load, begin: Reading, end: Reading) -> float:
    """Return what nobody who takes part took of their cores' time; 0 where they have none to themselves.

    The kernel counts a core's time in ticks, which miss work that is done in between, in step with them. A generator that
    has its core to itself knows exactly how long it was kept from running: that share of its core is foreign, too. Of a server that runs
    already, and whose process is not known, the ticks cannot be told from others'.
    """
    if not cores.own:
        return 0.0
    server_is_ours = end.server_cpu_ns > 0
    window_ns = end.at_ns - begin.at_ns
    clocks = ("server_cpu_ns", "generator_cpu_ns", "background_cpu_ns")
    ours_ns: int = sum(getattr(end, name) - getattr(begin, name) for name in clocks)
    others_ns = end.cores_busy_ns - begin.cores_busy_ns - ours_ns if server_is_ours else 0
    kept_ns = (
        end.generator_waited_ns - begin.generator_waited_ns if cores.pinned and load.background is None else 0
    )
    return max(0.0, others_ns / (window_ns * len(cores.own)), kept_ns / (window_ns * generators))


def _places(candidate: Candidate, load: Load) -> int | None:
    """Return the capacity to ask for: the default, unless more is needed."""
    needs_more = load.connections > DEFAULT_CLIENTS and candidate.takes("max_clients")
    return load.connections + 1 if needs_more else None
