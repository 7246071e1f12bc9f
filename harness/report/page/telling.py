"""What is told of a point that was measured: who is ahead, by what counts; why; and all figures."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.causes.evidence import Cause
from harness.analyse.points import (
    BESIDE_COSTLY,
    EVERYWHERE,
    FREELY,
    LITTLE,
    LONG_LINES,
    PINNED,
    PURPOSES,
    MeasuredPoint,
    RankedBy,
    Spot,
)
from harness.analyse.samples.metrics import QUANTILES
from harness.analyse.statistics.inference import Estimate
from harness.analyse.tables import Row
from harness.plan import by_name
from harness.report.page.markup import Markup, code, joined, listed, scrolled, tag, with_code
from harness.report.wording import capital, interval, rate_of

MOST_NAMED: Final = 3
"""Of more servers that share a limit, the rest is named instead."""
WORK_NAMES: Final = {
    LITTLE: "next to nothing",
    LONG_LINES: "a list of 4,096 bytes, each request",
    BESIDE_COSTLY: "next to nothing, beside some that take 0.4 ms",
}
PLACEMENT_NAMES: Final = {
    PINNED: "one core, pinned to it",
    FREELY: "one core's worth, free on all",
    EVERYWHERE: "all cores",
}


@dataclass(frozen=True)
class Figure:
    """How a ranked metric is written: divided by a unit, in a form, with a name behind it."""

    form: str
    unit: float
    name: str
    does: str


FIGURES: Final = {
    "throughput_rps": Figure("{:,.0f}", 1, " requests/s", "answered the most"),
    "cpu_us_per_request": Figure("{:.1f}", 1, " µs of CPU per request", "took the least CPU"),
    "response_p99_us": Figure("{:,.2f}", 1e3, " ms for 99 % of the responses", "had the shortest tail"),
    "response_p90_us": Figure("{:,.2f}", 1e3, " ms for 90 % of the responses", "had the shortest tail"),
    "response_p50_us": Figure("{:,.2f}", 1e3, " ms for half of the responses", "had the shortest tail"),
    "peak_mib": Figure("{:,.0f}", 1, " MiB", "held the least memory"),
}
COLUMNS: Final = {
    "throughput_rps": "requests/s",
    "cpu_us_per_request": "CPU µs per request",
    "response_p50_us": "p50 ms",
    "response_p90_us": "p90 ms",
    "response_p99_us": "p99 ms",
    "response_p999_us": "p99.9 ms",
    "peak_mib": "MiB",
}
IN_MS: Final = {name for name in COLUMNS if name.startswith("response_")}


def asked(spot: Spot) -> str:
    """Say what one has to do, in a line."""
    clients = "one client" if spot.clients == 1 else f"{spot.clients:,} clients"
    waits = f", handlers that wait {spot.wait_s * 1e3:g} ms" if spot.wait_s else ""
    pool = f", a pool of {spot.pool}" if spot.pool else ""
    work = "" if spot.work == LITTLE else f", computing {WORK_NAMES[spot.work]}"
    place = "" if spot.placement == PINNED else f", {PLACEMENT_NAMES[spot.placement]}"
    return f"{clients}{waits}{pool}{work}{place}"


def told(point: MeasuredPoint, analysis: Analysis) -> tuple[Markup, ...]:
    """Tell of one point who is ahead, by what counts; why; and all figures."""
    return (
        tag("h3", capital(asked(point.spot))),
        *(
            tag("p", sentence(point, point.ranked.get(purpose)), class_="says", data_by=purpose)
            for purpose in PURPOSES
        ),
        *(tag("p", each, class_="why") for each in why(point, analysis.causes)),
        *(tag("p", each) for each in _not_ranked(point)),
        _figures(point, {facts.label: facts.code_lines for facts in analysis.results.manifest.servers}),
        tag("p", with_code(_measured_how(point, analysis)), class_="note"),
    )


def _not_ranked(point: MeasuredPoint) -> Iterator[Markup]:
    """Name those that cannot be held against the others, and why."""
    for clients in dict.fromkeys(point.fewer.values()):
        given = [server for server, each in point.fewer.items() if each == clients]
        shown = "one client" if clients == 1 else f"{clients:,} clients"
        known = "as many as are served at once: not ranked by tail and memory."
        yield joined([listed(given), f": given {shown}, {known}"])
    failed = [row.server for row in point.rows if row.failed]
    if failed:
        yield joined(
            [
                listed(failed),
                " left requests unanswered, or answered them wrongly, in some launch: not ranked.",
            ]
        )


def sentence(point: MeasuredPoint, ranked: RankedBy | None) -> Markup:
    """Say who is ahead, and how far behind the last one is."""
    if ranked is None:
        return tag("span", "Too little is known to rank anybody by that.")
    found, figure = ranked.ranking, FIGURES[ranked.metric]
    first, last = (_figure(found.estimates[server], figure) for server in (found.first, found.last))
    best = f"{_bound(point, ranked, found.first)}{first}{figure.name}"
    parts: list[str] = [tag("strong", listed(found.leaders))]
    if len(found.leaders) > 1:
        parts += [f" (not told apart) {figure.does}; the best figure, of ", code(found.first), f", is {best}"]
    else:
        parts.append(f" {figure.does}: {best}")
    if len(found.estimates) == 1:
        parts.append("; nobody else was measured so.")
    elif found.tells_apart:
        parts += ["; the last, ", code(found.last), f", {_bound(point, ranked, found.last)}{last}."]
    else:
        parts.append(f" to {last}, first and last not told apart.")
    if ranked.without:
        parts += [" Too little is known of ", listed(ranked.without), "."]
    return joined(parts)


def _bound(point: MeasuredPoint, ranked: RankedBy, server: str) -> str:
    """Mark what is but a lower bound, since the generator was the limit."""
    row = next(row for row in point.rows if row.server == server)
    return rate_of(row, "") if ranked.metric == "throughput_rps" else ""


def _figure(found: Estimate, figure: Figure) -> str:
    scaled = Estimate(
        found.mean / figure.unit,
        None if found.low is None else found.low / figure.unit,
        None if found.high is None else found.high / figure.unit,
        found.launches,
    )
    return interval(scaled, figure.form)


def why(point: MeasuredPoint, causes: Sequence[Cause]) -> Iterator[Markup]:
    """Say what follows from what limited these servers, and from the causes that rules have found in their figures."""
    yield joined(["Why: ", *_of_limits(point)])
    servers = {row.server for row in point.rows}
    mine = [cause for cause in causes if cause.workload == point.workload and cause.servers[0] in servers]
    for effect in dict.fromkeys(cause.effect for cause in mine):
        alike = [cause for cause in mine if cause.effect == effect]
        yield joined(
            [
                tag("b", capital(effect)),
                ", ",
                listed([cause.servers[0] for cause in alike]),
                ": ",
                with_code(alike[0].sentence),
                f" (said of {alike[0].servers[0]})." if len(alike) > 1 else ".",
            ]
        )


def _of_limits(point: MeasuredPoint) -> Iterator[str]:
    by_limit: dict[str, list[Row]] = {}
    for row in (row for row in point.rows if row.server not in point.fewer):
        by_limit.setdefault(Counter(row.limits).most_common(1)[0][0] if row.limits else "unknown", []).append(
            row
        )
    fewest_first = sorted(by_limit.items(), key=lambda one: len(one[1]))
    for limit, rows in fewest_first:
        if len(by_limit) > 1:
            is_the_rest = len(rows) > MOST_NAMED and limit == fewest_first[-1][0]
            yield "All others" if is_the_rest else listed([row.server for row in rows])
            yield ": "
        yield _limit_in_words(limit, point).format(**_words(point, rows))


def _limit_in_words(limit: str, point: MeasuredPoint) -> str:
    return WAITING if limit == "latency" and point.spot.wait_s else LIMIT_WORDS[limit]


WAITING: Final = (
    "no core was busy all the time, and not quite as many questions were under way as can be ({ceiling}): between two of them a request "
    "waits for the machine to wake somebody. "
)
LIMIT_WORDS: Final = {
    "server": "the server's core was busy all the time, so that who takes less CPU for a request answers more ({cpu}). ",
    "generator": "the load generator was the limit, so that requests/s are a lower bound; CPU per request tells more ({cpu}). ",
    "latency": "no core was busy all the time: a request waits for the machine to wake the server, and then the client. ",
    "upstream": "about as many questions were under way as can be at once ({ceiling}), so that there is little left for a "
    "server to make a difference with. ",
    "machine": "server and generator together kept all cores busy. ",
    "rate": "all that was offered was answered. ",
    "unknown": "what was the limit is not known. ",
}


def _words(point: MeasuredPoint, rows: Sequence[Row]) -> dict[str, str]:
    cpu = [found.mean for row in rows if (found := row.estimates["cpu_us_per_request"])]
    spent = f"{min(cpu):.1f} to {max(cpu):.1f} µs" if cpu else "not known where others ask besides"
    return {"cpu": spent, "ceiling": f"at most {by_name(point.workload).load.ceiling_rps:,.0f} requests/s"}


def _figures(point: MeasuredPoint, code_lines: Mapping[str, int]) -> Markup:
    """Show all figures; the places by each purpose stand with the rows, for who wants another order."""
    places = {
        purpose: {server: place for place, server in enumerate(ranked.ranking.estimates)}
        for purpose, ranked in point.ranked.items()
    }
    leading = {ranked.metric: ranked.ranking.leaders for ranked in point.ranked.values()}
    rows = [
        tag(
            "tr",
            tag("th", code(row.server), scope="row"),
            *(
                tag("td", _cell(row, name), class_="n lead" if row.server in leading.get(name, ()) else "n")
                for name in COLUMNS
            ),
            tag("td", str(code_lines.get(row.server) or "–"), class_="n"),
            **{
                f"data_{purpose}": str(places.get(purpose, {}).get(row.server, len(point.rows)))
                for purpose in PURPOSES
            },
        )
        for row in point.rows
    ]
    titles = ("server", *COLUMNS.values(), "lines of code")
    head = tag(
        "tr", *(tag("th", each, scope="col", class_="n" if at else None) for at, each in enumerate(titles))
    )
    caption = f"{capital(asked(point.spot))}: marked are the first, and who was not told apart from it"
    return scrolled(tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows)), caption)


def _cell(row: Row, name: str) -> str:
    found = row.estimates[name]
    if found is None:
        return "–"
    unit = 1e3 if name in IN_MS else 1.0
    form = "{:,.0f}" if name in {"throughput_rps", "peak_mib"} else "{:,.1f}" if unit == 1 else "{:,.2f}"
    shown = _figure(found, Figure(form, unit, "", ""))
    shown = rate_of(row, shown) if name == "throughput_rps" else shown
    letters = row.letters.get(name, "")
    few = " *" if name in row.few and name in QUANTILES else ""
    return f"{shown}{f' {letters}' if letters else ''}{few}"


def _measured_how(point: MeasuredPoint, analysis: Analysis) -> str:
    launches = {row.valid for row in point.rows}
    counted = f"{min(launches)}" if len(launches) == 1 else f"{min(launches)} to {max(launches)}"
    placed = {facts.label for facts in analysis.results.manifest.servers}
    return (
        f"`{point.workload}`, {counted} launches of each of {len(point.rows)} servers, of {len(placed)} in the run; in brackets 95 % "
        "intervals; servers that share a letter were not told apart in that column; * fewer than 100 events beyond it."
    )
