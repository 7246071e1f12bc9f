"""The conformance matrix: every case on every server. A cell tells what is sent there, what must come, and what did."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.analyse.analysis import Analysis
from harness.record import GROUP_TITLES, Judgement, Results, ServerFacts, Trial, Verdict
from harness.report.names import short_names
from harness.report.page.markup import Markup, behind, code, joined, scrolled, tag, with_code
from harness.report.wording import counted

SIGNS: Final = {
    Verdict.PASS: "✓",
    Verdict.BY_DESIGN: "○",
    Verdict.NOT_APPLICABLE: "–",
}
FAILED_SIGN: Final = "✗"

DETAIL: Final = re.compile(
    r"(?:sent (?P<sent>.*?); (?:expected (?P<expected>.*?); received |(?P<late>nothing more came .*? after ))(?P<received>.*?))"
    r"(?: \[(?P<reproducer>.*)\])?",
    re.DOTALL,
)
ENDS_IN_REPRODUCER: Final = re.compile(r"(?P<said>.*?) \[(?P<reproducer>.*)\]", re.DOTALL)


WORDS: Final = {
    "promise": "What is promised",
    "clause": "By which clause of PROTOCOL.md",
    "level": "Level",
    "verdict": "Verdict",
    "said": "What was found",
    "sent": "Sent",
    "expected": "A server that conforms answers",
    "received": "Answered was",
    "reproducer": "To see it again",
    "again": "To judge it again",
    "mistake": "What it notices: a mistake that was planted in",
}
TYPED: Final = ("sent", "expected", "received", "reproducer", "again")


def parts_of(detail: str) -> dict[str, str]:
    """Take apart what is said of a failure: what was sent, expected and received, and how to see it again."""
    if found := DETAIL.fullmatch(detail):
        parts = {name: text for name, text in found.groupdict().items() if text}
        late = parts.pop("late", "")
        return parts | ({"received": f"{late}{parts['received']}"} if late else {})
    if found := ENDS_IN_REPRODUCER.fullmatch(detail):
        return found.groupdict()
    return {"said": detail} if detail else {}


def matrix(analysis: Analysis) -> tuple[Markup, dict[str, Any]]:
    """Return the section, and what its cells tell."""
    results = analysis.results
    labels = list(dict.fromkeys(each.server for each in results.conformance))
    if not labels:
        return tag(
            "section", tag("h2", "Conformance"), tag("p", "The suite was not run."), id="conformance"
        ), {}
    facts = {each.label: each for each in results.manifest.servers}
    found = {(each.case, each.server): each for each in results.conformance}
    cases = {each.case: each for each in results.conformance}
    failed = [each for each in results.conformance if each.verdict.failed]
    seen = [verdict for verdict in Verdict if verdict in {each.verdict for each in results.conformance}]
    section = tag(
        "section",
        tag("h2", "Conformance"),
        tag("p", _summary(results, len(labels), len(cases), len(failed)), class_="note"),
        tag("ul", *(tag("li", tag("b", f"{sign_of(each)} {each}"), f": {each.meaning}") for each in seen)),
        *(
            tag("p", tag("b", each.verdict), f" {each.case} ", code(each.server), f": {each.detail}")
            for each in failed
        ),
        *(
            _group(letter, labels, cases, found)
            for letter in GROUP_TITLES
            if any(case[0] == letter for case in cases)
        ),
        tag(
            "dialog",
            tag("div", id="told"),
            tag("form", tag("button", "Close"), method="dialog"),
            id="cell",
            aria_label="A verdict",
        ),
        id="conformance",
    )
    return section, {
        "servers": labels,
        "again": [_judging(facts.get(label), label) for label in labels],
        "cases": {case: _of_case(judgement, results) for case, judgement in cases.items()},
        "remarks": {
            f"{each.case} {each.server}": parts_of(each.detail) for each in results.conformance if each.detail
        },
        "meanings": {each: each.meaning for each in seen},
        "words": WORDS | {"typed": TYPED},
    }


def _judging(facts: ServerFacts | None, label: str) -> str:
    """Return the command that judges a server again; where it lies is for the caller to know."""
    whom = ("--server", f"{label}={facts.command}") if facts and not facts.file else (label,)
    return shlex.join(("harness", "conform", *whom))


def sign_of(verdict: Verdict) -> str:
    """Return what stands in a cell."""
    return SIGNS.get(verdict, FAILED_SIGN)


def _summary(results: Results, servers: int, cases: int, failed: int) -> Markup:
    ended = "none failed" if not failed else f"{failed} verdicts are failures"
    text = f"{cases} cases on {servers} servers: {len(results.conformance):,} verdicts, {ended}. A cell opens what is behind it."
    return joined([text, " Again: ", code("harness conform"), "."])


def _group(
    letter: str,
    labels: Sequence[str],
    cases: Mapping[str, Judgement],
    found: Mapping[tuple[str, str], Judgement],
) -> Markup:
    short = short_names(labels)
    head = tag(
        "tr",
        tag("th", "case", scope="col"),
        tag("th", "promise", scope="col"),
        *(tag("th", tag("span", short[label]), scope="col", class_="turned") for label in labels),
    )
    rows = [
        tag(
            "tr",
            tag("th", case, scope="row"),
            tag("td", with_code(judgement.title)),
            *(_cell(found.get((case, label)), place) for place, label in enumerate(labels)),
            data_case=case,
        )
        for case, judgement in cases.items()
        if case[0] == letter
    ]
    of_group = [each for (case, _), each in found.items() if case[0] == letter]
    bad = sum(each.verdict.failed for each in of_group)
    title = f"{letter} {GROUP_TITLES[letter]}"
    table = tag("table", tag("caption", title), tag("thead", head), tag("tbody", *rows), class_="matrix")
    ended = f"{bad} of {len(of_group):,} verdicts are failures" if bad else "nothing failed"
    return behind(f"{title}: {counted(len(rows), 'case')}, {ended}", scrolled(table, title), opened=bool(bad))


def _cell(judgement: Judgement | None, place: int) -> Markup:
    if judgement is None:
        return tag("td", "")
    kind = "bad" if judgement.verdict.failed else "good" if judgement.verdict is Verdict.PASS else "else"
    return tag("td", sign_of(judgement.verdict), class_=kind, data_at=str(place), data_is=judgement.verdict)


def _of_case(judgement: Judgement, results: Results) -> dict[str, Any]:
    trials = [each for each in results.proof.trials if each.case == judgement.case] if results.proof else []
    return {
        "title": judgement.title,
        "clause": results.clauses.get(judgement.case, ""),
        "level": judgement.level,
        "mistakes": [_of_trial(each) for each in trials if each.caught],
    }


def _of_trial(trial: Trial) -> dict[str, str]:
    """Return a planted mistake, and how the case noticed it: there both sides of a conversation are on record."""
    return {"mistake": f"{trial.base}: {trial.title}", **parts_of(trial.detail)}
