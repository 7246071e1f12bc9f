"""What is shown while servers are measured: a table whose bars get shorter, or a line after each block."""

import io
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from harness.analyse.blocks import Launch, launches_of
from harness.analyse.standings import Standing
from harness.record import Sample
from harness.study.board import BAR, bar, board, scale


@pytest.fixture
def launches(make_sample: Callable[..., Sample]) -> tuple[Launch, ...]:
    costs = {"threaded": 20.0, "trio_nursery": 40.0}
    return launches_of(
        make_sample(server, block, cpu_us=cost * (1 + block / 50))
        for block in range(3)
        for server, cost in costs.items()
    )


def shown(launches: tuple[Launch, ...], *, terminal: bool, width: int = 100) -> str:
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=terminal, color_system=None)
    with board(console) as on:
        on.expect(100.0, 6, time.monotonic() + 95.5)
        on.doing("clients_64, block 1", 2)
        on.done(30.0)
        on.show(launches, "clients_64")
        on.say("  invalid: threaded: [errors]")
    return said.getvalue()


def test_a_terminal_shows_the_table_as_it_stands(launches: tuple[Launch, ...]) -> None:
    text = shown(launches, terminal=True)
    assert "clients_64, 3 blocks: CPU µs per request so far" in text
    assert "●" in text
    assert "─" in text
    assert text.index("threaded") < text.index("trio_nursery")
    assert "1:35 left" in text
    assert "invalid: threaded: [errors]" in text


def test_without_a_terminal_there_are_plain_lines(launches: tuple[Launch, ...]) -> None:
    lines = shown(launches, terminal=False).splitlines()
    assert lines == ["clients_64, 3 blocks measured, 1:35 left", "  invalid: threaded: [errors]"]


@pytest.mark.parametrize(
    ("width", "rates", "bars"), [(100, True, True), (60, True, True), (40, False, True), (30, False, False)]
)
def test_in_a_narrow_terminal_columns_go_and_figures_never(
    launches: tuple[Launch, ...], width: int, *, rates: bool, bars: bool
) -> None:
    text = shown(launches, terminal=True, width=width)
    assert "20.4" in text
    assert "trio_nursery" in text
    assert ("10,000" in text) is rates
    assert ("●" in text) is bars
    of_table = [line for line in text.splitlines() if line.strip().startswith(("server", "threaded", "trio"))]
    assert not any("…" in line for line in of_table)


def test_bars_share_a_logarithmic_axis() -> None:
    found = [Standing("a", 10, 5, 20), Standing("b", 20, 10, 40), Standing("c", 5, None, None)]
    bars = [bar(each, scale(found)).plain for each in found]
    assert {len(each) for each in bars} == {BAR}
    assert bars[0].startswith("─")
    assert bars[1].endswith("─")
    assert bars[0].index("●") == bars[1].index("─")
    assert bars[2].strip() == "●"
