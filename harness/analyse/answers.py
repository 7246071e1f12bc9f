"""What a run says to whoever asks: so many clients, so long a wait, so much to compute, placed so. Pure.

Every question that can be put to the page is answered here, once: it looks answers up, and works nothing out. Where nothing was
measured just so, the answer is what was measured next to it, on each side; and what the laws of queueing predict, if they can.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from harness.analyse.points import LITTLE, PINNED, PLACEMENTS, WORKS, MeasuredPoint, Spot
from harness.analyse.prediction.held_out import PredictionTest
from harness.analyse.prediction.laws import Limit, Setting, bounds
from harness.analyse.prediction.relay import RelayModel, balance

CLIENTS: Final = (1, 8, 16, 32, 64, 128, 250, 500, 750, 1000)
WAITS_S: Final = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
POOLS: Final = (None, 100, 10)
NEAR: Final = 1.05
"""What is no further off than by this factor counts as measured where it was asked for."""


@dataclass(frozen=True)
class Expected:
    """What the laws of queueing predict of a server, and between what it lies in 19 of 20 cases, None if nobody knows.

    Attributes:
        limited_by: what keeps it from answering more.
    """

    server: str
    throughput_rps: float
    low: float | None
    high: float | None
    cpu_us: float
    cpu_low_us: float | None
    cpu_high_us: float | None
    limited_by: Limit


@dataclass(frozen=True)
class SpotAnswer:
    """What is known of what was asked.

    Attributes:
        measured: the points that come nearest; none if no such thing was measured.
        exact: it was measured just so.
        expected: the server that is to answer the most first; none if it was measured, or cannot be predicted.
    """

    measured: tuple[MeasuredPoint, ...]
    exact: bool
    expected: tuple[Expected, ...]

    @property
    def may_lead(self) -> tuple[str, ...]:
        """Return the first of those expected, and all whose range reaches into its own."""
        if not self.expected:
            return ()
        least = self.expected[0].low
        return tuple(
            each.server for each in self.expected if least is None or each.high is None or each.high >= least
        )


def questions() -> Iterator[Spot]:
    """Yield all that can be asked."""
    for work, placement, wait_s, pool, clients in product(WORKS, PLACEMENTS, WAITS_S, POOLS, CLIENTS):
        asked = Spot(clients, wait_s, pool, work, placement)
        if asked == meant(asked):
            yield asked


def meant(asked: Spot) -> Spot:
    """Return what a question comes to: a pool is none where nobody waits, or for fewer clients than it has connections."""
    limits = asked.wait_s and asked.pool is not None and asked.pool < asked.clients
    return asked if limits else asked._replace(pool=None)


def answers(points: Sequence[MeasuredPoint], predictions: PredictionTest | None) -> dict[Spot, SpotAnswer]:
    """SpotAnswer all questions."""
    return {asked: answer(asked, points, predictions) for asked in questions()}


def answer(asked: Spot, points: Sequence[MeasuredPoint], predictions: PredictionTest | None) -> SpotAnswer:
    """SpotAnswer one question."""
    there = [point for point in points if is_near(point.spot, asked)]
    if there:
        return SpotAnswer(tuple(there), exact=True, expected=())
    return SpotAnswer(nearest(asked, points), exact=False, expected=_expected(asked, predictions))


def is_near(spot: Spot, asked: Spot) -> bool:
    """Tell whether something was measured where it is asked for, or so near that nobody would mind."""
    return spot[1:] == asked[1:] and max(spot.clients, asked.clients) <= NEAR * min(
        spot.clients, asked.clients
    )


def nearest(asked: Spot, points: Sequence[MeasuredPoint]) -> tuple[MeasuredPoint, ...]:
    """Return the points around what is asked: with the next shorter wait and the next longer, fewer clients and more.

    Handlers that wait tell nothing of such as do not. Another pool stands in for the one that is asked for, if that was not measured.
    """
    alike = [
        point
        for point in points
        if (point.spot.work, point.spot.placement, bool(point.spot.wait_s))
        == (asked.work, asked.placement, bool(asked.wait_s))
    ]
    alike = [point for point in alike if point.spot.pool == asked.pool] or alike
    around = []
    for wait_s in _around(asked.wait_s, [point.spot.wait_s for point in alike]):
        waiting = [point for point in alike if point.spot.wait_s == wait_s]
        clients = _around(asked.clients, [point.spot.clients for point in waiting])
        around += [point for point in waiting if point.spot.clients in clients]
    return tuple(sorted(around, key=_distance_from(asked)))


def _around(asked: float, known: Sequence[float]) -> set[float]:
    """Return what is known where it is asked for, or so near that nobody would mind; else the next below, and the next above."""
    near = [each for each in known if max(each, asked) <= NEAR * min(each, asked)]
    if near:
        return {min(near, key=lambda each: abs(each - asked))}
    below = [each for each in known if each < asked]
    above = [each for each in known if each > asked]
    return {*([max(below)] if below else []), *([min(above)] if above else [])}


def _distance_from(asked: Spot) -> Callable[[MeasuredPoint], float]:
    """Return a function that says how far a point is off, in doublings."""

    def distance(point: MeasuredPoint) -> float:
        apart = abs(math.log2(point.spot.clients / asked.clients))
        if point.spot.wait_s and asked.wait_s:
            apart += abs(math.log2(point.spot.wait_s / asked.wait_s))
        return apart

    return distance


def _expected(asked: Spot, predictions: PredictionTest | None) -> tuple[Expected, ...]:
    """Predict what each server answers, of those of which what is asked lies within what was measured."""
    if predictions is None or not asked.wait_s or (asked.work, asked.placement) != (LITTLE, PINNED):
        return ()
    setting = Setting(asked.clients, asked.wait_s, min(asked.clients, asked.pool or asked.clients))
    found = (
        _of_model(server, model, setting, predictions)
        for server, model in predictions.models.items()
        if not model.seen.beyond(setting)
    )
    return tuple(sorted(found, key=lambda each: -each.throughput_rps))


def _of_model(server: str, model: RelayModel, setting: Setting, judged: PredictionTest) -> Expected:
    load, flow = balance(model, setting)
    demand = model.demand(load)
    rps, cpu_us = flow.throughput_rps, demand.core_s * 1e6
    low, high = judged.between("throughput_rps", rps)
    most = high and min(high, setting.ceiling_rps)
    return Expected(
        server,
        rps,
        low,
        most,
        cpu_us,
        *judged.between("cpu_us", cpu_us),
        bounds(setting, demand).limited_by,
    )
