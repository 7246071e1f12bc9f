"""What is said of the instrument: one server under two names, and the self-test."""

from collections.abc import Iterator, Sequence

from harness.analyse.blocks import by_block
from harness.analyse.comparisons import COMPARED, log_ratio
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import CONFIDENCE
from harness.plan import by_name
from harness.record import Results, SelfCheck
from harness.report.wording import capital


def instrument_section(results: Results) -> list[str]:
    """Tell why the figures may be believed; nothing if neither was tried."""
    if not (results.twins or results.selftest):
        return []
    return ["## The instrument", "", *_twins(results), *_selftest(results.selftest)]


def _twins(results: Results) -> list[str]:
    rows = list(_twin_rows(results))
    if not rows:
        return []
    return [
        f"**A/A**: `{results.manifest.design.twin_of}` was measured under two names, like two servers. The truth is a ratio of 1, so "
        f"that {CONFIDENCE:.0%} of such intervals should contain it; their width is what this run could tell apart. The second "
        "name is in no other table.",
        "",
        "| workload | ratio of | second / first | 95 % interval | contains 1 | blocks |",
        "|---|---|---:|---|---|---:|",
        *rows,
        "",
    ]


def _twin_rows(results: Results) -> Iterator[str]:
    manifest = results.manifest
    both = [sample for sample in results.samples if sample.cell.server == manifest.design.twin_of] + [
        *results.twins
    ]
    for workload in manifest.design.workloads:
        for name in COMPARED:
            values = by_block(both, workload, metric(name))
            ratio = log_ratio(values.get(manifest.design.twin_of, {}), values.get(manifest.design.twin, {}))
            if ratio is not None:
                low, high = ratio.interval(CONFIDENCE)
                yield (
                    f"| {capital(by_name(workload).title)} | {metric(name).title} | {ratio.ratio:.3f} "
                    f"| {low:.3f} to {high:.3f} | {'yes' if low <= 1 <= high else '**no**'} | {ratio.blocks} |"
                )


def _selftest(checks: Sequence[SelfCheck]) -> list[str]:
    if not checks:
        return ["The instrument did not test itself with this run: `harness selftest` does.", ""]
    return [
        "**Self-test** on this machine (`harness selftest`):",
        "",
        "| check | that | outcome | finding |",
        "|---|---|---|---|",
        *(f"| `{each.check}` | {each.purpose} | {_shown(each.outcome)} | {each.line} |" for each in checks),
        "",
    ]


def _shown(outcome: str) -> str:
    return outcome if outcome == "passed" else f"**{outcome}**"
