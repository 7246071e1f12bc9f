"""Response time against the rate at which requests were answered: a panel for each server, the others grey; and the table behind."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from harness.analyse.analysis import Analysis
from harness.analyse.points import LITTLE, PINNED, spot_of
from harness.analyse.tables import Table
from harness.plan import CLOSED, Workload, by_name, is_as_usual
from harness.report.figures.look import look
from harness.report.page.drawing import Scale, axes, band, figure, label, line, mark, reaching
from harness.report.page.looks import classes
from harness.report.page.markup import Markup, behind, code, table, tag

WIDTH, HEIGHT = 300.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 22.0, 22.0


class LoadPoint(NamedTuple):
    """What one server did under one load.

    Attributes:
        offered: requests came by themselves; else each client waited for its reply.
        p50_ms, p99_ms: of the responses; None where too few came.
    """

    workload: str
    offered: bool
    rps: float
    p50_ms: float
    p99_ms: float | None


def load_points(tables: Mapping[str, Table], server: str) -> list[LoadPoint]:
    """Return what is known of a server under loads that differ in size alone: first those offered, then from the fewest clients on."""
    found = []
    for workload in sorted(filter(_belongs, map(by_name, tables)), key=_size):
        row = next((row for row in tables[workload.name].rows if row.server == server), None)
        rps, p50, p99 = (
            (row.estimates[name] if row else None)
            for name in ("throughput_rps", "response_p50_us", "response_p99_us")
        )
        if rps is not None and p50 is not None:
            is_offered = workload.load.arrivals != CLOSED
            enough = row is not None and "response_p99_us" not in row.few
            found.append(
                LoadPoint(
                    workload.name,
                    is_offered,
                    rps.mean,
                    p50.mean / 1e3,
                    p99.mean / 1e3 if p99 and enough else None,
                )
            )
    return found


def _belongs(workload: Workload) -> bool:
    if workload.load.arrivals != CLOSED:
        return not workload.of_peak and not workload.relayed
    spot = spot_of(workload, PINNED)
    return spot is not None and not spot.wait_s and spot.work == LITTLE


def _size(workload: Workload) -> tuple[bool, float]:
    load = workload.load
    return load.arrivals == CLOSED, load.rate or load.clients


def latency(analysis: Analysis) -> Markup:
    """Return the section; empty if nothing can be drawn."""
    tables = analysis.one_core.tables
    servers = [facts.label for facts in analysis.results.manifest.servers]
    known = {
        server: found
        for server in servers
        if is_as_usual(server)
        if len(found := load_points(tables, server)) > 1
    }
    if not known:
        return Markup("")
    return tag(
        "section",
        tag("h2", "Response time against rate"),
        tag("p", Markup(CAPTION), class_="note"),
        tag("div", *(_panel(server, known, servers) for server in known), class_="panels"),
        behind("The figures behind it", _table(known)),
        id="latency",
    )


CAPTION: Final = (
    "A panel for each server, with the same scales, ms upwards and requests per second to the right; the others are grey. The band reaches from p50 to p99 of the responses. "
    "Hollow marks: requests that came by themselves, at that rate. Filled marks: so many clients, each of which waited for its "
    "reply; the line goes from the fewest to the most. More load, and no more answered: the line turns upwards."
)


def _panel(server: str, known: Mapping[str, Sequence[LoadPoint]], servers: Sequence[str]) -> Markup:
    """Draw one server before all others."""
    everything = [point for found in known.values() for point in found]
    across = reaching([point.rps for point in everything], LEFT, WIDTH - RIGHT)
    up = reaching(
        [each for point in everything for each in (point.p50_ms, point.p99_ms) if each], HEIGHT - BOTTOM, TOP
    )
    others = [line(_dots(found, across, up), "other") for name, found in known.items() if name != server]
    drawn = [*axes(across, up), *others, *_drawn(server, known[server], servers, across, up)]
    title = label(server, LEFT, 13, "start", "title")
    says = f"{server}: response time in ms against requests per second"
    return figure([title, *drawn], WIDTH, HEIGHT, says, classes(servers)[server])


def _dots(found: Sequence[LoadPoint], across: Scale, up: Scale) -> list[tuple[float, float]]:
    return [(across.at(point.rps), up.at(point.p50_ms)) for point in found if not point.offered]


def _drawn(
    server: str, found: Sequence[LoadPoint], servers: Sequence[str], across: Scale, up: Scale
) -> Iterator[Markup]:
    closed = [point for point in found if not point.offered and point.p99_ms is not None]
    lower = [(across.at(point.rps), up.at(point.p50_ms)) for point in closed]
    upper = [(across.at(point.rps), up.at(point.p99_ms)) for point in closed if point.p99_ms is not None]
    if len(closed) > 1:
        yield band(upper, lower, "band")
    yield line(_dots(found, across, up), "own")
    for point in found:
        place = (across.at(point.rps), up.at(point.p50_ms))
        tail = "" if point.p99_ms is None else f", p99 {point.p99_ms:.2f} ms"
        title = f"{by_name(point.workload).title}: {point.rps:,.0f}/s, p50 {point.p50_ms:.2f} ms{tail}"
        if point.offered and point.p99_ms is not None:
            yield line([place, (place[0], up.at(point.p99_ms))], "own")
        yield mark(place, look(server, servers).mark, "hollow" if point.offered else "dot", title)


def _table(known: Mapping[str, Sequence[LoadPoint]]) -> Markup:
    rows = [
        (
            code(server),
            by_name(point.workload).title,
            f"{point.rps:,.0f}",
            f"{point.p50_ms:,.2f}",
            "–" if point.p99_ms is None else f"{point.p99_ms:,.2f}",
        )
        for server, found in known.items()
        for point in found
    ]
    head = ("server", "load", "requests/s", "p50 ms", "p99 ms")
    return table(head, rows, "Response time against rate", text_columns=2)
