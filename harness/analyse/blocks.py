"""Launches, each judged once; which of them count, and their values block by block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.analyse.samples.metrics import Metric
from harness.analyse.samples.validity import Validity, assess
from harness.record import Sample

Block = tuple[str, str, int]


@dataclass(frozen=True, eq=False)
class Launch:
    """A sample, and what was found when it was judged. Each is equal to itself alone, so that it can be looked up quickly.

    Attributes:
        counts: it is of the attempt at its block that counts; `counting` tells which that is.
    """

    sample: Sample
    validity: Validity
    counts: bool = True

    @property
    def valid(self) -> bool:
        """Tell whether it may be used."""
        return self.validity.valid

    def value(self, of: Metric) -> float | None:
        """Return a metric of the sample, worked out once."""
        if of not in self._values:
            self._values[of] = of.value(self.sample)
        return self._values[of]

    @cached_property
    def _values(self) -> dict[Metric, float | None]:
        return {}


def launches_of(samples: Iterable[Sample], beside: Iterable[Sample] = ()) -> tuple[Launch, ...]:
    """Judge samples, each of them once, and tell which count.

    Args:
        samples: those that are looked at.
        beside: others of the same blocks, which have a say in what counts: those of a server's second name.
    """
    mine = [Launch(sample, assess(sample)) for sample in samples]
    return counting([*mine, *(Launch(sample, assess(sample)) for sample in beside)])[: len(mine)]


def counting(launches: Sequence[Launch]) -> tuple[Launch, ...]:
    """Return launches, told which of them count: of each block of a workload and regime those of one attempt, with its invalid ones.

    It is the attempt with the most valid launches, the first of equals. All servers' values of a block are of the same
    attempt, since they are compared with each other; what was measured has no say in the choice. So it is made once, of all
    launches of a run: some servers' launches alone might choose another one.
    """
    valid: dict[Block, dict[int, int]] = {}
    for launch in launches:
        of_block, attempt = valid.setdefault(block_of(launch), {}), launch.sample.cell.attempt
        of_block[attempt] = of_block.get(attempt, 0) + launch.valid
    chosen = {
        block: max(of_block, key=lambda attempt: of_block[attempt]) for block, of_block in valid.items()
    }

    def told(launch: Launch) -> Launch:
        counts = launch.sample.cell.attempt == chosen[block_of(launch)]
        return launch if launch.counts == counts else replace(launch, counts=counts)

    return tuple(map(told, launches))


def of_regime(launches: Iterable[Launch], regime: str) -> list[Launch]:
    """Return the launches of servers that may use so much of the machine."""
    return [launch for launch in launches if launch.sample.placement.regime == regime]


def under(launches: Iterable[Launch], workload: str) -> list[Launch]:
    """Return the launches under one workload."""
    return [launch for launch in launches if launch.sample.cell.workload == workload]


def block_of(launch: Launch) -> Block:
    """Return what identifies the launches that are compared with each other, and measured again together."""
    sample = launch.sample
    return sample.placement.regime, sample.cell.workload, sample.cell.block


def counted(launches: Iterable[Launch]) -> list[Launch]:
    """Return the launches that count."""
    return [launch for launch in launches if launch.counts]


@dataclass(frozen=True)
class Repetition:
    """How often blocks were measured again.

    Attributes:
        made: launches in all.
        blocks: how many there are, each workload's counted on its own.
        repeated: blocks that were measured again, because a launch was invalid.
        launches: that this took.
        invalid: launches that were invalid, of all that were made.
        left: invalid launches among those that count.
    """

    made: int
    blocks: int
    repeated: int
    launches: int
    invalid: int
    left: int


def repetition(launches: Sequence[Launch]) -> Repetition:
    """Count what was measured again, and what stayed invalid."""
    again = [launch for launch in launches if launch.sample.cell.attempt > 1]
    return Repetition(
        made=len(launches),
        blocks=len(set(map(block_of, launches))),
        repeated=len(set(map(block_of, again))),
        launches=len(again),
        invalid=sum(not launch.valid for launch in launches),
        left=sum(not launch.valid for launch in counted(launches)),
    )


def by_block(launches: Iterable[Launch], workload: str, of: Metric) -> dict[str, dict[int, float]]:
    """Return each server's values by block, of the valid launches that count.

    A server of which some launch cannot say has none at all: those that can are not a fair selection.
    """
    values: dict[str, dict[int, float | None]] = {}
    for launch in counted(under(launches, workload)):
        if launch.valid:
            cell = launch.sample.cell
            values.setdefault(cell.server, {})[cell.block] = launch.value(of)
    known = {
        server: {block: value for block, value in of_server.items() if value is not None}
        for server, of_server in values.items()
    }
    return {
        server: known[server] for server, of_server in values.items() if len(known[server]) == len(of_server)
    }
