"""`harness predict`: what a relay will do with so many clients, so long a wait and so large a pool."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from harness.analyse.blocks import launches_of
from harness.analyse.prediction.held_out import PredictionTest, held_out_test, right_of
from harness.analyse.prediction.launches import relay_cells
from harness.analyse.prediction.laws import Setting
from harness.analyse.prediction.relay import Prediction, predict
from harness.cli.options import json_option, write_to
from harness.cli.terminal import console_for
from harness.cli.waits import wait_option
from harness.errors import UsageError
from harness.record import REFERENCE, read_results, shown

MEASURE: Final = "run `harness bench --quick --workload relays`"
LIMITS: Final = {
    "clients": "its clients: all wait for the upstream, and more of them would be answered as fast",
    "pool": "its pool: every connection is in use",
    "core": "its core, which is always busy",
}


@dataclass(frozen=True)
class Range95:
    """A figure, and between which the truth is expected in 19 of 20 cases; None where too few predictions were judged to say."""

    value: float
    low: float | None
    high: float | None


@click.command("predict")
@click.argument("server", metavar="NAME")
@click.option(
    "--clients", type=click.IntRange(1, 1_000_000), required=True, help="Each has one request under way."
)
@wait_option("What the upstream takes for an answer.", default="5ms")
@click.option(
    "--pool",
    type=click.IntRange(1, 1_000_000),
    help="How many questions can be under way.  [default: as many as clients]",
)
@click.option(
    "--in",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The run whose relays it learns from.  [default: results/reference]",
)
@click.option("--extrapolate", is_flag=True, help="Predict beyond what was measured as well, and say so.")
@json_option("the prediction")
def predict_command(  # noqa: PLR0913 - one parameter for each option
    server: str,
    clients: int,
    wait: float,
    pool: int | None,
    folder: Path | None,
    extrapolate: bool,  # noqa: FBT001 - click passes it by name
    json_file: str | None,
) -> None:
    """Predict what NAME does as a relay, by the operational laws, from a few cells of a run.

    Its ranges come from cells of the run that were drawn beforehand and predicted, too: so far were these off. They hold for that
    machine, on an average day.
    """
    setting = Setting(clients, wait, min(clients, pool or clients))
    found = learnt(server, folder or REFERENCE)
    beyond = found.models[server].seen.beyond(setting)
    if beyond and not extrapolate:
        raise UsageError(f"{server}: {beyond} (--extrapolate predicts it all the same)")
    predicted = predict(found.models[server], setting)
    ranges = ranges_of(predicted, found)
    console = console_for(to_errors=json_file == "-")
    show(server, predicted, ranges, console)
    console.print(_standing(found), style="dim", highlight=False)
    if beyond:
        console.print(f"extrapolated: {beyond}", style="yellow", highlight=False)
    write_to(json_file, json.dumps(as_object(server, predicted, ranges, beyond), indent=1) + "\n")


def learnt(server: str, folder: Path) -> PredictionTest:
    """Learn from a run's relays; UsageError says what the run has not."""
    results = read_results(folder)
    cells = relay_cells(launches_of(results.samples, results.twins))
    if not cells:
        waited = any(sample.load.upstream for sample in results.samples)
        raise UsageError(f"{shown(folder)} has no {'valid ' if waited else ''}cells that wait: {MEASURE}")
    found = held_out_test(cells, results.manifest.design.seed)
    known = list(dict.fromkeys(cell.server for cell in cells))
    if server not in known:
        raise UsageError(
            f"{shown(folder)} has no server {server!r} of one core that waits, as usual; it has {', '.join(known)}"
        )
    if found is None or server not in found.models:
        few = f"{shown(folder)} has too few cells of {server} that wait"
        if {cell.setting.clients for cell in cells if cell.server == server} == {1}:
            raise UsageError(f"{few} to learn from: it serves one client at a time")
        raise UsageError(f"{few}: {MEASURE}")
    return found


def ranges_of(predicted: Prediction, found: PredictionTest) -> dict[str, Range95 | None]:
    """Return each figure with its range; the knee is as certain as the throughput."""
    figures = {
        "throughput_rps": ("throughput_rps", predicted.throughput_rps),
        "cpu_us_per_request": ("cpu_us", predicted.cpu_us),
        "p50_us": ("p50_us", predicted.p50_us),
        "p99_us": ("p99_us", predicted.p99_us),
        "knee_rps": ("throughput_rps", predicted.knee.throughput_rps if predicted.knee else None),
    }
    return {
        name: None if value is None else Range95(value, *found.between(metric, value))
        for name, (metric, value) in figures.items()
    }


def as_object(
    server: str, predicted: Prediction, ranges: dict[str, Range95 | None], beyond: str
) -> dict[str, Any]:
    """Return what is written as JSON."""
    setting, knee = predicted.setting, predicted.knee
    return {
        "server": server,
        "clients": setting.clients,
        "wait_s": setting.wait_s,
        "pool": setting.pool,
        **{name: None if each is None else vars(each) for name, each in ranges.items()},
        "knee_clients": knee.clients if knee else None,
        "ceiling_rps": setting.ceiling_rps,
        "limited_by": predicted.limited_by,
        "extrapolated": beyond,
    }


def show(server: str, predicted: Prediction, ranges: dict[str, Range95 | None], console: Console) -> None:
    """Print a prediction as a person reads it."""
    setting = predicted.setting
    console.print(
        f"{server}, {setting.clients:,} clients, a wait of {setting.wait_s * 1e3:g} ms, a pool of {setting.pool:,}",
        highlight=False,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("", "predicted", "19 of 20"):
        table.add_column(column, no_wrap=True, justify="right" if column else "left")
    for title, name, unit, form in (
        ("requests/s", "throughput_rps", 1, ",.0f"),
        ("CPU µs per request", "cpu_us_per_request", 1, ",.1f"),
        ("p50 ms", "p50_us", 1e3, ",.2f"),
        ("p99 ms", "p99_us", 1e3, ",.2f"),
    ):
        each = ranges[name]
        if each is not None:
            between = (
                "–"
                if each.low is None or each.high is None
                else f"{each.low / unit:{form}} to {each.high / unit:{form}}"
            )
            table.add_row(title, f"{each.value / unit:{form}}", between)
    console.print(table)
    console.print(f"limit    {LIMITS[predicted.limited_by]}", highlight=False)
    console.print(
        f"ceiling  {setting.ceiling_rps:,.0f} requests/s by min(clients, pool) / wait, of which it reaches "
        f"{predicted.throughput_rps / setting.ceiling_rps:.0%}",
        highlight=False,
    )
    if knee := predicted.knee:
        console.print(
            f"knee     {knee.clients:,.0f} clients, {knee.throughput_rps:,.0f} requests/s: more clients would queue",
            highlight=False,
        )


def _standing(found: PredictionTest) -> str:
    if not found.judged:
        return "no cell was held out, so that nobody knows how good this is"
    return f"of the predictions of cells that were held out, {right_of(found.judged)} of {len(found.judged)} were right"
