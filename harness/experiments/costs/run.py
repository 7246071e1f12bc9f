"""What one server costs: requests under three loads, connections up to ten thousand, coming and going."""

from collections.abc import Callable
from typing import Final

from harness.experiments.costs.connections import crowd, sizes
from harness.experiments.costs.lifetime import lifetime
from harness.experiments.costs.requests import LOADS, traced_load, untraced_load
from harness.experiments.costs.serving import own_core, quiet, serves_many
from harness.launch.candidates import Candidate
from harness.machine.resources import allow_files
from harness.record import ServerCosts

SPARE_FILES: Final = 200


Progress = Callable[[str], None]


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
