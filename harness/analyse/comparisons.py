"""Compare servers: ratios of their metrics by one model of all blocks, with intervals and verdicts. Pure."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final

from harness.analyse.blocks import Launch, by_block, launches_of, of_regime, under
from harness.analyse.samples.metrics import Metric, metric
from harness.analyse.statistics.inference import Direction, LogRatio, RatioTest, decide
from harness.analyse.statistics.two_way import Pair, Scatter, TwoWay, fit, scatters
from harness.record import Results

BETTER: Final = "better"
WORSE: Final = "worse"
EQUIVALENT: Final = "equivalent"
UNDECIDED: Final = "undecided"

COMPARED: Final = ("throughput_rps", "cpu_us_per_request")
"""The metrics for which servers are compared pair by pair."""


TUKEY: Final = "tukey"
HOLM: Final = "holm"


@dataclass(frozen=True)
class Comparison:
    """Server b against server a: the ratio b/a of a metric.

    Attributes:
        ci_low, ci_high: the interval that gave the verdict.
        adjustment: for being one of many: "tukey", by one model of all servers, whose intervals hold at once in 95 % of
            families; or "holm", of runs without common blocks, with an error for each, and Holm's share of the 5 %.
        blocks: in which both were measured; of two runs, the smaller number of launches.
        verdict: of b: better, worse, equivalent or undecided.
    """

    workload: str
    metric: str
    a: str
    b: str
    ratio: float
    ci_low: float
    ci_high: float
    adjustment: str
    blocks: int
    verdict: str


@dataclass(frozen=True)
class Family:
    """Pairs of the servers of one regime under one workload, in one metric, that are looked at together.

    Servers that are free on all cores scatter more than pinned ones, whose pairs would pay for it: so these are a family of
    their own, and the pairs of which one is free are another.

    Attributes:
        model: all their launches, fitted at once.
        scatters: of the servers that do not scatter as all do.
        free: the servers that are free on all cores: only their pairs belong to it. None for all pairs of the model.
    """

    model: TwoWay
    scatters: Mapping[str, Scatter]
    free: frozenset[str] | None = None

    @cached_property
    def ratios(self) -> dict[Pair, LogRatio]:
        """Return the ratio b/a of each pair; the keys are the names of a and b."""
        ratios = self.model.ratios(self.scatters)
        return {pair: each for pair, each in ratios.items() if self.free is None or self.free & {*pair}}

    def judged(self) -> dict[Pair, RatioTest]:
        """Judge all its pairs at once."""
        return dict(zip(self.ratios, decide(list(self.ratios.values())), strict=True))


def half_width_of(ratios: Iterable[LogRatio]) -> float:
    """Return the half-width of the widest interval, as a share; all hold at once with 95 %."""
    return max(math.expm1(ratio.half_width()) for ratio in ratios)


def compare_all(
    launches: Sequence[Launch], workload: str, of: Metric, among: Collection[str] | None = None
) -> list[Comparison]:
    """Compare all pairs of servers under one workload, in the order in which the launches name them.

    The pairs of a regime are a family, or two if some servers are free. Servers of different regimes are never compared.

    Args:
        launches: of the run, all of them: they tell how much each server scatters.
        workload: under which they are compared.
        of: what is compared.
        among: these servers alone, if not all.
    """
    return [
        compared(pair, finding, workload, of, TUKEY, ratio.blocks)
        for family in families(launches, workload, of, among)
        for (pair, finding), ratio in zip(family.judged().items(), family.ratios.values(), strict=True)
    ]


def families(
    launches: Sequence[Launch], workload: str, of: Metric, among: Collection[str] | None = None
) -> Iterator[Family]:
    """Yield the families of each regime: of the pinned servers, and of those that are free; the arguments are those of `compare_all`."""
    for regime in dict.fromkeys(launch.sample.placement.regime for launch in launches):
        mine = tuple(of_regime(launches, regime))
        values = {
            server: of_server
            for server, of_server in _positive(by_block(mine, workload, of)).items()
            if among is None or server in among
        }
        sliced = any(launch.sample.slices for launch in under(mine, workload))
        free = frozenset(launch.sample.cell.server for launch in mine if launch.sample.placement.free)
        pinned = {server: of_server for server, of_server in values.items() if server not in free}
        model = fit(pinned) if len(pinned) > 1 else None
        if model is not None:
            kept = tuple(launch for launch in mine if not launch.sample.placement.free)
            yield Family(model, scatters_of(kept, of, sliced=sliced))
        with_free = fit(values) if len(values) > 1 and len(values) > len(pinned) else None
        if with_free is not None:
            yield Family(with_free, scatters_of(mine, of, sliced=sliced), free)


@lru_cache(maxsize=256)
def scatters_of(launches: tuple[Launch, ...], of: Metric, *, sliced: bool) -> Mapping[str, Scatter]:
    """Return how much the servers of a regime scatter, over all workloads of a run that are measured in slices, or are not.

    A launch by itself scatters for other reasons than slices do: threads that ask an upstream are in one of two states.
    """
    alike = tuple(launch for launch in launches if bool(launch.sample.slices) == sliced)
    workloads = dict.fromkeys(launch.sample.cell.workload for launch in alike)
    models = (fit(_positive(by_block(alike, workload, of))) for workload in workloads)
    return scatters([model for model in models if model is not None])


def _positive(values: Mapping[str, Mapping[int, float]]) -> dict[str, Mapping[int, float]]:
    """Leave out servers with a value that has no logarithm."""
    return {server: of_server for server, of_server in values.items() if min(of_server.values()) > 0}


def compared(  # noqa: PLR0913 - who, of what, and what was found
    pair: Pair, finding: RatioTest, workload: str, of: Metric, adjustment: str, blocks: int
) -> Comparison:
    """Return a comparison, given what was found of a ratio."""
    a, b = pair
    verdict = verdict_of(finding.direction, of)
    return Comparison(
        workload, of.name, a, b, finding.ratio, finding.low, finding.high, adjustment, blocks, verdict
    )


def verdict_of(direction: Direction, of: Metric) -> str:
    """Say it of the second server: what is better, is the metric's to say."""
    if direction in {Direction.ABOVE, Direction.BELOW}:
        return BETTER if (direction is Direction.ABOVE) == of.higher_is_better else WORSE
    return EQUIVALENT if direction is Direction.EQUIVALENT else UNDECIDED


def compare_servers(results: Results, a: str, b: str, metrics: Sequence[str] = COMPARED) -> list[Comparison]:
    """Compare two servers of a run, in the run's order of workloads.

    The family is that of the report, all pairs of the run: looking at one pair afterwards does not make it the only
    one that was looked at, and the verdict is the report's.
    """
    found, launches = [], launches_of(results.samples, results.twins)
    for workload in results.manifest.design.workloads:
        for name in metrics:
            for each in compare_all(launches, workload, metric(name)):
                if (each.a, each.b) == (a, b):
                    found.append(each)
                elif (each.a, each.b) == (b, a):
                    found.append(inverse(each))
    return found


def inverse(comparison: Comparison) -> Comparison:
    """Return the comparison of a against b, given that of b against a."""
    opposite = {BETTER: WORSE, WORSE: BETTER}
    return replace(
        comparison,
        a=comparison.b,
        b=comparison.a,
        ratio=1 / comparison.ratio,
        ci_low=1 / comparison.ci_high,
        ci_high=1 / comparison.ci_low,
        verdict=opposite.get(comparison.verdict, comparison.verdict),
    )
