"""Load from many processes and machines: who measures then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.plan import Load
from harness.record import Sample
from harness.study.cell import measure
from harness.study.fleet import Fleet, fleet_of
from harness.study.from_many import measure_from_many


class Measure(Protocol):
    """Measures one server under one load."""

    def __call__(self, candidate: Candidate, load: Load, progress: Callable[[float, int], None], /) -> Sample:
        """Launch it, load it, stop it."""


@contextmanager
def fleet_if_asked_for(cluster: str | None, on: str | None, generators: int | None) -> Iterator[Fleet | None]:
    """Reach the cluster that was asked for; None if none was."""
    if cluster is None:
        if on is not None:
            raise UsageError("--on names a worker of a cluster: it needs --cluster")
        yield None
        return
    with fleet_of(cluster, on, generators) as fleet:
        yield fleet


def measuring_by(fleet: Fleet | None, generators: int | None) -> Measure:
    """Return what measures: a fleet, or so many generators here."""
    return (
        partial(measure, generators=generators or 1) if fleet is None else partial(measure_from_many, fleet)
    )


def check_workers(fleet: Fleet | None, clients: int) -> None:
    """Raise UsageError if there are more workers than clients."""
    if fleet is not None and clients < len(fleet.workers):
        raise UsageError(f"{len(fleet.workers)} workers need a client each: there are {clients}")
