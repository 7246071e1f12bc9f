"""The maps of handlers that wait: in each field who answers most, and who does so at the least CPU. Names, not colours, tell."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.analyse.crossings import MOST, Divide, MapField
from harness.analyse.rankings import Ranking
from harness.analyse.relays import RelayMap
from harness.plan import by_name
from harness.report.figures import style
from harness.report.figures.look import look
from harness.report.names import figure_of, short_names
from harness.report.wording import clients_in_words

MOST_NAMED: Final = 2
FIELD_LETTERS: Final = 30
"""What a field has room for, of the size that its names are written in, beside the mark before them."""
PALE: Final = 0.16
FIELD_SIZE: Final = (2.1, 1.35)
"""In inches."""
MEMORY_INCHES: Final = 2.6
LEAST_HEIGHT_INCHES: Final = 3.6
ABOVE_TEXT: Final = 0.34
LETTERS_PER_INCH: Final = 14
NOTE: Final = (
    "Thick line: of those who lead on its one side nobody leads on the other (▲ drawn through, ● dotted); on it, where the first of both sides are equal. "
    "Bar above a row's text: from so many clients on threads answer 5 % less than the best. In brackets, and as the bar: the 95 % interval."
)
APART: Final = 0.03
"""So far from the middle between two fields are their lines, which may be two."""


def relay_maps(maps: Sequence[RelayMap], servers: Sequence[str]) -> dict[str, str]:
    """Return the maps by file name."""
    return {figure_of(each.pool): _draw(each, servers) for each in maps}


def _draw(found: RelayMap, servers: Sequence[str]) -> str:
    wide, high = len(found.clients), len(found.waits_s)
    map_inches = 0.9 + FIELD_SIZE[0] * wide
    size = map_inches + MEMORY_INCHES, max(LEAST_HEIGHT_INCHES, 1.6 + FIELD_SIZE[1] * high)
    figure = Figure(figsize=size, layout="constrained")
    panel, beside = figure.subplots(1, 2, width_ratios=(map_inches, MEMORY_INCHES))
    _fields(panel, found, servers)
    for divide in found.divides:
        _divide(panel, found, divide)
    for server in sorted(found.threaded):
        _falling_behind(panel, found, server, servers)
    _memory(beside, found, servers)
    figure.supxlabel(textwrap.fill(NOTE, int(size[0] * LETTERS_PER_INCH)), fontsize=7.5)
    return style.svg(figure)


def _fields(panel: Axes, found: RelayMap, servers: Sequence[str]) -> None:
    waits_s, clients = found.waits_s, found.clients
    for across, many in enumerate(clients):
        for up, wait_s in enumerate(waits_s):
            if (field := found.fields.get((wait_s, many))) is not None:
                _field(panel, across, up, field, servers)
            else:
                panel.text(across, up, "not measured", ha="center", va="center", color="#888888", fontsize=8)
    panel.set_xlim(-0.5, len(clients) - 0.5)
    panel.set_ylim(-0.5, len(waits_s) - 0.5)
    panel.set_xticks(range(len(clients)), [f"{many:,}" for many in clients])
    panel.set_yticks(range(len(waits_s)), [f"{wait_s * 1e3:g} ms" for wait_s in waits_s])
    panel.grid(visible=False)
    panel.set_xlabel("clients, each with one request in flight")
    panel.set_ylabel("wait for an answer of the upstream")
    pool = "a pool as large as the clients are many" if found.pool is None else f"a pool of {found.pool}"
    title = f"{pool}\n▲ answers most (share of the ceiling)   ● least CPU per request"
    panel.set_title(title, loc="left", fontsize=9, fontweight="bold")


def _field(panel: Axes, across: int, up: int, field: MapField, servers: Sequence[str]) -> None:
    """Write who is first; a field that one server has to itself is tinted as that server is drawn elsewhere."""
    leaders = field.most.leaders
    tint = look(leaders[0], servers).tint if len(leaders) == 1 else "#ffffff"
    panel.add_patch(
        Rectangle((across - 0.5, up - 0.5), 1, 1, facecolor=tint, alpha=PALE, edgecolor="none", zorder=0)
    )
    panel.add_patch(Rectangle((across - 0.5, up - 0.5), 1, 1, fill=False, edgecolor="#cccccc", linewidth=0.6))
    share = field.most.mean(field.most.first) / by_name(field.workload).load.ceiling_rps
    lines = [f"▲ {_named(field.most, servers)}", f"{field.most.mean(field.most.first):,.0f}/s ({share:.0%})"]
    if field.cheapest is not None:
        cheapest = field.cheapest
        lines += [f"● {_named(cheapest, servers)}", f"{cheapest.mean(cheapest.first):,.0f} µs"]
    panel.text(across, up, "\n".join(lines), ha="center", va="center", fontsize=7.5, linespacing=1.35)


def _divide(panel: Axes, found: RelayMap, divide: Divide) -> None:
    """Draw the line between two fields, and say on it where both are equal."""
    across, up = found.clients.index(divide.before[1]), found.waits_s.index(divide.before[0])
    drawn_through = divide.metric == MOST
    aside = -APART if drawn_through else APART
    line: dict[str, Any] = {"color": "black", "linewidth": 1.8, "linestyle": "-" if drawn_through else ":"}
    where = f"{'▲' if drawn_through else '●'} {_where(divide)}" if divide.crossing else ""
    label: dict[str, Any] = {"fontsize": 6.5, "ha": "center", "va": "center", "zorder": 5}
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    if divide.by_clients:
        panel.plot([across + 0.5 + aside] * 2, [up - 0.5, up + 0.5], **line)
        panel.text(
            across + 0.5, up + (0.36 if drawn_through else -0.36), where, bbox=box if where else None, **label
        )
    else:
        panel.plot([across - 0.5, across + 0.5], [up + 0.5 + aside] * 2, **line)
        panel.text(across, up + 0.5 + 2 * aside, where, bbox=box if where else None, **label)


def _where(divide: Divide) -> str:
    if divide.crossing is None:
        return ""
    low, at, high = divide.crossing.low, divide.crossing.at, divide.crossing.high
    if divide.by_clients:
        return f"{at:,.0f} ({low:,.0f}–{high:,.0f})"
    return f"{at * 1e3:.1f} ms ({low * 1e3:.1f}–{high * 1e3:.1f})"


def _falling_behind(panel: Axes, found: RelayMap, server: str, servers: Sequence[str]) -> None:
    """Mark in each row from where on a server answers less than the best."""
    for up, wait_s in enumerate(found.waits_s):
        crossing = found.behind.get((server, wait_s))
        if crossing is None or not 0 < crossing.at < math.inf:
            continue
        low, at, high = (_place(found.clients, each) for each in (crossing.low, crossing.at, crossing.high))
        height = up + ABOVE_TEXT
        panel.plot([low, high], [height] * 2, color="black", linewidth=1.0, solid_capstyle="butt")
        panel.plot([at], [height], marker="|", color="black", markersize=8, markeredgewidth=1.8)
        panel.text(
            at, height + 0.05, f"{short_names(servers).get(server, server)} {clients_in_words(crossing)}",
            fontsize=6.5, ha="center", va="bottom",
        )  # fmt: skip


def _place(clients: Sequence[int], number: float) -> float:
    """Return where a number of clients lies on the axis; what is beyond what was measured lies at its ends."""
    if not clients[0] <= number <= clients[-1]:
        return -0.5 if number < clients[0] else len(clients) - 0.5
    return float(np.interp(math.log(number), np.log(clients), range(len(clients))))


def _memory(panel: Axes, found: RelayMap, servers: Sequence[str]) -> None:
    """Show what each server held at most in the fullest field."""
    (wait_s, clients), field = found.fullest
    panel.set_title(f"peak memory, MiB\n{clients:,} clients, {wait_s * 1e3:g} ms", loc="left", fontsize=9)
    if field.memory is None:
        panel.set_axis_off()
        return
    short = short_names(servers)
    ranked = list(field.memory.estimates.items())
    means = [each.mean for _, each in ranked]
    bars = panel.barh(range(len(ranked)), means, color="#bbbbbb", edgecolor="#555555", linewidth=0.6)
    panel.bar_label(bars, [f"{mean:,.0f}" for mean in means], padding=2, fontsize=7)
    panel.set_yticks(range(len(ranked)), [short.get(server, server) for server, _ in ranked], fontsize=7.5)
    panel.invert_yaxis()
    panel.margins(x=0.15)
    panel.grid(visible=False)
    panel.set_xticks([])
    panel.spines["bottom"].set_visible(False)


def _named(found: Ranking, servers: Sequence[str]) -> str:
    """Name the first and who was not told apart from it, in short; count them if they are too many."""
    short = short_names(servers)
    names = [short.get(server, server) for server in found.leaders]
    if len(names) > MOST_NAMED:
        return f"{names[0]} = {len(names) - 1} others"
    on_one_line = " = ".join(names)
    return on_one_line if len(on_one_line) <= FIELD_LETTERS else " =\n".join(names)
