"""What is said of the instrument: one server under two names, and the self-test."""

from collections.abc import Sequence

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import BETTER, WORSE, Comparison
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import CONFIDENCE
from harness.plan import by_name
from harness.record import SelfCheck
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words
from harness.report.wording import capital


def instrument_section(analysis: Analysis) -> Blocks:
    """Tell why the figures may be believed; nothing if neither was tried."""
    results = analysis.results
    if not (results.twins or results.selftest):
        return []
    return [Heading("The instrument"), *_twins(analysis), *_selftest(results.selftest)]


def _twins(analysis: Analysis) -> Blocks:
    if not analysis.twins:
        return []
    return [
        Text(
            f"**A/A**: `{analysis.results.manifest.design.twin_of}` was measured under two names, like two servers, and judged as one more "
            f"pair among all: by an interval that holds for all pairs at once ({CONFIDENCE:.0%}). The truth is a ratio of 1; to call the two different "
            "is an error that one run in twenty may make in some pair. The width is what this run could tell apart. The second name is in no other table."
        ),
        grid(
            (
                *words("workload", "ratio of"),
                *numbers("second / first"),
                *words("interval", "called different"),
                *numbers("blocks"),
            ),
            map(_twin_row, analysis.twins),
        ),
    ]


def _twin_row(found: Comparison) -> tuple[str, ...]:
    different = found.verdict in {BETTER, WORSE}
    return (
        capital(by_name(found.workload).title),
        metric(found.metric).title,
        f"{found.ratio:.3f}",
        f"{found.ci_low:.3f} to {found.ci_high:.3f}",
        "**yes**" if different else "no",
        str(found.blocks),
    )


def _selftest(checks: Sequence[SelfCheck]) -> Blocks:
    if not checks:
        return [Text("The instrument did not test itself with this run: `harness selftest` does.")]
    return [
        Text("**Self-test** on this machine (`harness selftest`):"),
        grid(
            words("check", "that", "outcome", "finding"),
            ((f"`{each.check}`", each.purpose, _shown(each.outcome), each.line) for each in checks),
        ),
    ]


def _shown(outcome: str) -> str:
    return outcome if outcome == "passed" else f"**{outcome}**"
