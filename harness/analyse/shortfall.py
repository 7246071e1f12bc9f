"""Why a relay stays below its ceiling though its core is not the limit: where the time of its responses goes. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Final

from harness.analyse.blocks import Launch, counted, of_regime, under
from harness.analyse.samples.metrics import ceiling_share, core_share, of_upstream_us
from harness.analyse.samples.validity import BUSY, generator_share
from harness.plan import CLOSED, ONE_CORE, by_name, is_as_usual

REACHED: Final = 0.85
"""Who has so many questions under way, of those that can be, has come close to the ceiling."""
SHORTEST_WAIT_S: Final = 0.005
"""Of a shorter wait, waking up alone takes too much."""
TWO_STATES: Final = 1.5
"""If one launch reached so many times as much of the ceiling as another, the server was not in the same state in both."""


class Lost(StrEnum):
    """Where what is missing of the ceiling was lost; the first that is true."""

    NEARLY_BUSY = "core"
    GENERATOR = "generator"
    STATES = "states"
    ASKING = "asking"
    RETURNING = "returning"


NEARLY_BUSY: Final = 0.85
"""A core that is busy for so much of the time has queues already."""


@dataclass(frozen=True)
class Shortfall:
    """A relay that stays below its ceiling; means over its launches.

    Attributes:
        share: of the ceiling.
        least, most: the same, of single launches.
        core, generator: for which share of the time the server's core, and the generator's, was busy.
        asking_us, returning_us: of a response, what went before its question, and after its answer; medians.
    """

    workload: str
    server: str
    share: float
    least: float
    most: float
    core: float
    generator: float
    asking_us: float
    returning_us: float

    @property
    def cause(self) -> Lost:
        """Say what it is."""
        if self.core >= NEARLY_BUSY:
            return Lost.NEARLY_BUSY
        if self.generator >= BUSY:
            return Lost.GENERATOR
        if self.most >= TWO_STATES * self.least:
            return Lost.STATES
        return Lost.ASKING if self.asking_us > self.returning_us else Lost.RETURNING


def shortfalls(launches: Sequence[Launch], workloads: Sequence[str]) -> Iterator[Shortfall]:
    """Yield who stays below the ceiling, though the core is not the limit, where waits are long enough to come close to it.

    Of servers of one core: of one on all cores, which the generator's are, it cannot be told what the core had left.
    """
    for name in workloads:
        load = by_name(name).load
        if load.upstream is None or load.upstream.wait_s < SHORTEST_WAIT_S or load.arrivals != CLOSED:
            continue
        for server, mine in _by_server(launches, name).items():
            found = _shortfall(name, server, mine)
            if found is not None and found.share < REACHED and found.core < BUSY:
                yield found


def _by_server(launches: Sequence[Launch], workload: str) -> Mapping[str, list[Launch]]:
    found: dict[str, list[Launch]] = {}
    for launch in counted(under(of_regime(launches, ONE_CORE), workload)):
        if launch.valid and is_as_usual(launch.sample.cell.server):
            found.setdefault(launch.sample.cell.server, []).append(launch)
    return found


def _shortfall(workload: str, server: str, launches: Sequence[Launch]) -> Shortfall | None:
    shares, cores, asking, returning = (
        [value for launch in launches if (value := of(launch.sample)) is not None]
        for of in (ceiling_share, core_share, of_upstream_us("asking", 0.5), of_upstream_us("returning", 0.5))
    )
    if not (shares and cores and asking and returning):
        return None
    return Shortfall(
        workload,
        server,
        fmean(shares),
        min(shares),
        max(shares),
        fmean(cores),
        fmean(generator_share(launch.sample) for launch in launches),
        fmean(asking),
        fmean(returning),
    )
