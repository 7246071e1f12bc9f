"""What a request costs on the core: no constant, since a busy server is woken up less often, and does more each time. Pure.

Who finds the core idle must wake it up: the kernel puts the server to sleep and rouses it, and its caches are cold. Who finds it busy
is served in passing, and shares a pass of the loop (or of the scheduler) with those who are there already. So a request costs
its own work, a wake-up as often as one finds the core idle, and its part of a pass; the more connections there are, the more work it
is; and who waits for a connection of the pool must be put to sleep, and roused by the one who gives it back. A request can cost six times as much in a quiet server as in a crowded one, and who takes the one for the other is wrong by as much.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from scipy import optimize

from harness.analyse.prediction.laws import Setting
from harness.analyse.prediction.mva import Flow


@dataclass(frozen=True)
class CoreLoad:
    """What the cost of a request depends on.

    Attributes:
        clients: connections that there are.
        wakeups: for each request: how often one finds the core idle.
        passes: for each request: one by those who share a pass.
        queued: whether clients wait for the pool, which has fewer connections than there are of them.
    """

    clients: int
    wakeups: float
    passes: float
    queued: bool = False

    @property
    def paid(self) -> tuple[float, float, float, float, float]:
        """Return how often each part of a cost is paid."""
        return 1.0, self.wakeups, self.passes, float(self.clients), float(self.queued)


def load_by(flow: Flow, setting: Setting) -> CoreLoad:
    """Return the load that a flow is for the core."""
    queued = setting.pool < setting.clients
    return CoreLoad(setting.clients, flow.found_idle, 1 / (1 + flow.found_there), queued)


@dataclass(frozen=True)
class CostCurve:
    """The parts of a request's time on the core.

    Attributes:
        work_us: that it costs anyway.
        wakeup_us: that a wake-up costs.
        pass_us: that a pass costs, whoever shares it.
        work_per_client_us: what each connection adds to the work.
        queueing_us: that it costs to wait for a connection of the pool.
    """

    work_us: float
    wakeup_us: float = 0.0
    pass_us: float = 0.0
    work_per_client_us: float = 0.0
    queueing_us: float = 0.0

    def at(self, load: CoreLoad) -> float:
        """Return what a request costs under a load, in µs."""
        parts: tuple[float, ...] = astuple(self)
        return sum(part * times for part, times in zip(parts, load.paid, strict=True))

    def on(self, machine: float) -> "CostCurve":
        """Return the same where everything takes so many times as long."""
        return CostCurve(*(machine * part for part in astuple(self)))


def fit(loads: Sequence[CoreLoad], costs_us: Sequence[float]) -> CostCurve:
    """Fit the parts by least squares of the relative errors.

    None of them is below zero (C. L. Lawson and R. J. Hanson, Solving least squares problems, 1974): so the cost falls as the load
    grows, and never rises, and what is not needed to explain the cells is left out.
    """
    shares = np.array([load.paid for load in loads]) / np.array(costs_us)[:, None]
    parts, _ = optimize.nnls(shares, np.ones(len(loads)))
    return CostCurve(*map(float, parts))


def constant(costs_us: Sequence[float]) -> CostCurve:
    """Return the cost that one would take who thinks that it does not depend on the load: the geometric mean."""
    return CostCurve(float(np.exp(np.mean(np.log(costs_us)))))
