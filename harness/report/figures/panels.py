"""The report's figures, as SVG text: the same results give the same bytes. Pure, apart from matplotlib's memory."""

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.analyse.analysis import RegimeAnalysis
from harness.analyse.samples.metrics import Metric, metric
from harness.analyse.tables import Table
from harness.plan import by_name, why_not
from harness.record import Histogram, ServerFacts, bucket_bounds
from harness.report.figures.look import look
from harness.report.wording import capital

STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "the same results give the same bytes",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "legend.frameon": False,
}
_WIDEST: Final = 1.5
"""An interval that goes beyond so many times the largest launch is cut off at the panel's edge."""
_MARGIN: Final = 1.25
_TITLE_LETTERS: Final = 42
_NEAREST_QUANTILE: Final = 0.01
_FARTHEST_QUANTILE: Final = 0.9999


@dataclass(frozen=True)
class Axis:
    """What a figure shows of servers: a metric, divided by a unit."""

    metric: Metric
    title: str
    unit: float = 1.0
    logarithmic: bool = False


_THROUGHPUT: Final = Axis(metric("throughput_rps"), "requests per second")
_CPU: Final = Axis(metric("cpu_us_per_request"), "CPU time per request in µs")
_TAIL: Final = Axis(metric("response_p99_us"), "99 % of the responses within … ms", 1000, logarithmic=True)
_SHORTER_TAIL: Final = Axis(
    metric("response_p90_us"), "90 % of the responses within … ms", 1000, logarithmic=True
)


def figures_of(regime: RegimeAnalysis) -> dict[str, str]:
    """Return the figures of one regime's servers by file name."""
    tables = regime.tables
    # All workloads would be more than anybody looks at: the core ones stand for them, if they were measured.
    measured = [name for name, table in tables.items() if table.rows and not by_name(name).relayed]
    core = [name for name in measured if by_name(name).core] or measured
    loaded = [name for name in core if by_name(name).load.clients > 1]
    beside = [name for name in measured if by_name(name).load.background]
    growing = [
        name for name in measured if name == "ping_pong" or name == f"clients_{by_name(name).load.clients}"
    ]
    drawn = {}
    with mpl.rc_context(STYLE):
        if loaded:
            drawn["throughput.svg"] = _dots(regime, dict.fromkeys(loaded, _THROUGHPUT))
            drawn["cpu.svg"] = _dots(regime, dict.fromkeys(loaded, _CPU))
        if core:
            drawn["latency.svg"] = _latencies(regime, core)
        if len(growing) > 2:
            drawn["clients.svg"] = _growth(regime, growing)
        if beside:
            drawn["beside.svg"] = _dots(regime, {name: _tail_of(tables[name]) for name in beside})
    return drawn


def _tail_of(table: Table) -> Axis:
    """Choose the quantile of which enough is known of most servers: the farther one takes more requests than some workloads let through."""
    known = sum(_TAIL.metric.name not in row.few for row in table.rows)
    return _TAIL if 2 * known > len(table.rows) else _SHORTER_TAIL


def _dots(regime: RegimeAnalysis, axes_of: Mapping[str, Axis]) -> str:
    """Draw each launch as a pale dot, and the mean with its interval; a panel for each workload."""
    tables, names = regime.tables, list(axes_of)
    servers = [facts.label for facts in regime.servers if _belongs(facts, tables, names)]
    rows = (len(names) + 1) // 2
    figure = Figure(figsize=(8.6, rows * (0.7 + 0.25 * len(servers))), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, sharey=True)
    for place, (name, axis) in enumerate(axes_of.items()):
        panel: Axes = axes[place // 2][place % 2]
        of = axis.metric
        values = {row.server: row.values[of.name] for row in tables[name].rows if row.values[of.name]}
        nearest, farthest = math.inf, 0.0
        for height, server in enumerate(reversed(servers)):
            if server not in values:
                _say(panel, height, "no figure" if _measured(server, tables[name]) else "cannot serve it")
                continue
            drawn = look(server, servers)
            launches = [value / axis.unit for value in values[server]]
            panel.plot(launches, [height] * len(launches), ".", color=drawn.tint, alpha=0.35, markersize=5)
            nearest, farthest = min(nearest, *launches), max(farthest, *launches)
            found = tables[name].row(server).estimates[of.name]
            if found is None:
                continue
            if found.low is not None and found.high is not None:
                ends = [found.low / axis.unit, found.high / axis.unit]
                farthest = max(farthest, min(ends[1], _WIDEST * max(launches)))
                panel.plot(ends, [height] * 2, color=drawn.tint, linewidth=2)
            panel.plot(
                [found.mean / axis.unit], [height], drawn.mark, color=drawn.tint, markersize=7,
                fillstyle=drawn.fill, markerfacecoloralt="white",
            )  # fmt: skip
        if axis.logarithmic:
            panel.set_xscale("log")
            _tick_plainly(panel.xaxis)
            if farthest:
                panel.set_xlim(nearest / _MARGIN, farthest * _MARGIN)
        else:
            panel.set_xlim(0, 1.08 * farthest or 1)
            panel.xaxis.set_major_locator(MaxNLocator(5))
            panel.xaxis.set_major_formatter(_plainly)
        panel.set_ylim(-0.6, len(servers) - 0.4)
        panel.set_yticks(range(len(servers)), list(reversed(servers)))
        panel.grid(visible=False, axis="y")
        title = textwrap.fill(capital(by_name(name).title), _TITLE_LETTERS)
        panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
        panel.set_xlabel(axis.title)
    for unused in range(len(names), axes.size):
        axes[unused // 2][unused % 2].set_visible(False)
    return svg(figure)


def _belongs(facts: ServerFacts, tables: Mapping[str, Table], names: Sequence[str]) -> bool:
    """Tell whether a server has figures in any of these panels, or cannot have them."""
    return any(
        _measured(facts.label, tables[name]) or why_not(facts.most_clients, by_name(name)) for name in names
    )


def _measured(server: str, table: Table) -> bool:
    """Tell whether a server was measured under a workload, validly or not."""
    return any(row.server == server for row in table.rows)


def _tick_plainly(side: XAxis | YAxis) -> None:
    """Put ticks on a logarithmic axis that are read easily even where it spans less than a decade."""
    side.set_major_locator(LogLocator(subs=(1, 2, 5)))
    side.set_major_formatter(_plainly)
    side.set_minor_locator(NullLocator())


def _say(panel: Axes, height: int, text: str) -> None:
    """Write in the place of a figure that is not there."""
    place = panel.get_yaxis_transform()
    panel.text(0.01, height, f"  {text}", transform=place, va="center", color="#888888", fontsize=8)


@FuncFormatter
def _plainly(value: float, _: int) -> str:
    """Write a number on an axis with no more digits than it has."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def _growth(regime: RegimeAnalysis, names: Sequence[str]) -> str:
    """Draw what a request costs, and how long it takes, against the number of clients, of whom was measured with all that it can serve."""
    tables = regime.tables
    servers = [
        facts.label
        for facts in regime.servers
        if all(
            why_not(facts.most_clients, by_name(name)) or _measured(facts.label, tables[name])
            for name in names
        )
    ]
    figure = Figure(figsize=(8.6, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    by_clients = sorted(names, key=lambda name: by_name(name).load.clients)
    for panel, axis in zip(panels, (_CPU, _TAIL), strict=True):
        for server in servers:
            known = [
                (by_name(name).load.clients, row.estimates[axis.metric.name])
                for name in by_clients
                for row in tables[name].rows
                if row.server == server
            ]
            points = [(clients, found.mean / axis.unit) for clients, found in known if found is not None]
            if points:
                drawn = look(server, servers)
                panel.plot(
                    *zip(*points, strict=True), drawn.line, color=drawn.tint, marker=drawn.mark, fillstyle=drawn.fill,
                    markerfacecoloralt="white", label=server, linewidth=1.4, markersize=5,
                )  # fmt: skip
        panel.set_xscale("log")
        panel.set_yscale("log")
        for side in (panel.xaxis, panel.yaxis):
            _tick_plainly(side)
        panel.set_xticks([by_name(name).load.clients for name in by_clients])
        panel.set_xlabel("clients, each with one request in flight")
        panel.set_ylabel(axis.title)
    _add_legend(figure)
    return svg(figure)


def _add_legend(figure: Figure) -> None:
    """Name every server once, whichever panels it is in."""
    handles: dict[str, Any] = {}
    for panel in figure.axes:
        handles |= {
            label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True) if label not in handles
        }  # fmt: skip
    columns = min(4, max(1, len(handles)))
    figure.legend([*handles.values()], [*handles], loc="outside lower center", ncols=columns)


def _latencies(regime: RegimeAnalysis, names: Sequence[str]) -> str:
    """Draw response time against quantile, the tail stretched out."""
    servers = [facts.label for facts in regime.servers]
    figure = Figure(figsize=(8.6, 0.6 + 3.1 * ((len(names) + 1) // 2)), layout="constrained")
    axes = figure.subplots((len(names) + 1) // 2, 2, squeeze=False)
    for place, name in enumerate(names):
        panel: Axes = axes[place // 2][place % 2]
        for server in servers:
            row = next((row for row in regime.tables[name].rows if row.server == server), None)
            if row is not None and row.responses:
                _tail(panel, row.responses, server, servers)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlim(1, 1 / (1 - _FARTHEST_QUANTILE))
        panel.set_xticks([1, 2, 10, 100, 1000, 10000], ["0", "50", "90", "99", "99.9", "99.99"])
        panel.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.set_title(capital(by_name(name).title), loc="left", fontsize=9, fontweight="bold")
        panel.set_xlabel("percentile of the requests")
        panel.set_ylabel("response time in ms")
    for unused in range(len(names), axes.size):
        axes[unused // 2][unused % 2].set_visible(False)
    _add_legend(figure)
    return svg(figure)


def _tail(panel: Axes, together: Histogram, server: str, servers: Sequence[str]) -> None:
    drawn_as = look(server, servers)
    buckets = sorted(together)
    counts = np.array([together[bucket] for bucket in buckets])
    middles_ms = np.array([sum(bucket_bounds(bucket)) / 2 for bucket in buckets]) / 1e6
    share_below = np.cumsum(counts) / counts.sum()
    beyond = 1 / np.maximum(1 - share_below, 1e-12)
    drawn = beyond <= 1 / (1 - _FARTHEST_QUANTILE)
    drawn &= share_below >= _NEAREST_QUANTILE
    marked = [int(np.argmax(share_below >= q)) for q in (0.5, 0.9, 0.99, 0.999)]
    skipped = int(np.argmax(drawn))
    panel.plot(
        beyond[drawn], middles_ms[drawn], drawn_as.line, color=drawn_as.tint, marker=drawn_as.mark, label=server,
        fillstyle=drawn_as.fill, markerfacecoloralt="white", linewidth=1.4, markersize=4.5,
        markevery=[index - skipped for index in marked if skipped <= index < skipped + drawn.sum()],
    )  # fmt: skip


def svg(figure: Figure) -> str:
    """Return a figure as text, the same bytes each time."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
