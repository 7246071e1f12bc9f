"""The map of handlers that wait: who answers the most, by how long they wait, and for how many clients."""

from collections.abc import Iterator, Sequence

from harness.analyse.analysis import Analysis
from harness.analyse.crossings import MapField
from harness.analyse.rankings import Ranking
from harness.analyse.relays import RelayMap
from harness.plan import by_name
from harness.report.names import short_names
from harness.report.page.looks import classes
from harness.report.page.markup import Markup, scrolled, tag

MOST_NAMED = 3


def waiting(analysis: Analysis) -> Markup:
    """Return the section."""
    servers = [facts.label for facts in analysis.results.manifest.servers]
    maps = [_map(each, servers) for each in analysis.relays.maps]
    none = tag(
        "p",
        "This run has not measured handlers that wait: ",
        tag("code", "harness bench --quick --workload relays"),
        " does.",
    )
    return tag(
        "section",
        tag("h2", "Handlers that wait"),
        tag("p", CAPTION, class_="note") if maps else none,
        *maps,
        id="map",
    )


CAPTION = (
    "Each field: who answers the most, with the share of what wait, clients and pool allow; and who takes the least CPU for a request. "
    "Names together were not told apart. A field that one server has to itself has its colour."
)


def _map(found: RelayMap, servers: Sequence[str]) -> Markup:
    clients = found.clients
    title = "A pool as large as the clients are many" if found.pool is None else f"A pool of {found.pool}"
    head = tag(
        "tr",
        tag("th", "wait", scope="col"),
        *(tag("th", f"{many:,} clients", scope="col") for many in clients),
    )
    rows = [
        tag(
            "tr",
            tag("th", f"{wait_s * 1e3:g} ms", scope="row"),
            *(_cell(found.fields.get((wait_s, many)), servers) for many in clients),
        )
        for wait_s in reversed(found.waits_s)
    ]
    return scrolled(
        tag("table", tag("caption", title), tag("thead", head), tag("tbody", *rows), class_="map"), title
    )


def _cell(field: MapField | None, servers: Sequence[str]) -> Markup:
    if field is None:
        return tag("td", "not measured", class_="none")
    return tag("td", *_lines(field, servers), class_=_own(field.most, servers))


def _lines(field: MapField, servers: Sequence[str]) -> Iterator[Markup]:
    most = field.most.mean(field.most.first)
    share = most / by_name(field.workload).load.ceiling_rps
    yield tag("strong", _named(field.most, servers))
    yield tag("span", f"{most:,.0f}/s, {share:.0%}")
    if field.cheapest is not None:
        cheapest = field.cheapest
        yield tag("span", f"{cheapest.mean(cheapest.first):,.0f} µs: {_named(cheapest, servers)}")


def _own(found: Ranking, servers: Sequence[str]) -> str | None:
    return f"tinted {classes(servers)[found.leaders[0]]}" if len(found.leaders) == 1 else None


def _named(found: Ranking, servers: Sequence[str]) -> str:
    """Name the first and who was not told apart from it, in short; count those that are too many."""
    short = short_names(servers)
    names = [short.get(server, server) for server in found.leaders]
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return ", ".join(names)
