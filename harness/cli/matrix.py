"""Judgements as people and machines read them: a table for the terminal, JSON, JUnit."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.cli.terminal import WIDTH
from harness.record import GROUP_TITLES, Judgement, Verdict, as_json
from harness.report.names import short_names

STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.BY_DESIGN: "cyan",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.HARNESS: "magenta",
}
SHORT: Final = {Verdict.PASS: "pass", Verdict.BY_DESIGN: "design", Verdict.STALE_CLAIM: "stale"}
"""What stands in the matrix, where the verdict itself would make its column too wide."""
MOST_DETAIL: Final = 600
FAILED_STYLE: Final = "bold red"


MOST_COLUMNS: Final = 5
"""More servers do not stand beside each other; they get a table below."""
CASE_WIDTH: Final = 5
LEAST_PROMISE: Final = 12
VERDICT_WIDTH: Final = 7


def print_matrix(judgements: Sequence[Judgement], console: Console) -> None:
    """Print cases by group, servers as columns, and failures explained below."""
    names = short_names(list(dict.fromkeys(judgement.server for judgement in judgements)))
    width = min(console.width, WIDTH)
    for columns in _beside(names, width):
        console.print(_table(judgements, columns, width))
    for judgement in judgements:
        if judgement.verdict not in {Verdict.PASS, Verdict.BY_DESIGN}:
            style = STYLES.get(judgement.verdict, FAILED_STYLE)
            console.print(
                f"[{style}]{judgement.verdict}[/] {judgement.case} {escape(judgement.server)}: {escape(judgement.title)}"
            )
            console.print(f"  {escape(_abridged(judgement.detail))}", highlight=False)
    for verdict in Verdict:
        if verdict in {judgement.verdict for judgement in judgements} and verdict is not Verdict.PASS:
            name = SHORT.get(verdict, verdict.value.lower())
            console.print(
                f"[{STYLES.get(verdict, FAILED_STYLE)}]{name:8}[/] {verdict}: {verdict.meaning}",
                highlight=False,
            )
    console.print(summary(judgements), highlight=False)


def _beside(names: Mapping[str, str], width: int) -> Iterator[dict[str, str]]:
    """Yield servers with their names, as many at a time as stand beside each other without a name or a verdict cut."""
    columns: dict[str, str] = {}
    for label, name in names.items():
        if columns and (
            len(columns) == MOST_COLUMNS
            or _room_for_promises({**columns, label: name}, width) < LEAST_PROMISE
        ):
            yield columns
            columns = {}
        columns[label] = name
    yield columns


def _room_for_promises(columns: Mapping[str, str], width: int) -> int:
    return width - CASE_WIDTH - sum(1 + max(len(name), VERDICT_WIDTH) for name in columns.values())


def _table(judgements: Sequence[Judgement], columns: Mapping[str, str], width: int) -> Table:
    """Show some of the servers; the promises only if there is room for them."""
    verdicts = {(judgement.case, judgement.server): judgement.verdict for judgement in judgements}
    titles = {judgement.case: judgement.title for judgement in judgements}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, width=width)
    table.add_column("case", no_wrap=True, min_width=4)
    roomy = _room_for_promises(columns, width) >= LEAST_PROMISE
    if roomy:
        table.add_column("promise", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in columns.values():
        table.add_column(Text(name), overflow="fold", min_width=min(len(name), width - CASE_WIDTH))
    for letter in GROUP_TITLES:
        for case_id in (case_id for case_id in titles if case_id[0] == letter):
            cells = [_cell(verdicts.get((case_id, label))) for label in columns]
            table.add_row(case_id, *([Text(titles[case_id])] if roomy else []), *cells)
        table.add_section()
    return table


def _abridged(detail: str) -> str:
    """Leave out the middle of what would fill the terminal; JSON and JUnit have all of it."""
    if len(detail) <= MOST_DETAIL:
        return detail
    return f"{detail[: MOST_DETAIL // 2]} … {detail[-MOST_DETAIL // 2 :]}"


def _cell(verdict: Verdict | None) -> Text:
    if verdict is None:
        return Text("")
    return Text(SHORT.get(verdict, verdict.value.lower()), style=STYLES.get(verdict, FAILED_STYLE))


def summary(judgements: Sequence[Judgement]) -> str:
    """Count the verdicts in one line."""
    counts = [(verdict, sum(judgement.verdict is verdict for judgement in judgements)) for verdict in Verdict]
    servers = len({judgement.server for judgement in judgements})
    cases = len({judgement.case for judgement in judgements})
    listed = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
    return f"{_count(cases, 'case')} on {_count(servers, 'server')}: {listed}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def to_json(judgements: Sequence[Judgement]) -> str:
    """Return the judgements as a JSON list of objects."""
    return as_json(judgements)


def to_junit(judgements: Sequence[Judgement]) -> str:
    """Return the judgements as JUnit XML: a suite for each server."""
    root = ET.Element("testsuites", name="conformance")
    for label in dict.fromkeys(judgement.server for judgement in judgements):
        mine = [judgement for judgement in judgements if judgement.server == label]
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml_text(label),
            tests=str(len(mine)),
            failures=str(sum(j.verdict.failed and j.verdict is not Verdict.HARNESS for j in mine)),
            errors=str(sum(j.verdict is Verdict.HARNESS for j in mine)),
            skipped=str(sum(j.verdict is Verdict.NOT_APPLICABLE for j in mine)),
            time=f"{sum(j.seconds for j in mine):.3f}",
        )
        for judgement in mine:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=_xml_text(label),
                name=f"{judgement.case} {judgement.title}",
                time=f"{judgement.seconds:.3f}",
            )
            if judgement.verdict is Verdict.NOT_APPLICABLE:
                ET.SubElement(case, "skipped", message=_xml_text(judgement.detail))
            elif judgement.verdict.failed:
                kind = "error" if judgement.verdict is Verdict.HARNESS else "failure"
                ET.SubElement(case, kind, type=judgement.verdict.value, message=_xml_text(judgement.detail))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written.decode() + "\n"


def _xml_text(text: str) -> str:
    """Leave out what XML cannot hold."""
    return "".join(character if character.isprintable() else " " for character in text)
