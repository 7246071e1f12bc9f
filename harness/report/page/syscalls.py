"""How many syscalls a request takes: a bar for each server, divided by what they do."""

from collections.abc import Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.plan import by_name
from harness.record import LOCK_CALL, LoadCosts
from harness.report.page.drawing import figure, label
from harness.report.page.looks import classes
from harness.report.page.markup import Markup, behind, code, table, tag
from harness.report.wording import capital

WIDTH, ROW, LEFT, RIGHT, TOP = 680.0, 24.0, 190.0, 60.0, 6.0
LOADS: Final = ("clients_64", "ping_pong")
"""What a request takes is shown under the first of these that most servers were given."""
SHOWN: Final = 4
"""So many kinds of calls are named; the others are one part of the bar."""


def syscalls(analysis: Analysis) -> Markup:
    """Return the section; empty if none were counted."""
    costs = analysis.results.costs
    counted = {
        name: {each.server: load for each in costs if (load := each.load(name)) is not None and load.syscalls}
        for name in LOADS
    }
    workload = next((name for name in LOADS if 2 * len(counted[name]) > len(costs)), LOADS[-1])
    loads = counted[workload]
    if not loads:
        return Markup("")
    servers = [facts.label for facts in analysis.results.manifest.servers]
    return tag(
        "section",
        tag("h2", "Syscalls per request"),
        tag("p", f"{capital(by_name(workload).title)}. {CAPTION}", class_="note"),
        tag(
            "div",
            _drawn(loads, servers),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label="Syscalls per request, drawn",
        ),
        behind("The figures behind it", _table(loads)),
        id="syscalls",
    )


CAPTION: Final = (
    "Each part of a bar is one kind of call, the most frequent first. Calls for locks (futex) are left out: a server that is traced "
    "makes more of them than in life."
)


def parts_of(load: LoadCosts) -> list[tuple[str, float]]:
    """Return the most frequent calls of a request but those for locks, and all others together."""
    calls = sorted(
        ((name, count) for name, count in load.syscalls.items() if name != LOCK_CALL),
        key=lambda each: -each[1],
    )
    rest = sum(count for _, count in calls[SHOWN:]) + load.other_syscalls
    return [*calls[:SHOWN], *([("others", rest)] if rest else [])]


def _drawn(loads: dict[str, LoadCosts], servers: Sequence[str]) -> Markup:
    most = max(load.other_than_lock_calls for load in loads.values())
    drawn, y = [], TOP
    for server, load in loads.items():
        drawn.append(label(server, LEFT - 8, y + ROW * 0.65, "end"))
        x = LEFT
        for place, (name, count) in enumerate(parts_of(load)):
            width = count / most * (WIDTH - LEFT - RIGHT)
            title = tag("title", f"{server}: {name} {count:.2f}")
            drawn.append(
                tag(
                    "rect",
                    title,
                    x=x,
                    y=y + 3,
                    width=width,
                    height=ROW - 6,
                    class_=f"bar part{place} {classes(servers)[server]}",
                )
            )
            x += width
        drawn.append(label(f"{load.other_than_lock_calls:.2f}", x + 6, y + ROW * 0.65, "start"))
        y += ROW
    return figure(drawn, WIDTH, y + TOP, "Syscalls per request, by server")


def _table(loads: dict[str, LoadCosts]) -> Markup:
    head = ("server", "of which", "all but locks")
    rows = [
        (
            code(server),
            ", ".join(f"{name} {count:.2f}" for name, count in parts_of(load)),
            f"{load.other_than_lock_calls:.2f}",
        )
        for server, load in loads.items()
    ]
    return table(head, rows, "Syscalls per request", text_columns=2)
