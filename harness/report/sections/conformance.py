"""What is said of conformance."""

from harness.record import GROUP_TITLES, Results, Verdict
from harness.report.names import short_names
from harness.report.sections.proof import cell, mutants_table, specimens_table


def conformance_section(results: Results, cases_at: str) -> list[str]:
    """Count what passed, and say what every failure was; each case is shown elsewhere."""
    verdicts = {(v.case, v.server): v.verdict for v in results.conformance}
    labels = list(dict.fromkeys(v.server for v in results.conformance))
    titles = {v.case: v.title for v in results.conformance}
    lines = ["## Conformance", ""]
    if not labels:
        return [*lines, "The suite was not run.", ""]
    names = short_names(labels)
    lines += [
        "Cases passed, by group; BY-DESIGN counts, since the contract of the absence was checked.",
        "",
        "| group | " + " | ".join(names[label] for label in labels) + " |",
        "|---|" + "---:|" * len(labels),
    ]
    for letter, title in GROUP_TITLES.items():
        mine = [case for case in titles if case[0] == letter]
        counts = [
            f"{sum(not verdicts[case, label].failed for case in mine if (case, label) in verdicts)}/{len(mine)}"
            for label in labels
        ]
        if mine:
            lines.append(f"| {letter} {title} | " + " | ".join(counts) + " |")
    lines += ["", f"[Case by case]({cases_at})", ""]
    for v in results.conformance:
        if v.verdict.failed:
            lines.append(f"- **{v.verdict}** {v.case} `{v.server}`: {v.detail}")
    return [*lines, ""]


def cases_text(results: Results) -> str:
    """Return the file: every case and every server, every mutant, and the textbook's servers."""
    verdicts = {(v.case, v.server): v.verdict for v in results.conformance}
    labels = list(dict.fromkeys(v.server for v in results.conformance))
    titles = {v.case: v.title for v in results.conformance}
    names = short_names(labels)
    lines = [
        "# Case by case",
        "",
        "| case | promise | " + " | ".join(names[label] for label in labels) + " |",
        "|---|---|" + "---|" * len(labels),
    ]
    for case, title in titles.items():
        cells = [_shown(verdicts.get((case, label))) for label in labels]
        lines.append(f"| {case} | {title.replace('|', '¦')} | " + " | ".join(cells) + " |")
    seen = [verdict for verdict in Verdict if verdict in verdicts.values()]
    lines += ["", *(f"- {verdict}: {verdict.meaning}" for verdict in seen), ""]
    if results.proof is not None:
        lines += [*mutants_table(results.proof), *specimens_table(results.proof)]
    return "\n".join(lines).rstrip() + "\n"


def _shown(verdict: Verdict | None) -> str:
    return "" if verdict is None else cell(verdict)
