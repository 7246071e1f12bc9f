"""Experiments on our own servers: what their state does to a request, and what it does on how many cores they may run."""

import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

from harness.drive.fleet import BACKGROUND, GO_ON, as_line, background_outcome, worker
from harness.drive.orders import BackgroundOrder
from harness.errors import InterpreterError, LaunchError, MeasureError
from harness.experiments.costs.clients import Clients, connected_clients
from harness.experiments.costs.serving import CORES, Metered, metered, quiet
from harness.launch.candidates import Candidate
from harness.launch.process import Launched, launch
from harness.launch.selection import ours, selected
from harness.machine.processes import Usage, usage
from harness.machine.resources import our_cores
from harness.machine.strace import TraceError, traced
from harness.plan import IDLE, ONE_CORE, Load
from harness.study.cell import visit

FRESH: Final = "before any client has left"
SERVED: Final = "after a client has left"
PINNED: Final = "pinned to one core"
FREE: Final = "free on all cores"
WITHOUT_LOCK: Final = "on a Python without the lock"
LOCKLESS: Final = ("3.14t", "3.13t")
"""Versions of such interpreters; the first that is found will do."""
GREETING_LIMIT_S: Final = 10.0
ANSWER_LIMIT_S: Final = 60.0

CLIENTS: Final = 64
REQUESTS: Final = 6_400
TRACED: Final = 640
RARE: Final = 0.01
"""Fewer calls per request than this come from attaching, and from what is done now and then."""
ENOUGH: Final = 5
MOST_ATTEMPTS: Final = 30
FOREIGN_LIMIT: Final = 0.08
"""Of our cores' time, in a twentieth of a second or so, as the kernel's ticks can tell it."""
ALL_CORES: Final = our_cores()
"""Known before any process is pinned, since that narrows what can be seen."""

ALL: Final = tuple(selected([]))
ON_ONE_CORE: Final = tuple(candidate for candidate in ALL if candidate.regime == ONE_CORE)


def receives_mapped(candidate: Candidate) -> bool:
    """Tell whether a server receives into more than glibc takes from its heap, by what the catalogue says of it."""
    return candidate.implementation is not None and candidate.implementation.own.receives == "256 KiB"


def shares_an_interpreter(candidate: Candidate) -> bool:
    """Tell whether threads of a server serve several clients, and share an interpreter's lock."""
    return candidate.implementation is not None and candidate.implementation.threaded


def in_state(name: str, state: str, *environment: str) -> dict[str, float]:
    """Measure requests of a server, the first clients that it ever has, or those after one that came, asked and left.

    Args:
        name: of the server.
        state: `FRESH` or `SERVED`.
        environment: NAME=VALUE each, that it is started with besides.
    """
    candidate = ours(name)
    if environment:
        candidate = replace(candidate, command=("env", *environment, *candidate.command))
    cores = CORES.server if candidate.regime == ONE_CORE else CORES.both
    clients_count = min(CLIENTS, candidate.most_clients or CLIENTS)
    with launch(candidate, cores=cores) as launched:
        if state == SERVED:
            visit(candidate, launched.address, Load(clients=clients_count))
        with connected_clients(launched.address, clients_count) as clients, quiet():
            clients.ask(1)
            seen = metered(launched, clients, REQUESTS // clients_count)
            figures = {"cpu_us": seen.cpu_us, "page_faults_most": seen.used.page_faults / seen.requests}
            return figures | _calls(launched, clients, TRACED // clients_count)


def _calls(launched: Launched, clients: Clients, each: int) -> dict[str, float]:
    """Return the syscalls of a request; nothing where strace cannot trace: page faults show mappings, too."""
    try:
        with traced(launched.pids) as trace:
            requests = clients.ask(each)
    except TraceError:
        return {}
    counts = {name: calls / requests for name, calls in trace.calls.items()}
    return {f"calls.{name}": count for name, count in counts.items() if count >= RARE}


def placed(name: str, place: str) -> dict[str, float]:
    """Measure requests of a server that may run on one core, `PINNED`, or on all but the generator's, `FREE`.

    Where there are but two cores the generator shares one with a server that is free. What others do in between decides
    on what threads do to each other, so that the quietest moments count.
    """
    candidate = ours(name)
    apart = tuple(core for core in ALL_CORES if core not in CORES.generators)
    free = apart if len(apart) > 1 else ALL_CORES
    cores = CORES.server if place == PINNED else free
    clients_count = min(CLIENTS, candidate.most_clients or CLIENTS)
    with launch(candidate, cores=cores) as launched:
        visit(candidate, launched.address, Load(clients=clients_count))
        with connected_clients(launched.address, clients_count) as clients, quiet():
            clients.ask(10)
            found = _quietest(launched, clients, REQUESTS // clients_count)
    requests = sum(each.requests for each in found)
    used = sum((each.used for each in found), Usage())
    return {
        "cores": len(cores),
        "cpu_us": used.cpu_ns / 1e3 / requests,
        "answered_rps": requests / sum(each.seconds for each in found),
        "switches_voluntary": used.voluntary / requests,
        "switches_involuntary": used.involuntary / requests,
        "foreign_share": max(each.foreign_share for each in found),
    }


def placed_without_lock(name: str, place: str) -> dict[str, float]:
    """Measure the same on a Python that has no interpreter's lock; LaunchError if there is none here."""
    for version in LOCKLESS:
        with suppress(InterpreterError):
            return placed(f"{name}@{version}", place)
    raise LaunchError(f"there is no Python {' or '.join(LOCKLESS)} here")


def crowded(name: str, place: str, connections: int) -> dict[str, float]:
    """Measure a server that holds so many connections, all of which ask at the same moment."""
    cores = CORES.server if place == PINNED else ALL_CORES
    with (
        launch(ours(name), max_clients=connections + 1, cores=cores) as launched,
        worker(BACKGROUND, CORES.generators if place == PINNED else ALL_CORES) as background,
    ):
        order = BackgroundOrder(*launched.address, IDLE, connections, GREETING_LIMIT_S, ANSWER_LIMIT_S)
        background.tell(as_line(order), "connected")
        began_s, before = time.monotonic(), usage(launched.pids)
        background.tell(GO_ON, "started")
        answered = background_outcome(background).ok
        used, passed_s = usage(launched.pids) - before, time.monotonic() - began_s
    if not answered:
        raise MeasureError(f"{name} answered none of {connections:,} clients")
    return {
        "cores": len(cores),
        "cpu_us": used.cpu_ns / 1e3 / answered,
        "answered_s": passed_s,
        "switches_voluntary": used.voluntary / answered,
    }


def _quietest(launched: Launched, clients: Clients, each: int) -> list[Metered]:
    """Ask so often until there were moments enough in which nobody else was at work, but not for ever."""
    found: list[Metered] = []
    while len(found) < MOST_ATTEMPTS and sum(one.foreign_share <= FOREIGN_LIMIT for one in found) < ENOUGH:
        found.append(metered(launched, clients, each))
    return sorted(found, key=lambda one: one.foreign_share)[:ENOUGH]
