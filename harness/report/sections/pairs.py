"""Every ratio of two servers, with its interval."""

from collections.abc import Sequence

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import COMPARED, Comparison
from harness.analyse.samples.metrics import metric
from harness.plan import by_name
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words
from harness.report.wording import capital


def pairs_page(analysis: Analysis) -> Blocks:
    """Show all pairs of servers under each workload, those of each regime among themselves."""
    blocks: Blocks = [
        Heading("Pair by pair", 1),
        Text(
            "Ratios b/a of two servers, from one model of all launches under a workload: log y = server + block. The interval is "
            "the one that gave the verdict, by Tukey's range: in 95 % of such families the intervals of all pairs hold at once. The error is one "
            "for all, or each server's own part of it, as far as servers scatter more differently than chance explains. "
            "The tables sum this up in letters."
        ),
    ]
    for regime in (analysis.one_core, analysis.all_cores):
        for name, table in regime.tables.items():
            blocks += _of_workload(
                name, [each for compared in COMPARED for each in table.comparisons[compared]]
            )
    return blocks


def _of_workload(name: str, comparisons: Sequence[Comparison]) -> Blocks:
    if not comparisons:
        return []
    return [
        Heading(capital(by_name(name).title)),
        grid(
            (
                *words("b against a", "ratio of"),
                *numbers("b/a"),
                *words("interval"),
                *numbers("blocks"),
                *words("b is"),
            ),
            (
                (
                    f"`{each.b}` / `{each.a}`",
                    metric(each.metric).title,
                    f"{each.ratio:.3f}",
                    f"{each.ci_low:.3f} to {each.ci_high:.3f}",
                    str(each.blocks),
                    each.verdict,
                )
                for each in comparisons
            ),
        ),
    ]
