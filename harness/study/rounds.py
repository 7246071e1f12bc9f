"""Carry out rounds of launches, and those with an invalid launch again, as often as is allowed.

Whatever measures is given as a function, so that these rules can be tested without a server.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.analyse.samples.validity import invalidity
from harness.plan import MOST_ATTEMPTS, REPEATED_SHARE, Plan, Round
from harness.record import Sample

MeasureRound = Callable[[Round], Sequence[Sample]]


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
    measure_round: MeasureRound,
    allowance: Allowance,
    too_long: Callable[[Round], bool] = lambda _: False,
) -> list[Sample]:
    """Measure rounds one after the other.

    A round of launches by themselves is measured again if one of them is invalid; slices are left out by cycles instead.

    Args:
        plan: what the rounds are of; it decides on the order in which a round is measured again.
        rounds: what to measure.
        measure_round: measures one, and keeps what came of it.
        allowance: of the whole run; it is used up.
        too_long: asked before each round, and each repetition; True leaves it out, and shorter ones may come after it.

    Returns:
        All samples, invalid ones included.
    """
    rounds = tuple(rounds)
    to_come = sum(map(len, rounds))
    samples: list[Sample] = []
    for cells in rounds:
        to_come -= len(cells)
        if too_long(cells):
            continue
        launched = measure_round(cells)
        samples += launched
        allowance.planned += len(cells)
        for attempt in range(2, MOST_ATTEMPTS + 1):
            again = plan.again(cells, attempt)
            if (
                not again
                or not any(map(invalidity, launched))
                or not allowance.permits(len(cells), to_come)
                or too_long(again)
            ):
                break
            launched = measure_round(again)
            samples += launched
            allowance.again += len(again)
    return samples
