"""What is said of conformance: how many cases of each group passed, every failure, and every case."""

from collections.abc import Sequence

from harness.record import GROUP_TITLES, Judgement, Results, Verdict
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, points, words
from harness.report.names import short_names
from harness.report.sections.proof import cell


def conformance_page(results: Results) -> Blocks:
    """Show what each server passed, group by group and case by case, and say what every failure was."""
    if not results.conformance:
        return [Heading("Conformance", 1), Text("The suite was not run.")]
    return [
        Heading("Conformance", 1),
        *_groups(results.conformance),
        *points(
            f"**{each.verdict}** {each.case} `{each.server}`: {each.detail}"
            for each in results.conformance
            if each.verdict.failed
        ),
        *_cases(results.conformance),
    ]


def _groups(judged: Sequence[Judgement]) -> Blocks:
    verdicts = {(each.case, each.server): each.verdict for each in judged}
    labels, cases = _labels(judged), list(dict.fromkeys(each.case for each in judged))
    names = short_names(labels)
    rows = []
    for letter, title in GROUP_TITLES.items():
        mine = [case for case in cases if case[0] == letter]
        counts = (
            f"{sum(not verdicts[case, label].failed for case in mine if (case, label) in verdicts)}/{len(mine)}"
            for label in labels
        )
        if mine:
            rows.append((f"{letter} {title}", *counts))
    return [
        Text("Cases passed, by group; BY-DESIGN counts, since the contract of the absence was checked."),
        grid((*words("group"), *numbers(*(names[label] for label in labels))), rows),
    ]


def _cases(judged: Sequence[Judgement]) -> Blocks:
    verdicts = {(each.case, each.server): each.verdict for each in judged}
    labels, titles = _labels(judged), {each.case: each.title for each in judged}
    names = short_names(labels)
    seen = [verdict for verdict in Verdict if verdict in verdicts.values()]
    return [
        Heading("Case by case"),
        grid(
            words("case", "promise", *(names[label] for label in labels)),
            (
                (case, title, *(_shown(verdicts.get((case, label))) for label in labels))
                for case, title in titles.items()
            ),
        ),
        *points(f"{verdict}: {verdict.meaning}" for verdict in seen),
    ]


def _labels(judged: Sequence[Judgement]) -> list[str]:
    return list(dict.fromkeys(each.server for each in judged))


def _shown(verdict: Verdict | None) -> str:
    return "" if verdict is None else cell(verdict)
