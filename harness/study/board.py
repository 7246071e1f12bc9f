"""What a person sees while servers are measured: the table as it stands, with bars that get shorter; or plain lines."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from harness.analyse.blocks import Launch, under
from harness.analyse.samples.metrics import metric
from harness.analyse.standings import Standing, standings

BAR: Final = 36
"""Columns of the terminal for a comparison bar, where there is room."""
SHORTEST_BAR: Final = 12
WHAT_BARS_SAY: Final = "bars that do not overlap differ"
COST: Final = "CPU µs"
RATE: Final = "requests/s"
GAP: Final = 3
"""Between two columns of a table."""
EDGES: Final = 2
WIDE: Final = 100
SHOWN: Final = "cpu_us_per_request"
BESIDE: Final = "throughput_rps"


class Board:
    """What is being done, how long it will take, how servers stand, and what is to be remarked.

    Nothing is drawn by itself: a thread that draws would take its time from the cores that are measured.
    """

    def __init__(self, console: Console, live: Live | None) -> None:
        """Take a console, and what redraws it, if it is a terminal."""
        self._console = console
        self._live = live
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[launches]}/{task.fields[of]} launches, {task.fields[left]} left"),
            console=console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("measuring", total=None, launches=0, of=0, left="?")
        self._until_s: float | None = None
        self._standing: RenderableType = ""
        self.launches = 0

    def expect(self, seconds: float, launches: int, until_s: float | None) -> None:
        """Take note of how much is still to come, and when it ends whatever is done by then."""
        task = self._progress.tasks[self._task]
        self._until_s = until_s
        self._progress.update(self._task, total=task.completed + seconds, of=self.launches + launches)

    def more(self, seconds: float) -> None:
        """Take note of a launch that is made again."""
        task = self._progress.tasks[self._task]
        self._progress.update(self._task, total=(task.total or 0.0) + seconds, of=task.fields["of"] + 1)

    def doing(self, what: str, launches: int = 1) -> None:
        """Show what is done next: so many launches."""
        self.launches += launches
        self._progress.update(self._task, description=what)
        self.redraw()

    def done(self, seconds: float) -> None:
        """Take note that work which was expected to take so long is done."""
        self._progress.advance(self._task, seconds)
        self.redraw()

    def show(self, launches: Sequence[Launch], workload: str) -> None:
        """Show how servers stand under a workload, now that there is more of it."""
        found, beside = (standings(launches, workload, metric(name)) for name in (SHOWN, BESIDE))
        blocks = 1 + max((each.sample.cell.block for each in under(launches, workload)), default=0)
        title = f"{workload}, {blocks} block{'s' * (blocks > 1)}"
        if self._live is None:
            self.say(f"{title} measured, {self._left()} left")
        elif found:
            rates = {each.server: each.mean for each in beside}
            self._standing = table_of(title, found, rates, self._console.width)
        self.redraw()

    def say(self, text: str, style: str = "") -> None:
        """Remark something for good."""
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def redraw(self) -> None:
        """Draw all as it is now."""
        self._progress.update(self._task, launches=self.launches, left=self._left())
        if self._live is not None:
            self._live.update(Group(self._standing, self._progress), refresh=True)

    def _left(self) -> str:
        task = self._progress.tasks[self._task]
        to_do_s = (task.total or 0.0) - task.completed
        left_s = to_do_s if self._until_s is None else self._until_s - time.monotonic()
        return f"{max(0, round(left_s)) // 60}:{max(0, round(left_s)) % 60:02}"


@contextmanager
def board(console: Console) -> Iterator[Board]:
    """Show a board while something is measured."""
    if not console.is_terminal:
        yield Board(console, None)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield Board(console, live)


def table_of(
    title: str, found: Sequence[Standing], requests_per_s: dict[str, float], width: int = WIDE
) -> Table:
    """Return servers with their bars, all on one logarithmic scale. In a narrow terminal columns go, never figures.

    Args:
        title: what is measured, and how often it was.
        found: the servers, in order.
        requests_per_s: of each.
        width: of the terminal.
    """
    table = Table(
        title=f"{title}: {metric(SHOWN).title} so far",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    room = width - EDGES - max(len(each.server) for each in found) - GAP - len(COST)
    with_rates = room >= SHORTEST_BAR + 2 * GAP + len(RATE)
    bar_width = min(BAR, room - GAP - with_rates * (GAP + len(RATE)))
    table.add_column("server", no_wrap=True)
    table.add_column(COST, justify="right", no_wrap=True)
    if bar_width >= SHORTEST_BAR:
        table.add_column(WHAT_BARS_SAY if len(WHAT_BARS_SAY) <= bar_width else "", no_wrap=True)
    if with_rates:
        table.add_column(RATE, justify="right", no_wrap=True)
    place = scale(found, bar_width)
    for each in found:
        cells: list[str | Text] = [each.server, f"{each.mean:.1f}"]
        if bar_width >= SHORTEST_BAR:
            cells.append(bar(each, place, bar_width))
        if with_rates:
            rate = requests_per_s.get(each.server)
            cells.append("" if rate is None else f"{rate:,.0f}")
        table.add_row(*cells)
    return table


def scale(found: Sequence[Standing], width: int = BAR) -> Callable[[float], int]:
    """Return where a value lies on the axis of all bars, in columns."""
    low = min(each.mean if each.low is None else each.low for each in found)
    high = max(each.mean if each.high is None else each.high for each in found)
    span = math.log(high / low) or 1.0

    def place(value: float) -> int:
        return round((width - 1) * math.log(value / low) / span)

    return place


def bar(standing: Standing, place: Callable[[float], int], width: int = BAR) -> Text:
    """Draw a comparison bar, its mean in it; the mean alone as long as the scatter is not known."""
    cells = [" "] * width
    if standing.low is not None and standing.high is not None:
        for column in range(place(standing.low), place(standing.high) + 1):
            cells[column] = "─"
    cells[place(standing.mean)] = "●"
    return Text("".join(cells))
