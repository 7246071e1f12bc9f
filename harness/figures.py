"""The report's figures, as SVG text: the same results give the same bytes. Pure, apart from matplotlib's memory."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.analyse import Metric, by_block, counted, metric
from harness.plan import by_name
from harness.quantiles import merged
from harness.record import Results, Sample, bucket_bounds
from harness.tables import Table
from harness.validity import invalidity
from implementations import SERVERS

# Okabe and Ito's palette, told apart by the colour-blind; a server keeps its colour and its mark everywhere.
_PALETTE: Final = ("#555555", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
_MARKS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLE: Final[dict[Any, Any]] = {
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
_FIRST: Final = (
    "blocking",
    "threaded",
    "select_generators",
    "asyncio_streams",
    "trio_nursery",
    "gevent_greenlets",
)
"""Colours stay what they are from report to report, though the catalogue's order is another by now."""
_NEAREST_QUANTILE: Final = 0.01
_FARTHEST_QUANTILE: Final = 0.9999


def figures(results: Results, tables: Mapping[str, Table]) -> dict[str, str]:
    """Return the figures by file name."""
    # All workloads would be more than anybody looks at: the core ones stand for them, if they were measured.
    measured = [name for name, table in tables.items() if table.rows]
    measured = [name for name in measured if by_name(name).core] or measured
    loaded = [name for name in measured if by_name(name).clients > 1]
    drawn = {}
    with mpl.rc_context(_STYLE):
        if loaded:
            drawn["throughput.svg"] = _dots(
                results, tables, loaded, metric("throughput_rps"), "requests per second"
            )
            drawn["cpu.svg"] = _dots(
                results, tables, loaded, metric("cpu_us_per_request"), "CPU time per request in µs"
            )
        if measured:
            drawn["latency.svg"] = _latencies(results, measured)
    return drawn


def colour(server: str, servers: Sequence[str]) -> tuple[str, str]:
    """Return a server's colour and mark: ours in the order in which they joined, others by their place in the run."""
    ours = [*_FIRST, *(name for name in SERVERS if name not in _FIRST)]
    others = [label for label in servers if label not in ours]
    place = ours.index(server) if server in ours else len(ours) + others.index(server)
    rounds, tint = divmod(place, len(_PALETTE))
    return _PALETTE[tint], _MARKS[(tint + rounds) % len(_MARKS)]


def _dots(
    results: Results, tables: Mapping[str, Table], names: Sequence[str], of: Metric, axis_title: str
) -> str:
    """Draw each launch as a pale dot, and the mean with its interval."""
    servers = [facts.label for facts in results.manifest.servers]
    figure = Figure(
        figsize=(8.6, 0.6 + 0.34 * len(servers) * ((len(names) + 1) // 2) * 1.25), layout="constrained"
    )
    axes = figure.subplots((len(names) + 1) // 2, 2, squeeze=False, sharey=True)
    for place, name in enumerate(names):
        panel: Axes = axes[place // 2][place % 2]
        values = by_block(results.samples, name, of)
        farthest = 0.0
        for height, server in enumerate(reversed(servers)):
            tint, mark = colour(server, servers)
            if server not in values:
                panel.text(
                    0.01,
                    height,
                    "  cannot serve it",
                    transform=panel.get_yaxis_transform(),
                    va="center",
                    color="#888888",
                    fontsize=8,
                )
                continue
            launches = list(values[server].values())
            farthest = max(farthest, *launches)
            panel.plot(launches, [height] * len(launches), ".", color=tint, alpha=0.35, markersize=5)
            found = tables[name].row(server).estimates[of.name]
            if found is not None:
                if found.low is not None and found.high is not None:
                    panel.plot([found.low, found.high], [height] * 2, color=tint, linewidth=2)
                panel.plot([found.mean], [height], mark, color=tint, markersize=7)
        panel.set_xlim(0, 1.08 * farthest or 1)
        panel.xaxis.set_major_locator(MaxNLocator(5))
        panel.set_ylim(-0.6, len(servers) - 0.4)
        panel.set_yticks(range(len(servers)), list(reversed(servers)))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        panel.grid(visible=False, axis="y")
        panel.set_title(by_name(name).title, loc="left", fontsize=9, fontweight="bold")
        panel.set_xlabel(axis_title)
    for unused in range(len(names), axes.size):
        axes[unused // 2][unused % 2].set_visible(False)
    return _svg(figure)


def _latencies(results: Results, names: Sequence[str]) -> str:
    """Draw response time against quantile, the tail stretched out."""
    servers = [facts.label for facts in results.manifest.servers]
    figure = Figure(figsize=(8.6, 3.1 * ((len(names) + 1) // 2)), layout="constrained")
    axes = figure.subplots((len(names) + 1) // 2, 2, squeeze=False)
    for place, name in enumerate(names):
        panel: Axes = axes[place // 2][place % 2]
        for server in servers:
            samples = [
                sample
                for sample in counted(results.samples)
                if (sample.workload, sample.server) == (name, server) and not invalidity(sample)
            ]
            if samples:
                _tail(panel, samples, server, servers)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlim(1, 1 / (1 - _FARTHEST_QUANTILE))
        panel.set_xticks([1, 2, 10, 100, 1000, 10000], ["0", "50", "90", "99", "99.9", "99.99"])
        panel.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.set_title(by_name(name).title, loc="left", fontsize=9, fontweight="bold")
        panel.set_xlabel("percentile of the requests")
        panel.set_ylabel("response time in ms")
    for unused in range(len(names), axes.size):
        axes[unused // 2][unused % 2].set_visible(False)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, max(1, len(labels))))
    return _svg(figure)


def _tail(panel: Axes, samples: Sequence[Sample], server: str, servers: Sequence[str]) -> None:
    tint, mark = colour(server, servers)
    together = merged(sample.response_ns for sample in samples)
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
        beyond[drawn], middles_ms[drawn], color=tint, marker=mark, label=server, linewidth=1.4, markersize=4.5,
        markevery=[index - skipped for index in marked if skipped <= index < skipped + drawn.sum()],
    )  # fmt: skip


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"
