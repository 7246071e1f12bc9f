"""From a few cells of a relay to its model. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from harness.analyse.prediction.cells import Range, RelayCell, averaged, by_place, machine_of
from harness.analyse.prediction.cost import CoreLoad, constant, fit, load_by
from harness.analyse.prediction.laws import Demand, response_s, utilisation
from harness.analyse.prediction.mva import solve
from harness.analyse.prediction.relay import QUANTILES, RelayModel, TailFactor, balance, quantiles_us

FEWEST_CELLS: Final = 4
"""Two waits for few clients, and two for many: the least from which work can be told from waking up."""
QUIET: Final = 0.5
"""Up to this utilisation little is spent in the core's queue, so that what is spent elsewhere shows."""


def fitted(launches: Sequence[RelayCell], factors: Mapping[int, float]) -> RelayModel | None:
    """Fit the model of one server; None if there are too few cells.

    Args:
        launches: in the settings that may be looked at.
        factors: how many times as long everything took in each block.
    """
    cells = [on_average(of_place, factors) for of_place in by_place(launches).values()]
    if len(cells) < FEWEST_CELLS:
        return None
    latency_s = latency_of(cells)
    cost = fit([load_of(cell, latency_s) for cell in cells], [cell.cpu_us for cell in cells])
    model = RelayModel(cost, latency_s, Range.of([cell.setting for cell in cells]), {})
    return replace(model, tails={name: tail_of(name, model, cells) for name in QUANTILES})


def careless(model: RelayModel, launches: Sequence[RelayCell]) -> RelayModel:
    """Return the same model, but for a cost that does not depend on the load."""
    return replace(model, cost=constant([cell.cpu_us for cell in launches]))


def on_average(launches: Sequence[RelayCell], factors: Mapping[int, float]) -> RelayCell:
    """Return the mean of one place's launches, its cost as it would be on the machine as it is on average."""
    mean = averaged(launches)
    return replace(mean, cpu_us=mean.cpu_us / machine_of(launches, factors))


def latency_of(cells: Sequence[RelayCell]) -> float:
    """Return what a request spends neither on the core, nor in its queue, nor at the upstream: what is left where it is quiet.

    In a queue for a core that is busy for a share U of the time, a request that needs D of it stays for D / (1 - U). A response is
    known to so many per cent: so what is left of a short one counts more. Pools are left out, for which some wait as well.
    """
    left_s, weights = [], []
    for cell in cells:
        core_s = cell.cpu_us / 1e6
        busy = utilisation(cell.throughput_rps, core_s)
        if busy < QUIET and cell.setting.clients <= cell.setting.pool:
            mean_s = response_s(cell.setting.clients, cell.throughput_rps)
            left_s.append(mean_s - cell.setting.wait_s - core_s / (1 - busy))
            weights.append(mean_s**-2)
    return max(0.0, float(np.average(left_s, weights=weights))) if left_s else 0.0


def load_of(cell: RelayCell, latency_s: float) -> CoreLoad:
    """Return the load under which a cell's cost was paid."""
    flow = solve(cell.setting, Demand(cell.cpu_us / 1e6, latency_s))
    return load_by(flow, cell.setting)


def tail_of(name: str, model: RelayModel, cells: Sequence[RelayCell]) -> TailFactor:
    """Fit a line to what is missing in a quantile's logarithm."""
    loads = [balance(model, cell.setting)[0] for cell in cells]
    missing = [
        math.log(getattr(cell, name) / quantiles_us(cell.setting, model.demand(load))[name])
        for cell, load in zip(cells, loads, strict=True)
    ]
    rows = np.array([(1 - load.wakeups, load.wakeups) for load in loads])
    busy, idle = np.linalg.lstsq(rows, np.array(missing))[0]
    return TailFactor(float(busy), float(idle))
