"""From samples to what can be said: quantiles, intervals, ratios, verdicts. Pure: no process, socket or clock.

The unit of repetition is the launch of a fresh server, not the request (Georges et al. 2007, Kalibera & Jones 2013):
each launch gives one value for each metric. Logarithms of these are analysed, since effects on a server are factors.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, stdev
from typing import Final

from scipy import stats

from harness import quantiles, validity
from harness.record import Sample

CONFIDENCE: Final = 0.95
EQUIVALENCE: Final = 1.03
"""Two servers whose ratio certainly (90 % interval) lies within 1/1.03 and 1.03 are called equivalent."""
ALPHA: Final = 0.05

# What others look for here.
STEAL_LIMIT: Final = validity.STEAL_LIMIT
doubts = validity.doubts
invalidity = validity.invalidity
limited_by = validity.limited_by
merged = quantiles.merged
quantile_ns = quantiles.quantile_ns

BETTER: Final = "better"
WORSE: Final = "worse"
EQUIVALENT: Final = "equivalent"
UNDECIDED: Final = "undecided"


@dataclass(frozen=True)
class Metric:
    """One figure of a launch.

    Attributes:
        name: as in JSON.
        title: as in a table, with its unit.
        higher_is_better: its direction.
        value: works it out; None if this launch cannot say.
    """

    name: str
    title: str
    higher_is_better: bool
    value: Callable[[Sample], float | None]


def response_us(q: float) -> Callable[[Sample], float | None]:
    """Return a function that works out a quantile of the response time."""

    def value(sample: Sample) -> float | None:
        found = quantiles.response(sample, q).ns
        return None if found is None else found / 1e3

    return value


def throughput_rps(sample: Sample) -> float:
    """Requests answered in a second."""
    return sample.answered / sample.window_s


def cpu_us_per_request(sample: Sample) -> float | None:
    """CPU time of the server's process for one request, user and system, all threads."""
    return sample.server_cpu_ns / 1e3 / sample.answered if sample.answered and sample.server_cpu_ns else None


def switches_per_request(sample: Sample) -> float | None:
    """Context switches of the server for one request, voluntary and not."""
    if not sample.ok or not sample.threads:
        return None
    return (sample.switches_voluntary + sample.switches_involuntary) / sample.ok


def peak_mib(sample: Sample) -> float | None:
    """The most memory that the server ever held."""
    return sample.memory_peak_bytes / 2**20 if sample.memory_peak_bytes else None


def idle_kib_per_connection(sample: Sample) -> float | None:
    """What a connected, silent client costs in memory; a single page says nothing, so it takes a hundred clients."""
    if sample.clients < 100 or not sample.memory_ready_bytes:
        return None
    return (sample.memory_connected_bytes - sample.memory_ready_bytes) / sample.clients / 1024


QUANTILES: Final = {
    "response_p50_us": 0.5,
    "response_p90_us": 0.9,
    "response_p99_us": 0.99,
    "response_p999_us": 0.999,
}

METRICS: Final = (
    Metric("throughput_rps", "requests/s", higher_is_better=True, value=throughput_rps),
    Metric("cpu_us_per_request", "CPU µs per request", higher_is_better=False, value=cpu_us_per_request),
    Metric("response_p50_us", "p50 µs", higher_is_better=False, value=response_us(0.5)),
    Metric("response_p90_us", "p90 µs", higher_is_better=False, value=response_us(0.9)),
    Metric("response_p99_us", "p99 µs", higher_is_better=False, value=response_us(0.99)),
    Metric("response_p999_us", "p99.9 µs", higher_is_better=False, value=response_us(0.999)),
    Metric(
        "switches_per_request", "switches per request", higher_is_better=False, value=switches_per_request
    ),
    Metric("peak_mib", "peak memory MiB", higher_is_better=False, value=peak_mib),
    Metric(
        "idle_kib_per_connection",
        "KiB per idle connection",
        higher_is_better=False,
        value=idle_kib_per_connection,
    ),
)

COMPARED: Final = ("throughput_rps", "cpu_us_per_request")
"""The metrics for which servers are compared pair by pair."""


def metric(name: str) -> Metric:
    """Return a metric by its name."""
    return next(each for each in METRICS if each.name == name)


@dataclass(frozen=True)
class Estimate:
    """A geometric mean over launches, with its interval; no interval from fewer than two launches."""

    mean: float
    low: float | None
    high: float | None
    launches: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """Estimate a metric from one value for each launch: Student's t on the logarithms, 95 %.

    Values of zero have no logarithm: then it is the arithmetic mean, without an interval. None for no values.
    """
    if not values:
        return None
    if min(values) <= 0:
        return Estimate(fmean(values), None, None, len(values))
    logs = [math.log(value) for value in values]
    centre = fmean(logs)
    if len(logs) < 2:
        return Estimate(math.exp(centre), None, None, len(logs))
    half = _t(CONFIDENCE, len(logs) - 1) * stdev(logs) / math.sqrt(len(logs))
    return Estimate(math.exp(centre), math.exp(centre - half), math.exp(centre + half), len(logs))


@dataclass(frozen=True)
class Comparison:
    """Server b against server a: the ratio b/a of a metric, paired by block.

    Attributes:
        p: of the paired t-test; the verdict uses it after Holm's adjustment.
        verdict: of b: better, worse, equivalent or undecided.
    """

    workload: str
    metric: str
    a: str
    b: str
    ratio: float
    ci_low: float
    ci_high: float
    p: float
    blocks: int
    verdict: str


@dataclass(frozen=True)
class _Paired:
    a: str
    b: str
    mean: float
    error: float
    blocks: int

    @property
    def p(self) -> float:
        if self.error == 0:
            return 0.0 if self.mean else 1.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.blocks - 1))

    def interval(self, confidence: float) -> tuple[float, float]:
        half = _t(confidence, self.blocks - 1) * self.error
        return math.exp(self.mean - half), math.exp(self.mean + half)


def compare_all(samples: Sequence[Sample], workload: str, of: Metric) -> list[Comparison]:
    """Compare all pairs of servers under one workload, in the order in which the samples name them.

    The verdict, in this order: equivalent, if the 90 % interval of the ratio lies within 1/1.03 and 1.03; better or
    worse, if the paired t-test says so after Holm's adjustment over all pairs; else undecided.
    """
    values = by_block(samples, workload, of)
    pairs = [pair for a, b in combinations(values, 2) if (pair := _paired(a, b, values[a], values[b]))]
    adjusted = holm([pair.p for pair in pairs])
    return [_judged(pair, p, workload, of) for pair, p in zip(pairs, adjusted, strict=True)]


def by_block(samples: Iterable[Sample], workload: str, of: Metric) -> dict[str, dict[int, float]]:
    """Return each server's values by block, of the valid samples that have one."""
    values: dict[str, dict[int, float]] = {}
    for sample in samples:
        if sample.workload == workload and not invalidity(sample):
            value = of.value(sample)
            if value is not None:
                values.setdefault(sample.server, {})[sample.block] = value
    return values


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being many (Holm 1979): the i-th smallest of m times m - i, never decreasing, at most 1."""
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def groups(servers: Sequence[str], comparisons: Iterable[Comparison]) -> dict[str, str]:
    """Give letters to servers: two that share one were not told apart (compact letter display, Piepho 2004).

    Letters instead of ranks, since "not told apart" is not transitive.
    """
    columns = [set(servers)]
    for comparison in comparisons:
        if comparison.verdict in {BETTER, WORSE}:
            pair = {comparison.a, comparison.b}
            split = [column - {one} for column in columns if pair <= column for one in sorted(pair)]
            columns = [column for column in columns if not pair <= column]
            for column in split:
                if not any(column <= other for other in columns):
                    columns = [other for other in columns if not other <= column] + [column]
    columns.sort(key=lambda column: [servers.index(server) for server in servers if server in column])
    letters = dict.fromkeys(servers, "")
    for letter, column in zip("abcdefghijklmnopqrstuvwxyz", columns, strict=False):
        for server in column:
            letters[server] += letter
    return letters


@dataclass(frozen=True)
class Row:
    """A server under a workload: all estimates by metric name, and what is to be known about them.

    A quantile that no single launch has enough observations for is that of all launches together, without an interval.

    Attributes:
        limits: what limited the closed loop, in how many launches.
        response_max_ms: the largest response of all launches: a record, not a quantile.
        letters: of the groups that it belongs to, by metric name, for the compared ones.
    """

    server: str
    launches: int
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


def tabulate(samples: Sequence[Sample], workload: str) -> Table:
    """Work out all that is said of one workload."""
    mine = [sample for sample in samples if sample.workload == workload]
    comparisons = {name: tuple(compare_all(mine, workload, metric(name))) for name in COMPARED}
    servers = list(dict.fromkeys(sample.server for sample in mine))
    letters = {}
    for name in COMPARED:
        ranked = sorted(servers, key=lambda server: _rank(mine, server, metric(name)))
        letters[name] = groups(ranked, comparisons[name])
    rows = [
        _row(
            [sample for sample in mine if sample.server == server],
            {name: letters[name][server] for name in COMPARED},
        )
        for server in sorted(servers, key=lambda server: _rank(mine, server, metric("throughput_rps")))
    ]
    return Table(workload, tuple(rows), comparisons)


def _row(samples: Sequence[Sample], letters: Mapping[str, str]) -> Row:
    valid = [sample for sample in samples if not invalidity(sample)]
    limits: dict[str, int] = {}
    for sample in valid:
        limits[limited_by(sample)] = limits.get(limited_by(sample), 0) + 1
    estimates = {each.name: estimate(_values(valid, each)) for each in METRICS}
    together = merged(sample.response_ns for sample in valid)
    for name, q in QUANTILES.items():
        if estimates[name] is None and (pooled_ns := quantile_ns(together, q)) is not None:
            estimates[name] = Estimate(pooled_ns / 1e3, None, None, len(valid))
    return Row(
        server=samples[0].server,
        launches=len(samples),
        invalid=tuple(reason for sample in samples for reason in invalidity(sample)),
        disturbed=sum(bool(doubts(sample)) for sample in valid),
        estimates=estimates,
        limits=limits,
        response_max_ms=max((sample.response_max_ns for sample in valid), default=0) / 1e6,
        letters=letters,
    )


def _rank(samples: Iterable[Sample], server: str, of: Metric) -> float:
    valid = [sample for sample in samples if sample.server == server and not invalidity(sample)]
    found = estimate(_values(valid, of))
    if found is None:
        return math.inf
    return -found.mean if of.higher_is_better else found.mean


def _values(samples: Iterable[Sample], of: Metric) -> list[float]:
    """Return one value for each launch; none at all if some launch cannot say."""
    values = [of.value(sample) for sample in samples]
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []


def _paired(a: str, b: str, values_a: Mapping[int, float], values_b: Mapping[int, float]) -> _Paired | None:
    both = sorted(values_a.keys() & values_b.keys())
    if len(both) < 2 or min(*values_a.values(), *values_b.values()) <= 0:
        return None
    logs = [math.log(values_b[block] / values_a[block]) for block in both]
    return _Paired(a, b, fmean(logs), stdev(logs) / math.sqrt(len(logs)), len(logs))


def _judged(pair: _Paired, adjusted_p: float, workload: str, of: Metric) -> Comparison:
    low, high = pair.interval(CONFIDENCE)
    inner_low, inner_high = pair.interval(1 - 2 * ALPHA)
    if inner_low >= 1 / EQUIVALENCE and inner_high <= EQUIVALENCE:
        verdict = EQUIVALENT
    elif adjusted_p < ALPHA:
        verdict = BETTER if (pair.mean > 0) == of.higher_is_better else WORSE
    else:
        verdict = UNDECIDED
    return Comparison(
        workload, of.name, pair.a, pair.b, math.exp(pair.mean), low, high, pair.p, pair.blocks, verdict
    )


def _t(confidence: float, degrees: int) -> float:
    """Return the two-sided quantile of Student's t."""
    return float(stats.t.ppf((1 + confidence) / 2, degrees))
