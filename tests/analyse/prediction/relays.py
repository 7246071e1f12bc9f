"""Relays that are made up: what they cost is known, and what is measured of them is scattered as in a run."""

import random
from collections.abc import Iterable, Iterator
from typing import Final

from harness.analyse.prediction.cells import Range, RelayCell
from harness.analyse.prediction.cost import CostCurve
from harness.analyse.prediction.laws import Setting
from harness.analyse.prediction.relay import ServerModel, Tail, predict

WITHOUT_POOL: Final = tuple(
    Setting(clients, wait_s, clients) for wait_s in (0.005, 0.02) for clients in (16, 64, 256, 600)
)
SETTINGS: Final = (*WITHOUT_POOL, Setting(256, 0.005, 10), Setting(64, 0.02, 10))
LATENCY_S: Final = 150e-6
FALLING: Final = CostCurve(work_us=45.0, wakeup_us=90.0, work_per_client_us=0.02)


def relay(cost: CostCurve = FALLING) -> ServerModel:
    """Return a relay that favours some where it is busy, so that its p99 is half as long again."""
    return ServerModel(cost, LATENCY_S, Range.of(SETTINGS), {"p50_us": Tail(), "p99_us": Tail(0.4, 0.0)})


def measured(
    server: str,
    cost: CostCurve = FALLING,
    settings: Iterable[Setting] = SETTINGS,
    machines: Iterable[float] = (1.0, 1.0, 1.0),
    scatter: float = 0.02,
    seed: int = 1,
) -> Iterator[RelayCell]:
    """Yield a launch in each setting and block; in each block everything takes so many times as long."""
    drawn = random.Random(f"{server} {seed}")  # noqa: S311 - no secret
    settings = tuple(settings)
    for block, machine in enumerate(machines):
        for setting in settings:
            true = predict(relay(cost).on(machine), setting)
            figures = true.throughput_rps, true.cpu_us, true.p50_us, true.p99_us
            yield RelayCell(
                server, block, setting, *(each * drawn.lognormvariate(0, scatter) for each in figures)
            )
