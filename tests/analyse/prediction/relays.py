"""Relays that are made up: what they cost is known, and what is measured of them is scattered as in a run."""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
from msgspec.structs import replace

from harness.analyse.prediction.cells import Range, RelayCell
from harness.analyse.prediction.cost import CostCurve
from harness.analyse.prediction.laws import Setting
from harness.analyse.prediction.relay import RelayModel, TailFactor, predict
from harness.plan import Load, Waiting
from harness.record import Sample
from harness.record.buckets import histogram

WITHOUT_POOL: Final = tuple(
    Setting(clients, wait_s, clients) for wait_s in (0.005, 0.02) for clients in (16, 64, 256, 600)
)
SETTINGS: Final = (*WITHOUT_POOL, Setting(256, 0.005, 10), Setting(64, 0.02, 10))
LATENCY_S: Final = 150e-6
FALLING: Final = CostCurve(work_us=45.0, wakeup_us=90.0, work_per_client_us=0.02)


def relay(cost: CostCurve = FALLING) -> RelayModel:
    """Return a relay that favours some where it is busy, so that its p99 is half as long again."""
    return RelayModel(
        cost, LATENCY_S, Range.of(SETTINGS), {"p50_us": TailFactor(), "p99_us": TailFactor(0.4, 0.0)}
    )


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


def sample_of(cell: RelayCell, make_relayed: Callable[..., Sample]) -> Sample:
    """Return a launch in which a cell was measured: three in a hundred responses took as long as its p99."""
    setting = cell.setting
    answered = int(cell.throughput_rps)
    slow = answered * 3 // 100
    times_ns = np.array([cell.p50_us * 1e3, cell.p99_us * 1e3], dtype=np.int64)
    sample: Sample = make_relayed(
        cell.server,
        cell.block,
        workload=f"relay_{setting.wait_s * 1e3:g}ms_{setting.clients}",
        rps=cell.throughput_rps,
        cpu_us=cell.cpu_us,
        load=Load(clients=setting.clients, upstream=Waiting(wait_s=setting.wait_s, pool=setting.pool)),
        response_ns=histogram(times_ns, np.array([answered - slow, slow])),
    )
    use = sample.upstream
    assert use is not None
    under_way_ns = min(use.under_way_ns, setting.at_once * 10**9)  # scatter lifts nobody above the ceiling
    return replace(sample, upstream=replace(use, under_way_ns=under_way_ns, integral_ns=under_way_ns))
