"""A run's figures in forms that other programs read: CSV, and percentiles as HdrHistogram's tools plot them. Pure."""

import csv
import io
from collections.abc import Iterator
from typing import Final

from harness.record import Histogram, Summary, bucket_bounds

COLUMNS: Final = ("workload", "regime", "server", "metric", "mean", "low", "high", "letters", "launches")
NS_PER_MS: Final = 1e6


def as_csv(summary: Summary) -> str:
    """Return a line for each metric of each server under each workload; what has no interval leaves its ends empty."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    for of in summary.workloads:
        for server in of.servers:
            for name, found in server.metrics.items():
                ends = (found.low, found.high)
                lines.writerow(
                    (
                        of.workload,
                        of.regime,
                        server.server,
                        name,
                        found.mean,
                        *ends,
                        found.letters,
                        found.launches,
                    )
                )
    return text.getvalue()


def as_hgrm(together: Histogram) -> str:
    """Return the percentiles of times, in ms: a line for each bucket, as `HistogramLogProcessor` writes and plotters read them."""
    return (
        "\n".join(
            [
                "       Value     Percentile TotalCount 1/(1-Percentile)",
                "",
                *_lines(together),
                *_summary(together),
            ]
        )
        + "\n"
    )


def _lines(together: Histogram) -> Iterator[str]:
    total, reached = sum(together.values()), 0
    for bucket in sorted(together):
        reached += together[bucket]
        share = reached / total
        beyond = f" {1 / (1 - share):17.2f}" if reached < total else ""
        yield f"{_middle_ms(bucket):12.3f} {share:14.12f} {reached:10d}{beyond}"


def _summary(together: Histogram) -> Iterator[str]:
    total = sum(together.values())
    mean = sum(_middle_ms(bucket) * count for bucket, count in together.items()) / total
    variance = sum((_middle_ms(bucket) - mean) ** 2 * count for bucket, count in together.items()) / total
    yield f"#[Mean    = {mean:12.3f}, StdDeviation   = {variance**0.5:12.3f}]"
    yield f"#[Max     = {_middle_ms(max(together)):12.3f}, Total count    = {total:12d}]"


def _middle_ms(bucket: int) -> float:
    low, above = bucket_bounds(bucket)
    return (low + above - 1) / 2 / NS_PER_MS
