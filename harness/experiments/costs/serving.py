"""A server that runs for its costs to be found: on its core, quietly, and metered."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from harness.conformance.smoke import check_shortly
from harness.experiments.costs.clients import Clients
from harness.launch.candidates import Candidate
from harness.launch.process import Launched, launch
from harness.machine.processes import Usage, usage
from harness.machine.processes import busy_ns as busy
from harness.machine.resources import cores_for, pinned
from harness.plan import ONE_CORE, Load
from harness.study.cell import visit

SMALL_CROWD: Final = (250, 500, 1_000)
CORES: Final = cores_for()
"""Of the server and of its clients: fixed before any process is pinned, since that narrows what can be seen."""


@contextmanager
def own_core() -> Iterator[None]:
    """Keep off the server's core."""
    with pinned(CORES.generators):
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


def serves_many(candidate: Candidate) -> bool:
    """Tell whether several clients may be given to a server at once."""
    return candidate.declares is None or "concurrent" in candidate.declares


@contextmanager
def serving(candidate: Candidate, clients: int) -> Iterator[Launched]:
    """Launch a server with room for so many clients and one more, on its cores, checked by a short conversation."""
    places = clients + 1 if clients > max(SMALL_CROWD) else None
    cores = CORES.server if candidate.regime == ONE_CORE else CORES.both
    with launch(candidate, max_clients=places, cores=cores) as launched:
        check_shortly(candidate.label, launched.address)
        yield launched


@contextmanager
def in_service(candidate: Candidate, clients: int) -> Iterator[Launched]:
    """Launch a server, as above, and let as many clients come and leave as those of a table do: it is the state that tables tell of."""
    with serving(candidate, clients) as launched:
        visit(candidate, launched.address, Load(clients=clients))
        yield launched


@dataclass(frozen=True)
class Metered:
    """What a server has used for so many requests, in how long; and what others have taken of our cores' time meanwhile."""

    requests: int
    used: Usage
    seconds: float
    foreign_share: float

    @property
    def cpu_us(self) -> float:
        """Return the CPU time of a request."""
        return self.used.cpu_ns / 1e3 / self.requests


def metered(launched: Launched, clients: Clients, each: int, of_them: int | None = None) -> Metered:
    """Let clients ask, so many requests each, all clients or so many of them."""
    pids = launched.pids
    cores = CORES.both
    before, busy_ns, began_ns, own_ns = usage(pids), busy(cores), time.monotonic_ns(), time.process_time_ns()
    requests = clients.ask(each, clients.all[:of_them])
    used = usage(pids) - before
    ours_ns = used.cpu_ns + time.process_time_ns() - own_ns
    took_ns = time.monotonic_ns() - began_ns
    foreign_ns = busy(cores) - busy_ns - ours_ns
    return Metered(requests, used, took_ns / 1e9, max(0.0, foreign_ns / max(1, took_ns * len(cores))))


def scaled(count: float, scale: float, least: int = 1) -> int:
    """Return so much of a count, in whole batches."""
    return max(1, round(count * scale / least)) * least
