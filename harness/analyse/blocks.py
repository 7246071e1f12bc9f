"""Blocks of launches: which of them count, and their values side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.analyse.samples.metrics import Metric
from harness.analyse.samples.validity import invalidity
from harness.record import Sample

Block = tuple[str, str, int]


def of_regime(samples: Iterable[Sample], regime: str) -> list[Sample]:
    """Return the samples of servers that may use so much of the machine."""
    return [sample for sample in samples if sample.placement.regime == regime]


def block_of(sample: Sample) -> Block:
    """Return what identifies the launches that are compared with each other, and measured again together."""
    return sample.placement.regime, sample.cell.workload, sample.cell.block


def counted(samples: Iterable[Sample]) -> list[Sample]:
    """Return the samples that count: of each block of a workload and regime those of one attempt, with its invalid ones.

    It is the attempt with the most valid samples, the first of equals. All servers' values of a block are of the same
    attempt, since they are compared with each other; what was measured has no say in the choice.
    """
    attempts: dict[Block, dict[int, list[Sample]]] = {}
    for sample in samples:
        attempts.setdefault(block_of(sample), {}).setdefault(sample.cell.attempt, []).append(sample)
    return [
        sample
        for of_block in attempts.values()
        for sample in max(of_block.values(), key=lambda launched: sum(not invalidity(s) for s in launched))
    ]


@dataclass(frozen=True)
class Repetition:
    """How often blocks were measured again.

    Attributes:
        blocks: how many there are, each workload's counted on its own.
        repeated: blocks that were measured again, because a launch was invalid.
        launches: that this took.
        invalid: launches that were invalid, of all that were made.
        left: invalid launches among those that count.
    """

    blocks: int
    repeated: int
    launches: int
    invalid: int
    left: int


def repetition(samples: Sequence[Sample]) -> Repetition:
    """Count what was measured again, and what stayed invalid."""
    again = [sample for sample in samples if sample.cell.attempt > 1]
    return Repetition(
        blocks=len(set(map(block_of, samples))),
        repeated=len(set(map(block_of, again))),
        launches=len(again),
        invalid=sum(bool(invalidity(sample)) for sample in samples),
        left=sum(bool(invalidity(sample)) for sample in counted(samples)),
    )


def by_block(samples: Iterable[Sample], workload: str, of: Metric) -> dict[str, dict[int, float]]:
    """Return each server's values by block, of the valid samples that count.

    A server of which some launch cannot say has none at all: those that can are not a fair selection.
    """
    values: dict[str, dict[int, float | None]] = {}
    for sample in counted(sample for sample in samples if sample.cell.workload == workload):
        if not invalidity(sample):
            values.setdefault(sample.cell.server, {})[sample.cell.block] = of.value(sample)
    known = {
        server: {block: value for block, value in of_server.items() if value is not None}
        for server, of_server in values.items()
    }
    return {
        server: known[server] for server, of_server in values.items() if len(known[server]) == len(of_server)
    }
