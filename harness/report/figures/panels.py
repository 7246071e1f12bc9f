"""Figures in which servers stand below each other, or are followed over the number of clients. Pure, apart from matplotlib's memory."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from harness.analyse.analysis import RegimeAnalysis
from harness.analyse.answer import ConnectionMemory
from harness.analyse.samples.metrics import Metric, metric
from harness.analyse.tables import Row, Table
from harness.plan import by_name, is_as_usual, model_of, why_not
from harness.record import ServerFacts
from harness.report.figures import style
from harness.report.figures.look import look
from harness.report.figures.style import DOTS, WIDTH_INCHES, say_what_is_drawn, tick_plainly
from harness.report.wording import capital

_WIDEST: Final = 1.5
"""An interval that goes beyond so many times the largest launch is cut off at the panel's edge."""
_MARGIN: Final = 1.25
_TITLE_LETTERS: Final = 42
_ABREAST: Final = 2
"""So many panels stand beside each other."""
_FAR: Final = 1000
"""On a scale that reaches so many times as far as it begins, only powers of ten have room for their digits."""


@dataclass(frozen=True)
class Axis:
    """What a panel shows of servers: a metric, divided by a unit, on a logarithmic scale."""

    metric: Metric
    title: str
    unit: float = 1.0


THROUGHPUT: Final = Axis(metric("throughput_rps"), "requests per second")
CPU: Final = Axis(metric("cpu_us_per_request"), "CPU time per request in µs")
TAIL: Final = Axis(metric("response_p99_us"), "99 % of the responses within … ms", 1000)


def dots(regime: RegimeAnalysis, workloads: Sequence[str], axis: Axis) -> str:
    """Draw the same of each server under several workloads, on the same scale; a panel for each."""
    return _draw(regime, [(name, axis) for name in workloads], same_scale=True)


def side_by_side(regime: RegimeAnalysis, workload: str, axes: Sequence[Axis]) -> str:
    """Draw several things of each server under one workload."""
    return _draw(regime, [(workload, axis) for axis in axes], same_scale=False)


def _draw(regime: RegimeAnalysis, panels: Sequence[tuple[str, Axis]], *, same_scale: bool) -> str:
    rows = [panels[place : place + _ABREAST] for place in range(0, len(panels), _ABREAST)]
    listed = [[facts for facts in regime.servers if _belongs(facts, regime.tables, row)] for row in rows]
    heights = [0.7 + 0.25 * len(servers) for servers in listed]
    figure = Figure(figsize=(WIDTH_INCHES, 0.3 + sum(heights)), layout="constrained")
    axes = figure.subplots(
        len(rows),
        _ABREAST,
        squeeze=False,
        sharey="row",
        sharex="all" if same_scale else "none",
        height_ratios=heights,
    )
    scales: list[tuple[float, float]] = []
    for place, (name, axis) in enumerate(panels):
        panel: Axes = axes[place // _ABREAST][place % _ABREAST]
        servers = listed[place // _ABREAST]
        panel.set_xlim(1, 10)  # until it is known how far the figures reach
        panel.set_xscale("log")
        scales.append(_servers(panel, regime, name, axis, servers))
        panel.set_ylim(-0.6, len(servers) - 0.4)
        panel.set_yticks(range(len(servers)), [facts.label for facts in reversed(servers)])
        panel.grid(visible=False, axis="y")
        title = textwrap.fill(capital(by_name(name).title), _TITLE_LETTERS)
        panel.set_title(title, loc="left", fontsize=9, fontweight="bold")
        panel.set_xlabel(axis.title)
        panel.tick_params(labelbottom=True)
        if not same_scale:
            _set_scale(panel, [scales[-1]])
    if same_scale:
        _set_scale(axes[0][0], scales)
    for unused in range(len(panels), axes.size):
        axes[unused // _ABREAST][unused % _ABREAST].set_visible(False)
    say_what_is_drawn(figure, f"{DOTS} Without dots: of all launches together, since some cannot say.")
    return style.svg(figure)


def _set_scale(panel: Axes, scales: Sequence[tuple[float, float]]) -> None:
    nearest, farthest = min(low for low, _ in scales), max(high for _, high in scales)
    if farthest:
        panel.set_xlim(nearest / _MARGIN, farthest * _MARGIN)
    tick_plainly(panel.xaxis, sparsely=farthest > _FAR * nearest)


def _servers(
    panel: Axes, regime: RegimeAnalysis, workload: str, axis: Axis, servers: Sequence[ServerFacts]
) -> tuple[float, float]:
    """Draw each server's launches, mean and interval; return from where to where they reach."""
    nearest, farthest = math.inf, 0.0
    everybody = [facts.label for facts in regime.servers]
    for height, facts in enumerate(reversed(servers)):
        row = _row(facts.label, regime.tables[workload])
        found = row.estimates[axis.metric.name] if row else None
        if row is None or found is None:
            _say(panel, height, "no figure" if row else _why_not_measured(facts, workload))
            continue
        drawn = look(facts.label, everybody)
        launches = [value / axis.unit for value in row.values[axis.metric.name]]
        panel.plot(launches, [height] * len(launches), ".", color=drawn.tint, alpha=0.35, markersize=5)
        mean = found.mean / axis.unit
        nearest, farthest = min(nearest, mean, *launches), max(farthest, mean, *launches)
        if found.low is not None and found.high is not None and launches:
            ends = [max(found.low / axis.unit, min(launches) / _WIDEST), found.high / axis.unit]
            farthest = max(farthest, min(ends[1], _WIDEST * max(launches)))
            panel.plot(ends, [height] * 2, color=drawn.tint, linewidth=2)
        panel.plot(
            [mean], [height], drawn.mark, color=drawn.tint, markersize=7, markerfacecoloralt="white",
            fillstyle=drawn.fill,
        )  # fmt: skip
    return nearest, farthest


def _why_not_measured(facts: ServerFacts, workload: str) -> str:
    return "cannot serve it" if why_not(facts.most_clients, by_name(workload)) else "not measured"


def _belongs(facts: ServerFacts, tables: Mapping[str, Table], panels: Sequence[tuple[str, Axis]]) -> bool:
    """Tell whether a server has figures in any of these panels, or cannot have them: that is said of it once, not of all its ways."""
    return any(
        _row(facts.label, tables[name])
        or (is_as_usual(facts.label) and why_not(facts.most_clients, by_name(name)))
        for name, _ in panels
    )


def _row(server: str, table: Table) -> Row | None:
    """Return what was measured of a server under a workload, validly or not."""
    return next((row for row in table.rows if row.server == server), None)


def _say(panel: Axes, height: int, text: str) -> None:
    """Write in the place of a figure that is not there."""
    place = panel.get_yaxis_transform()
    panel.text(0.01, height, f"  {text}", transform=place, va="center", color="#888888", fontsize=8)


def growth(regime: RegimeAnalysis, names: Mapping[int, str]) -> str:
    """Draw what models answer, and how long it takes, against the number of clients, of which there is a workload for each."""
    tables = regime.tables
    servers = [
        facts.label
        for facts in regime.servers
        if facts.label == model_of(facts.label)
        and all(
            why_not(facts.most_clients, by_name(name)) or _row(facts.label, tables[name])
            for name in names.values()
        )
    ]
    figure = Figure(figsize=(WIDTH_INCHES, 4.9), layout="constrained")
    for panel, axis in zip(figure.subplots(1, 2), (THROUGHPUT, TAIL), strict=True):
        for place, server in enumerate(servers):
            _follow(
                panel,
                axis,
                server,
                servers,
                _points(tables, names, server, axis),
                _aside(place, len(servers)),
            )
        for side in (panel.xaxis, panel.yaxis):
            (panel.set_xscale if side is panel.xaxis else panel.set_yscale)("log")
            tick_plainly(side)
        panel.set_xticks([*names], [f"{clients:,}" for clients in names])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.set_xlabel("clients, each with one request in flight")
        panel.set_ylabel(axis.title)
    add_legend(figure)
    say_what_is_drawn(
        figure,
        "Mark and bar: the mean of all launches and its 95 % interval; those of one number of clients stand beside each other.",
    )
    return style.svg(figure)


Point = tuple[int, float, float, float]
"""A number of clients, a mean, and how far its interval reaches below and above."""


def _points(tables: Mapping[str, Table], names: Mapping[int, str], server: str, axis: Axis) -> list[Point]:
    points = []
    for clients, name in names.items():
        row = next((row for row in tables[name].rows if row.server == server), None)
        found = row.estimates[axis.metric.name] if row else None
        if found is not None:
            low, high = (found.mean if each is None else each for each in (found.low, found.high))
            points.append(
                (
                    clients,
                    found.mean / axis.unit,
                    (found.mean - low) / axis.unit,
                    (high - found.mean) / axis.unit,
                )
            )
    return points


def _aside(place: int, of: int) -> float:
    """Return the factor by which a server's marks stand beside their number of clients."""
    return float(1.02 ** (place - (of - 1) / 2))


def _follow(  # noqa: PLR0913 - what, of whom, and where
    panel: Axes, axis: Axis, server: str, servers: Sequence[str], points: Sequence[Point], aside: float
) -> None:
    if not points:
        return
    drawn = look(server, servers)
    clients, means, below, above = zip(*points, strict=True)
    most = [min(up, (_WIDEST - 1) * mean) for up, mean in zip(above, means, strict=True)]
    panel.errorbar(
        [aside * each for each in clients], means, yerr=(below, most), color=drawn.tint, marker=drawn.mark, fillstyle=drawn.fill,
        markerfacecoloralt="white", label=server, linewidth=1.2, markersize=5, elinewidth=1.0, linestyle=drawn.line,
        gid=f"{server} {axis.metric.name}",
    )  # fmt: skip


def add_legend(figure: Figure) -> None:
    """Name every server once, whichever panels it is in."""
    handles: dict[str, Any] = {}
    for panel in figure.axes:
        handles |= {
            label: handle for handle, label in zip(*panel.get_legend_handles_labels(), strict=True) if label not in handles
        }  # fmt: skip
    columns = min(4, max(1, len(handles)))
    figure.legend([*handles.values()], [*handles], loc="outside upper center", ncols=columns)


def memory(found: Sequence[ConnectionMemory]) -> str:
    """Draw what a connection takes of the process and of the kernel."""
    figure = Figure(figsize=(WIDTH_INCHES, 0.9 + 0.25 * len(found)), layout="constrained")
    panel: Axes = figure.subplots()
    heights = range(len(found))
    panel.barh(heights, [each.process_kib for each in found], color="#56B4E9", label="process")
    kernel = panel.barh(
        heights,
        [each.kernel_kib for each in found],
        left=[each.process_kib for each in found],
        color="#555555",
        label="kernel: stacks and page tables",
    )
    panel.bar_label(kernel, [f"{each.kib:.1f}" for each in found], padding=3, fontsize=8)
    panel.set_yticks(heights, [each.server for each in found])
    panel.invert_yaxis()
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("KiB of a connected, silent client")
    panel.legend(loc="upper right")
    say_what_is_drawn(
        figure, "Each bar: the slope of a line through several numbers of connections to one launch."
    )
    return style.svg(figure)
