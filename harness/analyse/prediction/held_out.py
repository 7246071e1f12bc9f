"""Whether predictions come true: cells are drawn before anything is fitted, and looked at afterwards. Pure."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.prediction.cells import (
    METRICS,
    Place,
    RelayCell,
    by_place,
    machine_factors,
    machine_of,
)
from harness.analyse.prediction.fitting import careless, fitted
from harness.analyse.prediction.relay import RelayModel, predict
from harness.analyse.statistics.inference import CONFIDENCE, Estimate, estimate

TOLERANCE: Final = {"throughput_rps": 0.10, "cpu_us": 0.10, "p50_us": 0.10, "p99_us": 0.25}
"""A prediction that is not further from what was measured is right."""
GOAL: Final = 0.9
"""Of all predictions so many are to be right."""
SHARE: Final = 0.5
"""Of the cells that may be drawn so many are."""


@dataclass(frozen=True)
class Judged:
    """A prediction beside what was measured: the mean of a cell's launches, with its interval if there are two or more."""

    place: Place
    metric: str
    predicted: float
    measured: Estimate

    @property
    def miss(self) -> float:
        """Return by which share it is too high, or too low."""
        return self.predicted / self.measured.mean - 1

    @property
    def near(self) -> bool:
        """Tell whether it is near enough, however little the launches leave open."""
        return abs(self.miss) <= TOLERANCE[self.metric]

    @property
    def right(self) -> bool:
        """Tell whether it is near enough, or within what the launches leave open."""
        low, high = self.measured.low, self.measured.high
        possible = low is not None and high is not None and low <= self.predicted <= high
        return possible or self.near


@dataclass(frozen=True)
class PredictionTest:
    """The models of a run's relays, and how they stood the test.

    Attributes:
        models: by server, fitted to the cells that were not drawn.
        judged: one for each metric of each cell that was drawn.
        careless: the same of models whose cost does not depend on the load.
        unfitted: servers of which there are too few cells.
    """

    models: Mapping[str, RelayModel]
    judged: tuple[Judged, ...]
    careless: tuple[Judged, ...]
    unfitted: tuple[str, ...]

    def margin(self, metric: str) -> float | None:
        """Return by which factor the truth may be off a prediction: 19 of 20 are not further off, if the next is like those before.

        That is the rank that split conformal prediction takes (V. Vovk, A. Gammerman and G. Shafer, Algorithmic learning in a random
        world, 2005): it asks of the errors nothing but that they come in any order. None if there are too few of them.
        """
        misses = sorted(abs(math.log1p(each.miss)) for each in self.judged if each.metric == metric)
        rank = math.ceil((len(misses) + 1) * CONFIDENCE)
        return math.exp(misses[rank - 1]) if 0 < rank <= len(misses) else None

    def between(self, metric: str, predicted: float) -> tuple[float | None, float | None]:
        """Return between which values the truth is expected by that."""
        margin = self.margin(metric)
        return (None, None) if margin is None else (predicted / margin, predicted * margin)


def right_of(judged: Sequence[Judged]) -> int:
    """Count those that are right."""
    return sum(each.right for each in judged)


def near_of(judged: Sequence[Judged]) -> int:
    """Count those that are near."""
    return sum(each.near for each in judged)


def held_out_test(cells: Sequence[RelayCell], seed: int) -> PredictionTest | None:
    """Draw, fit, predict and judge; None if there is nothing to fit to."""
    drawn = draw(list(by_place(cells)), seed)
    calibration = [cell for cell in cells if (cell.server, cell.setting) not in drawn]
    factors = machine_factors(calibration)
    models: dict[str, RelayModel] = {}
    naive: dict[str, RelayModel] = {}
    servers = dict.fromkeys(cell.server for cell in cells)
    for server in servers:
        of_server = [cell for cell in calibration if cell.server == server]
        model = fitted(of_server, factors)
        if model is not None:
            models[server], naive[server] = model, careless(model, of_server)
    if not models:
        return None
    held_out = [cell for cell in cells if (cell.server, cell.setting) in drawn and cell.server in models]
    return PredictionTest(
        models,
        judge(models, held_out, factors),
        judge(naive, held_out, factors),
        tuple(server for server in servers if server not in models),
    )


def draw(places: Sequence[Place], seed: int) -> frozenset[Place]:
    """Draw cells that are not to be looked at: of each server half of those that are neither of the fewest nor of the most clients."""
    drawn: set[Place] = set()
    for server in dict.fromkeys(server for server, _ in places):
        settings = sorted(setting for name, setting in places if name == server)
        between = [each for each in settings if settings[0].clients < each.clients < settings[-1].clients]
        chance = random.Random(f"{seed} {server}")  # noqa: S311 - no secret
        drawn |= {(server, each) for each in chance.sample(between, math.ceil(SHARE * len(between)))}
    return frozenset(drawn)


def judge(
    models: Mapping[str, RelayModel], held_out: Sequence[RelayCell], factors: Mapping[int, float]
) -> tuple[Judged, ...]:
    """Hold predictions against cells, on the machine as it was in the blocks of these."""
    found = []
    for (server, setting), launches in by_place(held_out).items():
        model = models[server].on(machine_of(launches, factors))
        prediction = predict(model, setting)
        for metric in METRICS:
            measured = estimate([getattr(launch, metric) for launch in launches])
            if measured is not None:
                found.append(Judged((server, setting), metric, getattr(prediction, metric), measured))
    return tuple(found)
