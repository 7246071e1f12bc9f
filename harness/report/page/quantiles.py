"""How long the slowest wait: all quantiles of a workload, the tail stretched out; some servers at a time, the others grey."""

from itertools import accumulate
from typing import Any, Final

from harness.analyse.analysis import Analysis
from harness.analyse.tables import Row, Table
from harness.plan import ONE_CORE, by_name
from harness.record import Histogram, bucket_bounds
from harness.report.page.looks import dash
from harness.report.page.markup import Markup, behind, code, table, tag
from harness.report.wording import capital

PER_DECADE: Final = 12
DECADES: Final = 4
BEYOND: Final = tuple(10 ** (step / PER_DECADE) for step in range(1, DECADES * PER_DECADE + 1))
"""1 / (1 - q) of the quantiles that are drawn: evenly spread where the tail is stretched out so; the shortest responses say nothing."""
DIGITS: Final = 4
SHOWN_AT_FIRST: Final = (
    "threaded",
    "asyncio_streams",
    "trio_nursery",
    "gevent_greenlets",
    "selectors_callbacks",
)


def curve(together: Histogram) -> list[float | None]:
    """Return the response time in ms at each quantile that is drawn; None beyond the last but one observation."""
    buckets = sorted(together)
    reached = list(accumulate(together[bucket] for bucket in buckets))
    count = reached[-1] if reached else 0
    found: list[float | None] = []
    at = 0
    for beyond in BEYOND:
        if count < beyond:
            found.append(None)
            continue
        while reached[at] < (1 - 1 / beyond) * count:
            at += 1
        low, above = bucket_bounds(buckets[at])
        found.append(float(f"{(low + above) / 2e6:.{DIGITS}g}"))
    return found


def quantiles(analysis: Analysis) -> tuple[Markup, dict[str, Any]]:
    """Return the section, and the curves that its script draws."""
    tables = {
        f"{name} on {regime}" if regime != ONE_CORE else name: table
        for regime, name, table in _tables(analysis)
    }
    servers = [facts.label for facts in analysis.results.manifest.servers]
    first = next((name for name in ("clients_500", "clients_64") if name in tables), next(iter(tables), ""))
    options = [
        tag(
            "option",
            f"{capital(by_name(table.workload).title)}{', all cores' if ' on ' in name else ''}",
            value=name,
            selected=name == first,
        )
        for name, table in tables.items()
    ]
    section = tag(
        "section",
        tag("h2", "How long the slowest wait"),
        tag("p", CAPTION, class_="note"),
        tag(
            "form",
            tag("label", "Workload", tag("select", *options, name="load")),
            tag("fieldset", tag("legend", "Servers in colour"), *(_box(each, servers) for each in servers)),
            id="tail",
            autocomplete="off",
            hidden=True,
        ),
        tag("div", id="curves"),
        *(
            behind(
                f"{capital(by_name(table.workload).title)}{', all cores' if ' on ' in name else ''}",
                _table(table),
                data_load=name,
            )
            for name, table in tables.items()
        ),
        id="quantiles",
    )
    data = {
        "beyond": [float(f"{each:.6g}") for each in BEYOND],
        "servers": [{"name": each, "dash": dash(each, servers)} for each in servers],
        "curves": {
            name: {
                str(servers.index(row.server)): curve(row.responses) for row in table.rows if row.responses
            }
            for name, table in tables.items()
        },
    }
    return section, data


CAPTION: Final = (
    "Each line is all responses of all valid launches of a server together. To the right, each step of the axis has ten times fewer "
    "requests beyond it. What is in colour is chosen; who is ahead does not depend on it."
)


def _tables(analysis: Analysis) -> list[tuple[str, str, Table]]:
    return [
        (regime, name, found)
        for regime, of in ((ONE_CORE, analysis.one_core), ("all cores", analysis.all_cores))
        for name, found in of.tables.items()
        if any(row.responses for row in found.rows)
    ]


def _box(server: str, servers: list[str]) -> Markup:
    return tag(
        "label",
        tag("input", type="checkbox", name="show", value=server, checked=server in SHOWN_AT_FIRST),
        tag("span", class_=f"swatch s{servers.index(server)}"),
        server,
    )


def _table(found: Table) -> Markup:
    head = ("server", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms")
    rows = [
        (
            code(row.server),
            *(_cell(row, name) for name in NAMES),
            f"{row.response_max_ms:,.1f}" if row.responses else "–",
        )
        for row in found.rows
    ]
    return table(head, rows, f"{capital(by_name(found.workload).title)}; * fewer than 100 events beyond it")


NAMES: Final = ("response_p50_us", "response_p90_us", "response_p99_us", "response_p999_us")


def _cell(row: Row, name: str) -> str:
    found = row.estimates[name]
    return "–" if found is None else f"{found.mean / 1e3:,.2f}{' *' if name in row.few else ''}"
