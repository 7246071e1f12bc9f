"""Every ratio of two servers, with its interval: a file of its own, too long for the report."""

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
        "Ratios b/a of two servers, from one model of all launches under a workload: log y = server + block. The interval is "
        "the one that gave the verdict, by Tukey's range: in 95 % of such families the intervals of all pairs hold at once. The error is one "
        "for all, or each server's own part of it, as far as servers scatter more differently than chance explains. "
        "The report sums this up in letters.",
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
        "| b against a | ratio of | b/a | interval | blocks | b is |",
        "|---|---|---:|---|---:|---|",
        *(
            f"| `{each.b}` / `{each.a}` | {metric(each.metric).title} | {each.ratio:.3f} "
            f"| {each.ci_low:.3f} to {each.ci_high:.3f} "
            f"| {each.blocks} | {each.verdict} |"
            for each in comparisons
        ),
        "",
    ]
