"""The model of one relay, and what it predicts. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from scipy import optimize

from harness.analyse.prediction.cells import Range
from harness.analyse.prediction.cost import CoreLoad, CostCurve, load_by
from harness.analyse.prediction.laws import Demand, Limit, Setting, bounds, knee_clients
from harness.analyse.prediction.mva import Flow, solve
from harness.analyse.prediction.queue import responses

QUANTILES: Final = {"p50_us": 0.5, "p99_us": 0.99}
MARGIN: Final = 1e-6
"""What is looked for lies between two bounds, which may be equal."""
STEPS_TO_THE_KNEE: Final = 20
"""What a request costs at the knee depends a little on where that is: so often is the one put into the other."""


@dataclass(frozen=True)
class TailFactor:
    """How much longer a quantile is than if all were served in order: the logarithm, where the core is busy, and where it is idle.

    Who favours some, or stops now and then, has a longer tail. No law says by how much; cells do.
    """

    busy: float = 0.0
    idle: float = 0.0

    def at(self, load: CoreLoad) -> float:
        """Return how many times as long it is."""
        return float(np.exp(self.busy + (self.idle - self.busy) * load.wakeups))


@dataclass(frozen=True)
class RelayModel:
    """What is known of one server.

    Attributes:
        cost: of a request, on its core.
        latency_s: what a request spends elsewhere, the upstream's wait apart.
        seen: what was measured, from the least to the most.
        tails: of each quantile.
    """

    cost: CostCurve
    latency_s: float
    seen: Range
    tails: Mapping[str, TailFactor]

    def on(self, machine: float) -> "RelayModel":
        """Return the same where everything takes so many times as long."""
        return replace(self, cost=self.cost.on(machine), latency_s=self.latency_s * machine)

    def demand(self, load: CoreLoad) -> Demand:
        """Return what a request needs under a load."""
        return Demand(self.cost.at(load) / 1e6, self.latency_s)


@dataclass(frozen=True)
class KneePoint:
    """More clients than that queue, for the core or for the pool, and bring hardly more than so much throughput."""

    clients: float
    throughput_rps: float


@dataclass(frozen=True)
class Prediction:
    """What a relay is expected to do."""

    setting: Setting
    throughput_rps: float
    cpu_us: float
    p50_us: float
    p99_us: float
    knee: KneePoint | None
    limited_by: Limit


def predict(model: RelayModel, setting: Setting) -> Prediction:
    """Predict what a relay does in a setting, as if it lay within what was measured."""
    load, flow = balance(model, setting)
    demand = model.demand(load)
    played = quantiles_us(setting, demand)
    return Prediction(
        setting,
        flow.throughput_rps,
        demand.core_s * 1e6,
        **{name: played[name] * tail.at(load) for name, tail in model.tails.items()},
        knee=knee(model, setting),
        limited_by=bounds(setting, demand).limited_by,
    )


def balance(model: RelayModel, setting: Setting) -> tuple[CoreLoad, Flow]:
    """Find the load at which a request costs just what brings that load about.

    The dearer a request, the busier the core; the busier the core, the cheaper a request. So there is one such load.
    """

    def flow_if(cost_us: float) -> Flow:
        return solve(setting, Demand(cost_us / 1e6, model.latency_s))

    def too_dear_us(cost_us: float) -> float:
        return cost_us - model.cost.at(load_by(flow_if(cost_us), setting))

    queued = setting.pool < setting.clients
    least_us, most_us = (
        model.cost.at(CoreLoad(setting.clients, share, share, queued)) for share in (0.0, 1.0)
    )
    cost_us = optimize.brentq(too_dear_us, least_us * (1 - MARGIN), most_us * (1 + MARGIN), rtol=1e-6)
    flow = flow_if(cost_us)
    return load_by(flow, setting), flow


@cache
def quantiles_us(setting: Setting, demand: Demand) -> Mapping[str, float]:
    """Return the quantiles of a relay that serves all in order."""
    responses_s = [done.response_s for done in responses(setting, demand)]
    return {name: float(np.quantile(responses_s, q)) * 1e6 for name, q in QUANTILES.items()}


def knee(model: RelayModel, setting: Setting) -> KneePoint | None:
    """Find the knee of a relay that has this wait, and this pool if it is smaller than its clients are many.

    None if no cell had so busy a core that work could be told from wake-ups.
    """
    if not model.cost.work_us:
        return None
    clients = float(setting.clients)
    for _ in range(STEPS_TO_THE_KNEE):
        demand = model.demand(CoreLoad(round(clients), 0.0, 0.0))
        clients = knee_clients(demand.core_s, setting.wait_s + demand.latency_s)
    most = bounds(setting, demand).by_limit
    if setting.pool < setting.clients and most[Limit.POOL] < most[Limit.CORE]:
        return KneePoint(most[Limit.POOL] * demand.alone_s(setting.wait_s), most[Limit.POOL])
    return KneePoint(clients, most[Limit.CORE])
