"""Compare servers: ratios of their metrics, paired by block, with intervals and verdicts. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Final

from harness.analyse.samples.metrics import Metric, by_block, metric, of_regime
from harness.analyse.statistics.inference import Direction, Finding, LogRatio, judged, paired, unpaired
from harness.record.files import Manifest, Results, Sample

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

    The pairs of a regime are one family: Holm's adjustment is over all of them. Servers of different regimes are never
    compared.
    """
    return [each for family in families(samples, workload, of) for each in compared(family, workload, of)]


def families(
    samples: Sequence[Sample], workload: str, of: Metric
) -> Iterator[dict[tuple[str, str], LogRatio]]:
    """Yield the ratios b/a of each regime's pairs of servers; the keys are the names of a and b."""
    for regime in dict.fromkeys(sample.regime for sample in samples):
        values = by_block(of_regime(samples, regime), workload, of)
        pairs = combinations(values, 2)
        yield {(a, b): ratio for a, b in pairs if (ratio := log_ratio(values[a], values[b]))}


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
    if len(both) < 2 or min((*a.values(), *b.values())) <= 0:
        return None
    return paired([a[block] for block in both], [b[block] for block in both])


def compare_servers(results: Results, a: str, b: str, metrics: Sequence[str] = COMPARED) -> list[Comparison]:
    """Compare two servers of a run, in the run's order of workloads.

    The family is that of the report, all pairs of the run: looking at one pair afterwards does not make it the only
    one that was looked at, and the verdict is the report's.
    """
    found = []
    for workload in results.manifest.workloads:
        for name in metrics:
            for each in compare_all(results.samples, workload, metric(name)):
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


def compare_runs(
    a: Results, b: Results, names: tuple[str, str], metrics: Sequence[str] = COMPARED
) -> list[Comparison]:
    """Compare each server of one run with that of the same name in another, launches unpaired.

    The family is all servers of a regime that both runs have, under one workload and in one metric. What changed in the machine
    between the two runs is in the ratio, and not in its interval.

    Args:
        a: the earlier run.
        b: the later one.
        names: of the runs, to tell the servers apart by.
        metrics: to compare.
    """
    found = []
    regimes = dict.fromkeys(sample.regime for sample in a.samples)
    for workload, regime in product(a.manifest.workloads, regimes):
        for name in metrics:
            values_a, values_b = (
                by_block(of_regime(run.samples, regime), workload, metric(name)) for run in (a, b)
            )
            ratios = {
                (f"{names[0]}:{server}", f"{names[1]}:{server}"): ratio
                for server in values_a
                if server in values_b
                and min(*values_a[server].values(), *values_b[server].values()) > 0
                and (ratio := unpaired(list(values_a[server].values()), list(values_b[server].values())))
            }
            found += compared(ratios, workload, metric(name))
    return found


@dataclass(frozen=True)
class Differences:
    """In what two runs differ besides their figures, in words.

    Attributes:
        conditions: the machine, and how it was measured: figures do not compare across these.
        versions: of the software: possibly what is to be compared.
    """

    conditions: tuple[str, ...]
    versions: tuple[str, ...]


def differences(a: Manifest, b: Manifest) -> Differences:
    """Say in what two runs differ that may explain why their figures do."""
    conditions = [
        ("processor", a.environment.cpu, b.environment.cpu),
        ("cores", a.environment.cores, b.environment.cores),
        (
            "memory in GiB",
            round(a.environment.memory_bytes / 2**30),
            round(b.environment.memory_bytes / 2**30),
        ),
        ("kernel", a.environment.kernel, b.environment.kernel),
        ("cores for each side", bool(a.environment.server_cores), bool(b.environment.server_cores)),
        ("warm-up in s", a.warmup_s, b.warmup_s),
        ("window in s", a.duration_s, b.duration_s),
    ]
    libraries = sorted(a.environment.libraries.keys() | b.environment.libraries.keys())
    versions = [
        ("revision", a.revision, b.revision),
        ("Python", a.environment.python, b.environment.python),
        *((name, a.environment.libraries.get(name), b.environment.libraries.get(name)) for name in libraries),
    ]

    def told(pairs: Sequence[tuple[str, object, object]]) -> tuple[str, ...]:
        return tuple(f"{what}: {in_a} and {in_b}" for what, in_a, in_b in pairs if in_a != in_b)

    return Differences(told(conditions), told(versions))


@dataclass(frozen=True)
class Threshold:
    """A change of b against a that is not to be: `cpu_us_per_request > +5%`.

    Attributes:
        metric: of what.
        above: whether the change must not be above the limit, or not below it.
        change: the limit, as a share: 0.05 for +5 %.
        text: as it was given.
    """

    metric: str
    above: bool
    change: float
    text: str

    def exceeded_by(self, comparison: Comparison) -> bool:
        """Tell whether a change certainly goes beyond: its whole interval does, and it is not undecided."""
        if comparison.metric != self.metric or comparison.verdict == UNDECIDED:
            return False
        limit = 1 + self.change
        return comparison.ci_low > limit if self.above else comparison.ci_high < limit


def threshold(text: str, metrics: Sequence[str]) -> Threshold:
    """Read a threshold; ValueError says what it should be."""
    given = re.fullmatch(r"\s*(\w+)\s*([<>])\s*([+-]?\d+(?:\.\d+)?)\s*%\s*", text)
    if not given or given[1] not in metrics or float(given[3]) <= -100:
        raise ValueError(
            f"a threshold is like 'cpu_us_per_request > +5%', not {text!r}; metrics: {', '.join(metrics)}"
        )
    return Threshold(given[1], given[2] == ">", float(given[3]) / 100, text.strip())
