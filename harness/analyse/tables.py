"""Tables of servers: every estimate under one workload, and who was told apart from whom. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analyse.blocks import Launch, counted, of_regime, under
from harness.analyse.comparisons import BETTER, COMPARED, WORSE, Comparison, compare_all
from harness.analyse.knee import SERVERS_FAULT
from harness.analyse.samples.metrics import METRICS, QUANTILES, Metric, metric
from harness.analyse.samples.quantiles import together
from harness.analyse.samples.validity import Severity, limited_by
from harness.analyse.statistics.inference import Estimate, arithmetic_estimate, estimate, letters
from harness.plan import ONE_CORE
from harness.record import Histogram, Sample


@dataclass(frozen=True)
class Row:
    """A server under a workload: all estimates by metric name, and what is to be known about them.

    A quantile that some launch cannot say is that of all launches together, without an interval.

    Attributes:
        launches: that count; `valid` of them can be used.
        invalid: a reason for each launch that cannot be used, those included that were measured again.
        disturbed: launches that can be used, but have been disturbed.
        values: of each launch, by metric name; none at all if some launch cannot say.
        few: the quantiles behind which little stands, by metric name: fewer than 100 events in all launches together.
        responses: of all launches together.
        limits: what limited the closed loop, in how many launches.
        response_max_ms: the largest response of all launches: a record, not a quantile.
        letters: of the groups that it belongs to, by metric name, for the compared ones.
        failed: some launch cannot be used by a fault of the server's own.
    """

    server: str
    launches: int
    valid: int
    invalid: tuple[str, ...]
    disturbed: int
    values: Mapping[str, tuple[float, ...]]
    estimates: Mapping[str, Estimate | None]
    few: frozenset[str]
    responses: Histogram
    limits: Mapping[str, int]
    response_max_ms: float
    letters: Mapping[str, str]
    failed: bool = False

    @property
    def generator_bound(self) -> bool:
        """Tell whether its throughput is but a lower bound, since the generator was what limited it."""
        return self.limits.get("generator", 0) > 0


@dataclass(frozen=True)
class Table:
    """All servers under one workload, and their comparisons by metric name."""

    workload: str
    rows: tuple[Row, ...]
    comparisons: Mapping[str, tuple[Comparison, ...]]

    def row(self, server: str) -> Row:
        """Return a server's row."""
        return next(row for row in self.rows if row.server == server)

    def sound(self, name: str) -> tuple[Comparison, ...]:
        """Return the comparisons in a metric of those who did not fail: the figures of others are those of their lucky launches."""
        failed_ones = {row.server for row in self.rows if row.failed}
        return tuple(each for each in self.comparisons.get(name, ()) if not {each.a, each.b} & failed_ones)


def tabulate(launches: Sequence[Launch], workload: str, regime: str = ONE_CORE) -> Table:
    """Work out all that is said of one workload and one regime: a table never holds two of these."""
    made: dict[str, list[Launch]] = {}
    of_all_workloads = of_regime(launches, regime)
    for launch in (of_workload := under(of_all_workloads, workload)):
        made.setdefault(launch.sample.cell.server, []).append(launch)
    mine = counted(of_workload)
    comparisons = {name: tuple(compare_all(of_all_workloads, workload, metric(name))) for name in COMPARED}
    rows = {
        server: _row(server, [launch for launch in mine if launch.sample.cell.server == server], made[server])
        for server in dict.fromkeys(launch.sample.cell.server for launch in mine)
    }
    ranked = {name: sorted(rows, key=lambda server: _rank(rows[server], metric(name))) for name in COMPARED}
    groups = {name: letters_of(ranked[name], comparisons[name]) for name in COMPARED}
    return Table(
        workload,
        tuple(
            replace(rows[server], letters={name: groups[name].get(server, "") for name in COMPARED})
            for server in sorted(rows, key=lambda server: _rank(rows[server], metric("throughput_rps")))
        ),
        comparisons,
    )


def letters_of(ranked: Sequence[str], comparisons: Iterable[Comparison]) -> dict[str, str]:
    """Give letters to the servers that were compared: two share one exactly if they were not told apart."""
    comparisons = tuple(comparisons)
    named = {name for comparison in comparisons for name in (comparison.a, comparison.b)}
    apart = [(each.a, each.b) for each in comparisons if each.verdict in {BETTER, WORSE}]
    return letters([server for server in ranked if server in named], apart)


def _row(server: str, launches: Sequence[Launch], made: Sequence[Launch]) -> Row:
    """Sum up the launches of a server that count; of all that were made, say why some cannot be used."""
    valid = [launch.sample for launch in launches if launch.valid]
    limits: dict[str, int] = {}
    for limit in map(limited_by, valid):
        limits[limit] = limits.get(limit, 0) + 1
    values = {each.name: values_of(valid, each) for each in METRICS}
    estimates = {each.name: estimated(values[each.name], each) for each in METRICS}
    responses = together(valid)
    pooled = {name: responses.quantile(q) for name, q in QUANTILES.items()}
    for name, found in pooled.items():
        if estimates[name] is None and found.ns is not None:
            estimates[name] = Estimate(found.ns / 1e3, None, None, len(valid))
    return Row(
        server=server,
        launches=len(launches),
        valid=len(valid),
        invalid=tuple(reason for launch in made for reason in launch.validity.invalidity),
        disturbed=sum(bool(launch.validity.doubts) for launch in launches if launch.valid),
        values=values,
        estimates=estimates,
        few=frozenset(name for name, found in pooled.items() if not found.enough),
        responses=responses.values,
        limits=limits,
        response_max_ms=max((sample.times.response.max_ns for sample in valid), default=0) / 1e6,
        letters={},
        failed=bool(failed(launches)),
    )


def failed(launches: Iterable[Launch]) -> set[str]:
    """Return the servers of which some launch that counts cannot be used by a fault of their own: the others are the lucky ones."""
    return {
        launch.sample.cell.server
        for launch in counted(launches)
        if any(found.reason in SERVERS_FAULT for found in launch.validity.of(Severity.INVALID))
    }


def _rank(row: Row, of: Metric) -> float:
    found = estimate(row.values[of.name])
    if found is None:
        return math.inf
    return -found.mean if of.higher_is_better else found.mean


def estimated(values: Sequence[float], of: Metric) -> Estimate | None:
    """Estimate a metric from its value in each launch; None if there is none."""
    return (arithmetic_estimate if of.additive else estimate)(values)


def values_of(samples: Iterable[Sample], of: Metric) -> tuple[float, ...]:
    """Return one value for each launch; none at all if some launch cannot say."""
    values = [of.value(sample) for sample in samples]
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else ()
