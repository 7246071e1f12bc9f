"""Terminals of any width: columns go, figures never."""

import io
import re
from collections.abc import Callable

import pytest
from rich import box
from rich.console import Console
from rich.table import Table

from harness.cli import costs, load_table, torture
from harness.cli.matrix import print_matrix
from harness.cli.terminal import Fitting, needed_width
from harness.plan import CONSTANT
from harness.record import FaultResult, Judgement, Sample, ServerCosts, Verdict

WIDTHS = [30, 40, 50, 60, 79, 80, 100, 200]
WIDE = 300


def console_of(width: int) -> Console:
    console = Console(file=io.StringIO(), width=width)
    console.push_render_hook(Fitting(console))
    return console


def said(show: Callable[[Console], None], width: int) -> str:
    console = console_of(width)
    show(console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def figures(text: str) -> list[str]:
    """Return all words with a digit in them, in alphabetical order."""
    return sorted(re.findall(r"\S*\d\S*", text))


def shows(
    make_sample: Callable[..., Sample],
    make_fault: Callable[..., FaultResult],
    make_costs: Callable[..., ServerCosts],
) -> list[Callable[[Console], None]]:
    faults = [
        make_fault(size=12_345, probe_worst_ns=123_456_789),
        make_fault(fault="flood", threads_after=501),
    ]
    sample = make_sample(rps=20_000, arrivals=CONSTANT, rate=20_000.0)
    return [
        lambda console: load_table.show(sample, console),
        lambda console: torture.show(faults, console),
        lambda console: costs.show(make_costs(), console),
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_is_shown_whole(
    width: int,
    make_sample: Callable[..., Sample],
    make_fault: Callable[..., FaultResult],
    make_costs: Callable[..., ServerCosts],
) -> None:
    for show in shows(make_sample, make_fault, make_costs):
        narrow, wide = said(show, width), said(show, WIDE)
        assert "…" not in narrow
        assert max(map(len, narrow.splitlines())) <= width
        assert set(figures(wide)) <= set(figures(narrow))


@pytest.mark.parametrize("width", WIDTHS)
def test_every_name_and_verdict_is_shown_whole(width: int) -> None:
    names = ("blocking", "threaded", "asyncio_streams", "asyncio_protocol+uvloop")
    verdicts = (Verdict.PASS, Verdict.TIMEOUT)
    judgements = [
        Judgement(name, case, "A promise, and all that it says", "MUST", verdict, "why")
        for name in names
        for case, verdict in zip(("F01", "C12"), verdicts, strict=True)
    ]
    text = said(lambda console: print_matrix(judgements, console), width)
    tables = text[: text.index("TIMEOUT C12")]
    assert {*names, "F01", "C12", "pass", "timeout"} <= set(tables.split())
    assert max(map(len, text.splitlines())) <= width


def test_a_table_that_fits_is_left_alone() -> None:
    table = Table("name", "figure", box=box.SIMPLE_HEAD)
    table.add_row("a name", "1,234.5")
    width = needed_width(table, console_of(WIDE))
    assert "name" in said(lambda console: console.print(table), width).splitlines()[1]
    in_lines = said(lambda console: console.print(table), width - 1)
    assert [line.split() for line in in_lines.splitlines()] == [
        ["name", "a", "name"],
        ["figure", "1,234.5"],
        [],
    ]
