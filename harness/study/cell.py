"""Measure one cell: a fresh server and a fresh generator, a core each; and look at the machine meanwhile.

Clients in the background share the generator's core.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from harness.conformance.smoke import check_shortly, come_and_leave
from harness.drive.fleet import Progress, Workers, let_upstream_listen, workers_for
from harness.drive.orders import Reading, sum_of_requests
from harness.errors import MeasureError
from harness.launch.candidates import HOST, Candidate
from harness.launch.process import DEFAULT_CLIENTS, DEFAULT_POOL, Launched, address_of, launch
from harness.machine.connections import Address
from harness.machine.processes import NS_PER_TICK, Snapshot, snapshot
from harness.machine.resources import Cores, cores_for
from harness.plan import ALL_CORES, CLOSED, FREE, FRESH, Cell, Load
from harness.record import GeneratorUse, MachineUse, Placement, Sample, ServerUse, Slice
from harness.study.observe import Observation, Session

VISITORS: Final = 64
"""At least so many come at once, and as many as will be measured: of several processes chance decides who gets a client, and each is
to have had one. And a single one may leave while what its library receives into still fits into memory that start-up has left over:
then its leaving settles nothing, and whether it does hangs on the length of a path."""


def measure(  # noqa: PLR0913 - what, how, and by whom
    candidate: Candidate,
    load: Load,
    progress: Progress = lambda *_: None,
    *,
    cell: Cell | None = None,
    generators: int = 1,
    workers: Workers | None = None,
) -> Sample:
    """Launch a server, check it shortly, load it, stop it.

    Args:
        candidate: the server; one that runs already is loaded as it is.
        load: what to do to it.
        progress: called four times a second with the seconds since the start and the requests sent.
        cell: its place in a plan, if there is one.
        generators: how many processes load it.
        workers: these, if they run already; they go on running.

    Raises:
        LaunchError: it does not start.
        MeasureError: it answers wrongly, or the clients cannot connect.
    """
    if load.upstream is not None and not candidate.relays:
        raise MeasureError(f"{candidate.label} asks no upstream: its command has no {{upstream}}")
    cores = cores_of(candidate, generators)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as working:
        # Before the server, so that all of them start at the same time, each on its own core.
        workers = workers or working.enter_context(workers_for(load, cores, generators))
        upstream = let_upstream_listen(workers.generators[0], load)
        with serving(candidate, load, cores, upstream) as (address, launched):
            try:
                ready = put_into_service(candidate, address, launched, load)
                session = Session(address, launched, ready, load, cores, workers, Path(scratch))
                # A relay opens its connections to the upstream with the first questions: that is none of the window's.
                settled = load.upstream is not None and load.arrivals == CLOSED
                session.turn(load, progress, settled=settled)
                seen = session.end()
            finally:
                working.close()  # before the server, which would wait for its clients to leave
    placement = placement_of(candidate, cores, generators)
    return sample_of(cell or Cell(0, candidate.label, ""), load, placement, cores, seen)


def cores_of(candidate: Candidate, generators: int = 1) -> Cores:
    """Choose where a server and its generators run."""
    return cores_for(generators, all_cores=candidate.regime == ALL_CORES, free=FREE in candidate.ways)


def put_into_service(
    candidate: Candidate, address: Address, launched: Launched | None, load: Load
) -> Snapshot:
    """Visit a server; return what it was like before, when no client had come."""
    ready = snapshot(launched.process.pid if launched is not None else None)
    visit(candidate, address, load)
    return ready


def visit(candidate: Candidate, address: Address, load: Load) -> None:
    """Put a server into service, unless it is to be fresh: clients come, ask, and leave.

    Raises:
        MeasureError: it answers wrongly.
    """
    if visitors := visitors_of(candidate, load):
        check_shortly(candidate.label, address)
        come_and_leave(candidate.label, address, visitors)


def visitors_of(candidate: Candidate, load: Load) -> int:
    """Return how many clients come and leave before the measured ones; one, to a server that serves no more at a time."""
    if FRESH in candidate.ways:
        return 0
    at_once = max(VISITORS, load.clients) if "concurrent" in (candidate.declares or ()) else 1
    return min(at_once, candidate.most_clients or at_once)


@contextmanager
def serving(
    candidate: Candidate, load: Load, cores: Cores, upstream: Address | None = None, host: str = HOST
) -> Iterator[tuple[Address, Launched | None]]:
    """Run a server with places enough for a load, unless it runs already; LaunchError if it does not start."""
    if candidate.address is not None:
        yield address_of(candidate), None
        return
    with launch(
        candidate,
        host=host,
        max_clients=_places(candidate, load),
        cores=cores.server,
        upstream=upstream,
        pool=load.upstream.pool if load.upstream else DEFAULT_POOL,
    ) as launched:
        yield launched.address, launched


def placement_of(candidate: Candidate, cores: Cores, generators: int = 1) -> Placement:
    """Say where a server and its generators run."""
    return Placement(
        generators=generators,
        pinned=cores.pinned,
        regime=candidate.regime,
        server_cores=max(1, len(cores.server or cores.shared)) if candidate.parallel else 1,
        free=FREE in candidate.ways,
    )


def sample_of(  # noqa: PLR0913 - all that a sample tells of
    cell: Cell,
    load: Load,
    placement: Placement,
    cores: Cores,
    seen: Observation,
    window_turn: int = 0,
    slices: tuple[Slice, ...] = (),
) -> Sample:
    """Sum up a launch, of which one turn was its continuous window, and others were slices."""
    in_window = seen.turns[window_turn]
    window, times = in_window.tally()
    begin, end = in_window.outcome.begin, in_window.outcome.end
    user_ns, system_ns = _divided_cpu_ns(begin, end)
    ready, connected, afterwards = seen.ready, seen.connected, seen.afterwards
    return Sample(
        cell=cell,
        load=load,
        placement=placement,
        window=window,
        requests=sum_of_requests([turn.outcome.requests for turn in seen.turns]),
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
        machine=MachineUse(
            steal_share=steal_share([(turn.stolen_s, turn.machine_s) for turn in seen.turns]),
            foreign_share=_foreign_share(
                cores,
                placement.generators,
                load,
                [(turn.outcome.begin, turn.outcome.end) for turn in seen.turns],
            )
            if seen.foreign_share is None
            else seen.foreign_share,
        ),
        background=seen.background,
        slices=slices,
        upstream=in_window.upstream(),
        workers=seen.workers,
    )


def steal_share(turns: Sequence[tuple[float, float]]) -> float:
    """Return the share of the cores' time that the hypervisor gave to others for certain.

    It is told in ticks, of which one may have been all but full before: of a short window that would be more than a share that
    matters.

    Args:
        turns: seconds that were given to others, and of all cores, in each turn.
    """
    stolen_s, machine_s = map(sum, zip(*turns, strict=True))
    return max(0.0, stolen_s - NS_PER_TICK / 1e9) / machine_s


def _divided_cpu_ns(begin: Reading, end: Reading) -> tuple[int, int]:
    """Divide the server's CPU time into user's and system's, as the kernel's ticks fell; zeros if none did."""
    user = end.server_user_ticks - begin.server_user_ticks
    ticks = user + end.server_system_ticks - begin.server_system_ticks
    if not ticks:
        return 0, 0
    used_ns = end.server_cpu_ns - begin.server_cpu_ns
    user_ns = used_ns * user // ticks
    return user_ns, used_ns - user_ns


def _foreign_share(
    cores: Cores, generators: int, load: Load, windows: Sequence[tuple[Reading, Reading]]
) -> float:
    """Return what nobody who takes part took of their cores' time; 0 where they have none to themselves.

    The kernel counts a core's time in ticks, which miss work that is done in between, in step with them. A generator that
    has its core to itself knows exactly how long it was kept from running: that share of its core is foreign, too. Of a server that runs
    already, and whose process is not known, the ticks cannot be told from others'.
    """
    if not cores.own:
        return 0.0

    def between(*clocks: str) -> int:
        """Add up by how much clocks went on in all windows."""
        return sum(getattr(end, clock) - getattr(begin, clock) for begin, end in windows for clock in clocks)

    server_is_ours = windows[-1][1].server_cpu_ns > 0
    windows_ns = between("at_ns")
    ours_ns = between("server_cpu_ns", "generator_cpu_ns", "background_cpu_ns")
    others_ns = between("cores_busy_ns") - ours_ns if server_is_ours else 0
    kept_ns = between("generator_waited_ns") if cores.pinned and load.background is None else 0
    return max(0.0, others_ns / (windows_ns * len(cores.own)), kept_ns / (windows_ns * generators))


def _places(candidate: Candidate, load: Load) -> int | None:
    """Return the capacity to ask for: the default, unless more is needed; of a relay, whose pool takes places, what is needed."""
    if load.upstream is not None and candidate.takes("max_clients"):
        needed = max(load.connections, visitors_of(candidate, load)) + 1
        return min(needed, candidate.most_clients or needed)
    needs_more = load.connections > DEFAULT_CLIENTS and candidate.takes("max_clients")
    return load.connections + 1 if needs_more else None
