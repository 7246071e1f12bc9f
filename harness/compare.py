"""Compare servers: ratios of their metrics, paired by block, with intervals and verdicts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from harness.analyse import Metric, by_block
from harness.inference import Direction, Finding, LogRatio, judged, paired
from harness.record import Sample

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


def compare_all(samples: Sequence[Sample], workload: str, of: Metric) -> list[Comparison]:
    """Compare all pairs of servers under one workload, in the order in which the samples name them.

    They are one family: Holm's adjustment is over all these pairs.
    """
    values = by_block(samples, workload, of)
    ratios = {(a, b): ratio for a, b in combinations(values, 2) if (ratio := log_ratio(values[a], values[b]))}
    return compared(ratios, workload, of)


def compared(ratios: Mapping[tuple[str, str], LogRatio], workload: str, of: Metric) -> list[Comparison]:
    """Judge ratios b/a of one metric as one family; the keys are the names of a and b."""
    findings = judged(list(ratios.values()))
    return [
        _comparison(workload, of, names, ratio, finding)
        for (names, ratio), finding in zip(ratios.items(), findings, strict=True)
    ]


def _comparison(
    workload: str, of: Metric, names: tuple[str, str], ratio: LogRatio, finding: Finding
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
    if len(both) < 2 or min(*a.values(), *b.values()) <= 0:
        return None
    return paired([a[block] for block in both], [b[block] for block in both])
