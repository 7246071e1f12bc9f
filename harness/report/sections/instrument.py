"""What is said of the instrument: one server under two names, and the self-test."""

from collections.abc import Sequence

from harness.analyse.analysis import Analysis, TwinRatio
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import CONFIDENCE
from harness.plan import by_name
from harness.record import SelfCheck
from harness.report.wording import capital


def instrument_section(analysis: Analysis) -> list[str]:
    """Tell why the figures may be believed; nothing if neither was tried."""
    results = analysis.results
    if not (results.twins or results.selftest):
        return []
    return ["## The instrument", "", *_twins(analysis), *_selftest(results.selftest)]


def _twins(analysis: Analysis) -> list[str]:
    if not analysis.twins:
        return []
    return [
        f"**A/A**: `{analysis.results.manifest.design.twin_of}` was measured under two names, like two servers. The truth is a ratio of 1, so "
        f"that {CONFIDENCE:.0%} of such intervals should contain it; their width is what this run could tell apart. The second "
        "name is in no other table.",
        "",
        "| workload | ratio of | second / first | 95 % interval | contains 1 | blocks |",
        "|---|---|---:|---|---|---:|",
        *map(_twin_row, analysis.twins),
        "",
    ]


def _twin_row(found: TwinRatio) -> str:
    ratio = found.ratio
    low, high = ratio.interval(CONFIDENCE)
    return (
        f"| {capital(by_name(found.workload).title)} | {metric(found.metric).title} | {ratio.ratio:.3f} "
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
