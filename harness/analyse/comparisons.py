"""Compare servers: ratios of their metrics, paired by block, with intervals and verdicts. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

from harness.analyse.blocks import Launch, by_block, launches_of, of_regime
from harness.analyse.samples.metrics import Metric, metric
from harness.analyse.statistics.inference import Direction, LogRatio, RatioTest, decide, paired
from harness.record import Results

BETTER: Final = "better"
WORSE: Final = "worse"
EQUIVALENT: Final = "equivalent"
UNDECIDED: Final = "undecided"

COMPARED: Final = ("throughput_rps", "cpu_us_per_request")
"""The metrics for which servers are compared pair by pair."""


@dataclass(frozen=True)
class Comparison:
    """Server b against server a: the ratio b/a of a metric.

    Attributes:
        ci_low, ci_high, confidence: the interval of the test that gave the verdict; see `inference.Finding`.
        p, adjusted_p: of the t-test, alone and after Holm's adjustment.
        bootstrap_low, bootstrap_high: what resampling blocks gives instead, as a check; None from fewer than 8.
        blocks: in which both were measured.
        verdict: of b: better, worse, equivalent or undecided.
    """

    workload: str
    metric: str
    a: str
    b: str
    ratio: float
    ci_low: float
    ci_high: float
    confidence: float
    p: float
    adjusted_p: float
    bootstrap_low: float | None
    bootstrap_high: float | None
    blocks: int
    verdict: str


def compare_all(launches: Sequence[Launch], workload: str, of: Metric) -> list[Comparison]:
    """Compare all pairs of servers under one workload, in the order in which the launches name them.

    The pairs of a regime are one family: Holm's adjustment is over all of them. Servers of different regimes are never
    compared.
    """
    return [each for family in families(launches, workload, of) for each in compared(family, workload, of)]


def families(
    launches: Sequence[Launch], workload: str, of: Metric
) -> Iterator[dict[tuple[str, str], LogRatio]]:
    """Yield the ratios b/a of each regime's pairs of servers; the keys are the names of a and b."""
    for regime in dict.fromkeys(launch.sample.placement.regime for launch in launches):
        values = by_block(of_regime(launches, regime), workload, of)
        pairs = combinations(values, 2)
        yield {(a, b): ratio for a, b in pairs if (ratio := log_ratio(values[a], values[b]))}


def compared(ratios: Mapping[tuple[str, str], LogRatio], workload: str, of: Metric) -> list[Comparison]:
    """Judge ratios b/a of one metric as one family; the keys are the names of a and b."""
    findings = decide(list(ratios.values()))
    return [
        _comparison(workload, of, names, ratio, finding)
        for (names, ratio), finding in zip(ratios.items(), findings, strict=True)
    ]


def _comparison(
    workload: str, of: Metric, names: tuple[str, str], ratio: LogRatio, finding: RatioTest
) -> Comparison:
    bootstrap_low, bootstrap_high = ratio.bootstrap(finding.confidence) or (None, None)
    return Comparison(
        workload=workload,
        metric=of.name,
        a=names[0],
        b=names[1],
        ratio=finding.ratio,
        ci_low=finding.low,
        ci_high=finding.high,
        confidence=finding.confidence,
        p=finding.p,
        adjusted_p=finding.adjusted_p,
        bootstrap_low=bootstrap_low,
        bootstrap_high=bootstrap_high,
        blocks=ratio.blocks,
        verdict=_verdict(finding.direction, of),
    )


def _verdict(direction: Direction, of: Metric) -> str:
    if direction in {Direction.ABOVE, Direction.BELOW}:
        return BETTER if (direction is Direction.ABOVE) == of.higher_is_better else WORSE
    return EQUIVALENT if direction is Direction.EQUIVALENT else UNDECIDED


def log_ratio(a: Mapping[int, float], b: Mapping[int, float]) -> LogRatio | None:
    """Pair two servers' values by block; None if there are too few, or one that has no logarithm."""
    both = sorted(a.keys() & b.keys())
    if len(both) < 2 or min((*a.values(), *b.values())) <= 0:
        return None
    return paired([a[block] for block in both], [b[block] for block in both])


def compare_servers(results: Results, a: str, b: str, metrics: Sequence[str] = COMPARED) -> list[Comparison]:
    """Compare two servers of a run, in the run's order of workloads.

    The family is that of the report, all pairs of the run: looking at one pair afterwards does not make it the only
    one that was looked at, and the verdict is the report's.
    """
    found, launches = [], launches_of(results.samples)
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
    low, high = comparison.bootstrap_low, comparison.bootstrap_high
    return replace(
        comparison,
        a=comparison.b,
        b=comparison.a,
        ratio=1 / comparison.ratio,
        ci_low=1 / comparison.ci_high,
        ci_high=1 / comparison.ci_low,
        bootstrap_low=None if high is None else 1 / high,
        bootstrap_high=None if low is None else 1 / low,
        verdict=opposite.get(comparison.verdict, comparison.verdict),
    )
