"""Every ratio of two servers, with the interval of its test: a file of its own, too long for the report."""

from collections.abc import Sequence

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import COMPARED, Comparison
from harness.analyse.samples.metrics import metric
from harness.plan import by_name
from harness.report.wording import capital


def pairs_text(analysis: Analysis) -> str:
    """Return the file: all pairs of servers under each workload, those of each regime among themselves."""
    lines = [
        "# Pair by pair",
        "",
        "Ratios b/a of two servers, paired by block. The interval is that of the test that gave the verdict: the 90 % interval of an "
        "equivalent pair, and else one as much wider than 95 % as Holm's adjustment over all pairs of the workload asks for; "
        "from 8 blocks on a bootstrap over blocks stands beside it as a check. The report sums this up in letters.",
        "",
    ]
    for regime in (analysis.one_core, analysis.all_cores):
        for name, table in regime.tables.items():
            lines += _of_workload(
                name, [each for compared in COMPARED for each in table.comparisons[compared]]
            )
    return "\n".join(lines).rstrip() + "\n"


def _of_workload(name: str, comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    return [
        f"## {capital(by_name(name).title)}",
        "",
        "| b against a | ratio of | b/a | interval | its level | bootstrap | blocks | b is |",
        "|---|---|---:|---|---:|---|---:|---|",
        *(
            f"| `{each.b}` / `{each.a}` | {metric(each.metric).title} | {each.ratio:.3f} "
            f"| {each.ci_low:.3f} to {each.ci_high:.3f} | {each.confidence:.1%} "
            f"| {_bootstrap(each)} | {each.blocks} | {each.verdict} |"
            for each in comparisons
        ),
        "",
    ]


def _bootstrap(comparison: Comparison) -> str:
    if comparison.bootstrap_low is None or comparison.bootstrap_high is None:
        return "–"
    return f"{comparison.bootstrap_low:.3f} to {comparison.bootstrap_high:.3f}"
