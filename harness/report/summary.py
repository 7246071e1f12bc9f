"""The summary of a run, for programs: what its tables and comparisons say, as a record."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import Comparison
from harness.analyse.tables import Row, Table
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import MetricSummary, ServerSummary, Summary, WorkloadSummary

DIGITS: Final = 6


def summary_of(analysis: Analysis) -> Summary:
    """Sum up a run."""
    manifest = analysis.results.manifest
    regimes = ((ONE_CORE, analysis.one_core), (ALL_CORES, analysis.all_cores))
    return Summary(
        schema=manifest.schema,
        complete=manifest.progress.complete,
        workloads=tuple(
            _workload(table, regime)
            for regime, found in regimes
            for table in found.tables.values()
            if table.rows
        ),
    )


def _workload(table: Table, regime: str) -> WorkloadSummary:
    return WorkloadSummary(
        workload=table.workload,
        regime=regime,
        half_widths={name: _half_width(found) for name, found in table.comparisons.items() if found},
        servers=tuple(ServerSummary(row.server, dict(_metrics(row))) for row in table.rows),
    )


def _metrics(row: Row) -> Iterator[tuple[str, MetricSummary]]:
    for name, found in row.estimates.items():
        if found is not None:
            yield (
                name,
                MetricSummary(
                    mean=_rounded(found.mean),
                    low=None if found.low is None else _rounded(found.low),
                    high=None if found.high is None else _rounded(found.high),
                    letters=row.letters.get(name, ""),
                    launches=found.launches,
                ),
            )


def _half_width(comparisons: Sequence[Comparison]) -> float:
    """Return that of the widest interval, as a share: intervals of ratios are symmetric by factors."""
    return _rounded(max(math.sqrt(each.ci_high / each.ci_low) for each in comparisons) - 1)


def _rounded(figure: float) -> float:
    return float(f"{figure:.{DIGITS}g}")
