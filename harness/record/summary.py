"""What a run comes to, in figures for programs to read: those of the report's tables, without its words."""

from harness.plan import Record


class MetricSummary(Record, frozen=True):
    """One metric of one server under one workload.

    Attributes:
        mean: over launches, as in the report's tables; the metric's name has the unit.
        low, high: its interval; None where there is none.
        letters: two servers that share one were not told apart; "" for a metric by which servers are not compared.
        launches: that it rests on.
    """

    mean: float
    low: float | None
    high: float | None
    letters: str
    launches: int


class ServerSummary(Record, frozen=True):
    """One server under one workload: its metrics by name, those that are not known left out."""

    server: str
    metrics: dict[str, MetricSummary]


class WorkloadSummary(Record, frozen=True):
    """The servers of one regime under one workload.

    Attributes:
        workload: its name.
        regime: "one core" or "all cores".
        half_widths: how precise the ratios of its servers are, by metric: 0.03 for ±3 %, that of the widest interval. Of the
            metrics by which servers are compared, where there were two servers to compare.
        servers: the one that answered the most first.
    """

    workload: str
    regime: str
    half_widths: dict[str, float]
    servers: tuple[ServerSummary, ...]


class Summary(Record, frozen=True):
    """What a run comes to; every figure is rounded to six digits.

    Attributes:
        schema: of the files of the run's folder.
        complete: every cell of the plan was measured.
        workloads: in the report's order, one core's before all cores'.
    """

    schema: int
    complete: bool
    workloads: tuple[WorkloadSummary, ...]
