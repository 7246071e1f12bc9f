"""The maps of handlers that wait: in each field who answers most, and who does so at the least CPU. Names, not colours, tell."""

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.analyse.rankings import Ranking
from harness.analyse.relays import MapField, RelayMap
from harness.plan import by_name
from harness.report.figures.look import look
from harness.report.figures.panels import STYLE, svg
from harness.report.names import figure_of, short_names

MOST_NAMED: Final = 2
PALE: Final = 0.16
FIELD_SIZE: Final = (2.1, 1.25)
"""In inches."""


def relay_maps(maps: Sequence[RelayMap], servers: Sequence[str]) -> dict[str, str]:
    """Return the maps by file name."""
    with mpl.rc_context(STYLE):
        return {figure_of(each.pool): _draw(each, servers) for each in maps}


def _draw(found: RelayMap, servers: Sequence[str]) -> str:
    waits_s, clients = found.waits_s, found.clients
    size = (1.1 + FIELD_SIZE[0] * len(clients), 1.0 + FIELD_SIZE[1] * len(waits_s))
    figure = Figure(figsize=size, layout="constrained")
    panel: Axes = figure.subplots()
    for (wait_s, many), field in found.fields.items():
        _field(panel, clients.index(many), waits_s.index(wait_s), field, servers)
    for across, many in enumerate(clients):
        for up, wait_s in enumerate(waits_s):
            if (wait_s, many) not in found.fields:
                panel.text(across, up, "not measured", ha="center", va="center", color="#888888", fontsize=8)
    panel.set_xlim(-0.5, len(clients) - 0.5)
    panel.set_ylim(-0.5, len(waits_s) - 0.5)
    panel.set_xticks(range(len(clients)), [f"{many:,}" for many in clients])
    panel.set_yticks(range(len(waits_s)), [f"{wait_s * 1e3:g} ms" for wait_s in waits_s])
    panel.grid(visible=False)
    panel.set_xlabel("clients, each with one request in flight")
    panel.set_ylabel("wait for an answer of the upstream")
    pool = "a pool as large as the clients are many" if found.pool is None else f"a pool of {found.pool}"
    panel.set_title(
        f"▲ answers most (share of the ceiling)   ● least CPU per request   ({pool})", loc="left", fontsize=9, fontweight="bold"
    )  # fmt: skip
    return svg(figure)


def _field(panel: Axes, across: int, up: int, field: MapField, servers: Sequence[str]) -> None:
    """Write who is first; a field that one server has to itself is tinted as that server is drawn elsewhere."""
    leaders = field.most.leaders
    tint = look(leaders[0], servers).tint if len(leaders) == 1 else "#ffffff"
    panel.add_patch(
        Rectangle((across - 0.5, up - 0.5), 1, 1, facecolor=tint, alpha=PALE, edgecolor="none", zorder=0)
    )
    panel.add_patch(Rectangle((across - 0.5, up - 0.5), 1, 1, fill=False, edgecolor="#aaaaaa", linewidth=0.8))
    share = field.most.mean(field.most.first) / by_name(field.workload).load.ceiling_rps
    lines = [f"▲ {_named(field.most, servers)}", f"{field.most.mean(field.most.first):,.0f}/s ({share:.0%})"]
    if field.cheapest is not None:
        cheapest = field.cheapest
        lines += [f"● {_named(cheapest, servers)}", f"{cheapest.mean(cheapest.first):,.0f} µs"]
    panel.text(across, up, "\n".join(lines), ha="center", va="center", fontsize=7.5, linespacing=1.35)


def _named(found: Ranking, servers: Sequence[str]) -> str:
    """Name the first and who was not told apart from it, in short; count them if they are too many."""
    short = short_names(servers)
    names = [short.get(server, server) for server in found.leaders]
    if len(names) > MOST_NAMED:
        return f"{names[0]} = {len(names) - 1} others"
    return " = ".join(names)
