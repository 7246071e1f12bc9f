"""Tables of servers: every estimate under one workload, and who was told apart from whom. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.analyse.blocks import counted, of_regime
from harness.analyse.comparisons import BETTER, COMPARED, WORSE, Comparison, compare_all
from harness.analyse.samples.metrics import METRICS, QUANTILES, Metric, metric
from harness.analyse.samples.quantiles import quantile
from harness.analyse.samples.validity import doubts, invalidity, limited_by
from harness.analyse.statistics.inference import Estimate, arithmetic_estimate, estimate, letters
from harness.plan import ONE_CORE
from harness.record import Sample, merged


@dataclass(frozen=True)
class Row:
    """A server under a workload: all estimates by metric name, and what is to be known about them.

    A quantile that no single launch has enough observations for is that of all launches together, without an interval.

    Attributes:
        launches: that count; `valid` of them can be used.
        invalid: a reason for each launch that cannot be used, those included that were measured again.
        disturbed: launches that can be used, but have been disturbed.
        limits: what limited the closed loop, in how many launches.
        response_max_ms: the largest response of all launches: a record, not a quantile.
        letters: of the groups that it belongs to, by metric name, for the compared ones.
    """

    server: str
    launches: int
    valid: int
    invalid: tuple[str, ...]
    disturbed: int
    estimates: Mapping[str, Estimate | None]
    limits: Mapping[str, int]
    response_max_ms: float
    letters: Mapping[str, str]

    @property
    def generator_bound(self) -> bool:
        """Tell whether its throughput is but a lower bound, since the generator was what limited it."""
        return self.limits.get("generator", 0) > 0


@dataclass(frozen=True)
class Table:
    """All servers under one workload, the best throughput first, and their comparisons by metric name."""

    workload: str
    rows: tuple[Row, ...]
    comparisons: Mapping[str, tuple[Comparison, ...]]

    def row(self, server: str) -> Row:
        """Return a server's row."""
        return next(row for row in self.rows if row.server == server)


def tabulate(samples: Sequence[Sample], workload: str, regime: str = ONE_CORE) -> Table:
    """Work out all that is said of one workload and one regime: a table never holds two of these."""
    launched = [sample for sample in of_regime(samples, regime) if sample.cell.workload == workload]
    mine = counted(launched)
    comparisons = {name: tuple(compare_all(mine, workload, metric(name))) for name in COMPARED}
    servers = list(dict.fromkeys(sample.cell.server for sample in mine))
    groups = {}
    for name in COMPARED:
        ranked = sorted(servers, key=lambda server: _rank(mine, server, metric(name)))
        groups[name] = letters_of(ranked, comparisons[name])
    rows = [
        _row(
            [sample for sample in mine if sample.cell.server == server],
            [reason for sample in launched if sample.cell.server == server for reason in invalidity(sample)],
            {name: groups[name].get(server, "") for name in COMPARED},
        )
        for server in sorted(servers, key=lambda server: _rank(mine, server, metric("throughput_rps")))
    ]
    return Table(workload, tuple(rows), comparisons)


def letters_of(ranked: Sequence[str], comparisons: Iterable[Comparison]) -> dict[str, str]:
    """Give letters to the servers that were compared: two share one exactly if they were not told apart."""
    comparisons = tuple(comparisons)
    named = {name for comparison in comparisons for name in (comparison.a, comparison.b)}
    apart = [(each.a, each.b) for each in comparisons if each.verdict in {BETTER, WORSE}]
    return letters([server for server in ranked if server in named], apart)


def _row(samples: Sequence[Sample], invalid: Iterable[str], groups: Mapping[str, str]) -> Row:
    valid = [sample for sample in samples if not invalidity(sample)]
    limits: dict[str, int] = {}
    for sample in valid:
        limits[limited_by(sample)] = limits.get(limited_by(sample), 0) + 1
    estimates = {
        each.name: (arithmetic_estimate if each.additive else estimate)(_values(valid, each))
        for each in METRICS
    }
    together = merged(sample.times.response.histogram for sample in valid)
    repeats = merged(sample.times.response_repeats_ns for sample in valid)
    for name, q in QUANTILES.items():
        if estimates[name] is None and (pooled_ns := quantile(together, q, repeats=repeats).ns) is not None:
            estimates[name] = Estimate(pooled_ns / 1e3, None, None, len(valid))
    return Row(
        server=samples[0].cell.server,
        launches=len(samples),
        valid=len(valid),
        invalid=tuple(invalid),
        disturbed=sum(bool(doubts(sample)) for sample in valid),
        estimates=estimates,
        limits=limits,
        response_max_ms=max((sample.times.response.max_ns for sample in valid), default=0) / 1e6,
        letters=groups,
    )


def _rank(samples: Iterable[Sample], server: str, of: Metric) -> float:
    valid = [sample for sample in samples if sample.cell.server == server and not invalidity(sample)]
    found = estimate(_values(valid, of))
    if found is None:
        return math.inf
    return -found.mean if of.higher_is_better else found.mean


def _values(samples: Iterable[Sample], of: Metric) -> list[float]:
    """Return one value for each launch; none at all if some launch cannot say."""
    values = [of.value(sample) for sample in samples]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []
