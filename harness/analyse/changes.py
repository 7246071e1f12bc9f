"""What differs between two runs, and whether a change is too large."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from harness.analyse.blocks import by_block, launches_of, of_regime, under
from harness.analyse.comparisons import COMPARED, HOLM, UNDECIDED, Comparison, compared
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import decide_each, unpaired
from harness.analyse.tables import failed
from harness.record import Manifest, Results


def compare_runs(
    a: Results, b: Results, names: tuple[str, str], metrics: Sequence[str] = COMPARED
) -> list[Comparison]:
    """Compare each server of one run with that of the same name in another, launches unpaired.

    They have no blocks in common, so that each ratio has an error of its own (Welch's t-test). The family is all servers of
    a regime that both runs have, under one workload and in one metric. What changed in the machine between the two runs
    is in the ratio, and not in its interval.

    Args:
        a: the earlier run.
        b: the later one.
        names: of the runs, to tell the servers apart by.
        metrics: to compare.
    """
    found = []
    regimes = dict.fromkeys(sample.placement.regime for sample in a.samples)
    runs = launches_of(a.samples, a.twins), launches_of(b.samples, b.twins)
    for workload, regime in product(a.manifest.design.workloads, regimes):
        for name in metrics:
            values_a, values_b = (by_block(of_regime(run, regime), workload, metric(name)) for run in runs)
            ratios = {
                (f"{names[0]}:{server}", f"{names[1]}:{server}"): ratio
                for server in values_a
                if server in values_b
                and min(*values_a[server].values(), *values_b[server].values()) > 0
                and (ratio := unpaired(list(values_a[server].values()), list(values_b[server].values())))
            }
            findings = decide_each(list(ratios.values()))
            found += [
                compared(pair, finding, workload, metric(name), HOLM, ratio.blocks)
                for (pair, ratio), finding in zip(ratios.items(), findings, strict=True)
            ]
    return found


class Broken(NamedTuple):
    """A server that answered under a workload in the one run, and does not answer all, or nothing, in the other."""

    workload: str
    server: str


def broken(a: Results, b: Results) -> tuple[Broken, ...]:
    """Return what was in order in a run and is not in a later one: no ratio tells of it, since it has no figures to compare.

    Args:
        a: the earlier run.
        b: the later one; a server or a workload that it was not to measure is not missed.
    """
    before, after = launches_of(a.samples, a.twins), launches_of(b.samples, b.twins)
    there = {facts.label for facts in b.manifest.servers}
    found = []
    for workload in a.manifest.design.workloads:
        if workload not in b.manifest.design.workloads:
            continue
        was, tried = under(before, workload), under(after, workload)
        answered = {launch.sample.cell.server for launch in was if launch.valid} - failed(was)
        unmeasured = {each.cell.server for each in b.unmeasured if each.cell.workload == workload}
        lost = failed(tried) | unmeasured
        found += [Broken(workload, server) for server in sorted(answered & there & lost)]
    return tuple(found)


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
        ("warm-up in s", a.design.warmup_s, b.design.warmup_s),
        ("window in s", a.design.duration_s, b.design.duration_s),
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
