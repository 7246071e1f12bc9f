"""From the launches of a run to cells of relays. Pure."""

from collections.abc import Iterable
from typing import Final

from harness.analyse.blocks import Launch, counted
from harness.analyse.prediction.cells import RelayCell
from harness.analyse.prediction.laws import Setting
from harness.analyse.samples.metrics import METRICS
from harness.plan import CLOSED, CONSTANT, ONE_CORE, is_as_usual

FIGURES: Final = {
    metric.name: metric
    for metric in METRICS
    if metric.name in {"throughput_rps", "cpu_us_per_request", "response_p50_us", "response_p99_us"}
}


def relay_cells(launches: Iterable[Launch]) -> list[RelayCell]:
    """Return what was measured of relays on one core, in closed loops, whose waits are all the same; of each valid launch a cell."""
    found = []
    for launch in counted(launches):
        load, waiting = launch.sample.load, launch.sample.load.upstream
        if (
            not is_as_usual(launch.sample.cell.server)
            or waiting is None
            or waiting.spread != CONSTANT
            or load.arrivals != CLOSED
        ):
            continue
        figures = {name: launch.value(metric) for name, metric in FIGURES.items()}
        known = [figure for figure in figures.values() if figure]
        if not launch.valid or launch.sample.placement.regime != ONE_CORE or len(known) < len(figures):
            continue
        setting = Setting(load.clients, waiting.wait_s, min(waiting.pool, load.clients))
        found.append(RelayCell(launch.sample.cell.server, launch.sample.cell.block, setting, *known))
    return found
