"""What a connection costs: memory, and CPU time with thousands of them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from msgspec.structs import replace

from harness.drive.client import ConnectError
from harness.errors import LaunchError, MeasureError
from harness.experiments.costs.clients import Clients
from harness.experiments.costs.serving import SMALL_CROWD, metered, scaled, serves_many, serving
from harness.launch.candidates import Candidate
from harness.launch.process import Launched, launch
from harness.machine.processes import held, settle
from harness.record import ConnectionScaling, Holding

CROWD: Final = (1_000, 5_000, 10_000)
ACTIVE: Final = 64
ACTIVE_REQUESTS: Final = 200
LONE_REQUESTS: Final = 2_000


def sizes(candidate: Candidate, scale: float) -> tuple[int, ...]:
    """Return how many connections are tried, one number after the other."""
    if not serves_many(candidate):
        return (1,)
    many = candidate.declares is None or "many_clients" in candidate.declares
    return tuple(scaled(size, scale) for size in (CROWD if many else SMALL_CROWD))


def crowd(candidate: Candidate, scale: float) -> ConnectionScaling:
    """Give a server more and more connections; look at it with none, and at each size; and load it a little there."""
    wanted = sizes(candidate, scale)
    refusal = "" if wanted[-1] == scaled(CROWD[-1], scale) else refuses(candidate, CROWD[-1])
    try:
        with serving(candidate, wanted[-1]) as launched:
            return replace(grown(launched, wanted), ended_by=refusal) if refusal else grown(launched, wanted)
    except LaunchError as error:
        return ConnectionScaling(wanted[-1], (), ended_at=0, ended_by=str(error))


def refuses(candidate: Candidate, clients: int) -> str:
    """Return what a server says that is asked for more places than it declares; empty if it just starts."""
    try:
        with launch(candidate, max_clients=clients):
            return ""
    except LaunchError as error:
        return str(error)


def grown(launched: Launched, wanted: Sequence[int]) -> ConnectionScaling:
    """Connect client after client, each of which asks once; look at the server at each size."""
    pids = launched.pids
    settle(pids)
    found = [holding(pids, 0)]
    clients = Clients(launched.address)
    try:
        for size in wanted:
            newcomers = len(clients.all)
            clients.connect(size - newcomers)
            clients.ask(1, clients.all[newcomers:])
            pids = launched.pids
            settle(pids)
            found.append(busy_too(launched, clients, holding(pids, size)))
    except (ConnectError, MeasureError, OSError) as error:
        return ConnectionScaling(wanted[-1], tuple(found), ended_at=len(clients.all), ended_by=str(error))
    finally:
        clients.leave()
    return ConnectionScaling(wanted[-1], tuple(found))


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


def holding(pids: Sequence[int], connections: int) -> Holding:
    """Look at what a server holds now with so many connections, and at what the kernel holds for it."""
    return Holding(connections, **asdict(held(pids)))
