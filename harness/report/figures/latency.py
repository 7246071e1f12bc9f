"""Response time against quantile, the tail stretched out: a few models at a time, the rest grey."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.analyse.analysis import RegimeAnalysis
from harness.analyse.tables import Table
from harness.plan import by_name, model_of
from harness.record import Histogram, bucket_bounds
from harness.report.figures import style
from harness.report.figures.look import look
from harness.report.figures.style import GREY, WIDTH_INCHES, say_what_is_drawn
from harness.report.wording import capital

MOST_AT_ONCE: Final = 5
_NEAREST_QUANTILE: Final = 0.01
_FARTHEST_QUANTILE: Final = 0.9999


def latencies(regime: RegimeAnalysis, names: Sequence[str]) -> str:
    """Draw a row of panels for each workload, each with a few of the models in colour."""
    models = [facts.label for facts in regime.servers if facts.label == model_of(facts.label)]
    groups = [models[begin : begin + MOST_AT_ONCE] for begin in range(0, len(models), MOST_AT_ONCE)] or [[]]
    size = (WIDTH_INCHES, 0.4 + 3.1 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(names), len(groups), squeeze=False, sharey="row", sharex=True)
    for row, name in zip(axes, names, strict=True):
        for panel, group in zip(row, groups, strict=True):
            _panel(panel, regime.tables[name], models, group)
        row[0].set_title(capital(by_name(name).title), loc="left", fontsize=9, fontweight="bold")
        row[0].set_ylabel("response time in ms")
    for panel in axes[-1]:
        panel.set_xlabel("percentile of the requests")
    say_what_is_drawn(
        figure,
        "All launches of a server together. In colour the models that the panel names, in grey all others; marks at 50, 90, 99 and 99.9 %.",
    )
    return style.svg(figure)


def _panel(panel: Axes, table: Table, models: Sequence[str], group: Sequence[str]) -> None:
    responses = {row.server: row.responses for row in table.rows if row.responses and row.server in models}
    for server in sorted(responses, key=lambda each: each in group):
        _curve(panel, responses[server], server, models, in_colour=server in group)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(1, 1 / (1 - _FARTHEST_QUANTILE))
    panel.set_xticks([1, 2, 10, 100, 1000, 10000], ["0", "50", "90", "99", "99.9", "99.99"])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if any(server in responses for server in group):
        panel.legend(loc="upper left", fontsize=7.5)


def _curve(panel: Axes, together: Histogram, server: str, models: Sequence[str], *, in_colour: bool) -> None:
    drawn_as = look(server, models)
    buckets = sorted(together)
    counts = np.array([together[bucket] for bucket in buckets])
    middles_ms = np.array([sum(bucket_bounds(bucket)) / 2 for bucket in buckets]) / 1e6
    share_below = np.cumsum(counts) / counts.sum()
    beyond = 1 / np.maximum(1 - share_below, 1e-12)
    drawn = (beyond <= 1 / (1 - _FARTHEST_QUANTILE)) & (share_below >= _NEAREST_QUANTILE)
    if not in_colour:
        panel.plot(beyond[drawn], middles_ms[drawn], color=GREY, linewidth=0.8)
        return
    marked = [int(np.argmax(share_below >= q)) for q in (0.5, 0.9, 0.99, 0.999)]
    skipped = int(np.argmax(drawn))
    panel.plot(
        beyond[drawn], middles_ms[drawn], drawn_as.line, color=drawn_as.tint, marker=drawn_as.mark, label=server,
        fillstyle=drawn_as.fill, markerfacecoloralt="white", linewidth=1.4, markersize=4.5,
        markevery=[index - skipped for index in marked if skipped <= index < skipped + drawn.sum()],
    )  # fmt: skip
