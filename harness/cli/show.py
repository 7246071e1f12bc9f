"""`harness show`: what a run says, in the terminal: what decides, and who is where under its main loads."""

from pathlib import Path
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analyse.analysis import analyse
from harness.analyse.points import PINNED, MeasuredPoint
from harness.analyse.tables import Row
from harness.cli.terminal import console_for
from harness.errors import UsageError
from harness.plan import RELAY, by_name
from harness.record import REFERENCE, read_results, shown
from harness.report.blocks import plain
from harness.report.page.quantiles import curve
from harness.report.page.telling import asked
from harness.report.sections.answer import deciding
from harness.report.spark import bar, spark
from harness.report.wording import capital, counted

BAR: Final = 16
STEP: Final = 3
"""Of the quantiles that the page draws, each third has a letter."""


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--workload", help="This one alone; by default the core ones, and that of relays.")
def show(folder: Path | None, workload: str | None) -> None:
    """Print what a run says, with small plots; without DIR, the reference run."""
    folder = folder or REFERENCE
    analysis = analyse(read_results(folder))
    measured = list(dict.fromkeys(point.workload for point in analysis.points))
    if workload is not None and workload not in measured:
        those = f"it has {', '.join(measured)}"
        if workload in analysis.results.manifest.design.workloads:
            raise UsageError(
                f"{workload} is shown in the pages of the report alone; here {shown(folder)}: {those}"
            )
        raise UsageError(f"{shown(folder)} has no workload {workload!r} to show; {those}")
    console = console_for(to_errors=False)
    if workload is None:
        for place, sentence in enumerate(deciding(analysis), 1):
            console.print(f"{place}. {plain(sentence)}", markup=False, highlight=False)
        console.print()
    for point in analysis.points:
        if point.workload == workload or (workload is None and is_main(point)):
            show_point(point, console)


def is_main(point: MeasuredPoint) -> bool:
    """Tell whether a point is of a load that every run measures."""
    workload = by_name(point.workload)
    return point.spot.placement == PINNED and (workload.core or workload == RELAY)


def show_point(point: MeasuredPoint, console: Console) -> None:
    """Print a table of one load: bars of what is answered, figures, and how the responses spread."""
    most = max(found.mean for row in point.rows if (found := row.estimates["throughput_rps"]))
    curves = {row.server: curve(row.responses)[::STEP] for row in point.rows}
    known = [each for of_server in curves.values() for each in of_server if each is not None]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("server", "", "requests/s", "", "CPU µs", "p99 ms", f"{low:.3g} to {high:.3g} ms"):
        numeric = column in {"requests/s", "CPU µs", "p99 ms"}
        table.add_column(column, no_wrap=True, justify="right" if numeric else "left")
    for row in sorted(point.rows, key=lambda row: -_mean(row, "throughput_rps")):
        rps = _mean(row, "throughput_rps")
        table.add_row(
            Text(row.server),
            bar(rps / most, BAR),
            f"{rps:,.0f}",
            row.letters["throughput_rps"],
            _figure(row, "cpu_us_per_request", "{:.1f}"),
            _figure(row, "response_p99_us", "{:,.2f}", 1e3),
            spark(curves[row.server], low, high),
        )
    console.print(capital(asked(point.spot)), style="bold", highlight=False)
    console.print(table)
    for server, clients in point.fewer.items():
        console.print(
            f"{server} was given {counted(clients, 'client')}, as many as it serves at once: its p99 is not that of more",
            highlight=False,
        )
    console.print()


def _mean(row: Row, name: str) -> float:
    found = row.estimates[name]
    return 0.0 if found is None else found.mean


def _figure(row: Row, name: str, form: str, unit: float = 1.0) -> str:
    found = row.estimates[name]
    return "–" if found is None else form.format(found.mean / unit)
