"""Carry out rounds of launches, and those with an invalid launch again, as often as is allowed.

Whatever measures is given as a function, so that these rules can be tested without a server.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.analyse.samples.validity import invalidity
from harness.plan import MOST_ATTEMPTS, REPEATED_SHARE, Cell, Plan, Round
from harness.record import Sample

MeasureCell = Callable[[Cell], Sample]


@dataclass
class Allowance:
    """How many launches have been made as planned, and again; the latter are bounded by the former."""

    planned: int = 0
    again: int = 0

    def permits(self, launches: int, still_planned: int) -> bool:
        """Tell whether so many more launches may be made again, of a run of which so many are still to come."""
        return self.again + launches <= REPEATED_SHARE * (self.planned + still_planned)


def run_rounds(
    plan: Plan,
    rounds: Iterable[Round],
    measure_cell: MeasureCell,
    allowance: Allowance,
    enough: Callable[[], bool] = lambda: False,
) -> list[Sample]:
    """Measure rounds one after the other.

    Args:
        plan: what the rounds are of; it decides on the order in which a round is measured again.
        rounds: what to measure.
        measure_cell: makes a launch, and keeps what came of it.
        allowance: of the whole run; it is used up.
        enough: asked before each round, and each repetition; True ends the work.

    Returns:
        All samples, invalid ones included.
    """
    rounds = tuple(rounds)
    to_come = sum(map(len, rounds))
    samples: list[Sample] = []
    for cells in rounds:
        if enough():
            break
        launched = [measure_cell(cell) for cell in cells]
        samples += launched
        to_come -= len(cells)
        allowance.planned += len(cells)
        for attempt in range(2, MOST_ATTEMPTS + 1):
            if not any(map(invalidity, launched)) or not allowance.permits(len(cells), to_come) or enough():
                break
            again = plan.again(cells, attempt)
            launched = [measure_cell(cell) for cell in again]
            samples += launched
            allowance.again += len(again)
    return samples
