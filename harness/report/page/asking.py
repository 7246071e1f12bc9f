"""The top of the page: what one has to do is chosen, and the answer comes. All answers are in the page; the script shows one."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from harness.analyse.analysis import Analysis
from harness.analyse.answers import CLIENTS, POOLS, WAITS_S, SpotAnswer, answers, meant
from harness.analyse.points import (
    BESIDE_COSTLY,
    CHEAPEST,
    EVERYWHERE,
    FREELY,
    LITTLE,
    LONG_LINES,
    MOST,
    PINNED,
    PLACEMENTS,
    PURPOSES,
    SHORTEST,
    SMALLEST,
    WORKS,
    MeasuredPoint,
    Spot,
)
from harness.analyse.prediction.laws import Limit
from harness.report.page.markup import Markup, behind, code, scrolled, tag
from harness.report.page.telling import PLACEMENT_NAMES, WORK_NAMES, asked, told
from harness.report.wording import capital, counted

PURPOSE_NAMES: Final = {
    MOST: "the most requests",
    CHEAPEST: "the least CPU",
    SHORTEST: "the shortest tail",
    SMALLEST: "the least memory",
}
LIMITS: Final = {
    Limit.CLIENTS: "its clients, who all wait",
    Limit.POOL: "its pool",
    Limit.CORE: "its core",
}


def asking(analysis: Analysis) -> tuple[Markup, dict[str, Any]]:
    """Return the section, and the table in which its script looks answers up."""
    known = answers(analysis.points, analysis.predictions)
    found = {spot: said(spot, answer) for spot, answer in known.items()}
    numbers = {each: number for number, each in enumerate(dict.fromkeys(found.values()))}
    section = tag(
        "section",
        tag("h2", "What do you have to do?"),
        _form(),
        tag("div", *_at_first(known[AT_FIRST], analysis), id="answer"),
        behind(
            f"All that was measured: {counted(len(analysis.points), 'point')}",
            *(_point(point, analysis) for point in analysis.points),
            id="points",
        ),
        id="ask",
    )
    return section, {
        "of": [
            [
                [
                    [
                        [
                            numbers[found[meant(Spot(clients, wait_s, pool, work, placement))]]
                            for clients in CLIENTS
                        ]
                        for wait_s in WAITS_S
                    ]
                    for pool in POOLS
                ]
                for placement in PLACEMENTS
            ]
            for work in WORKS
        ],
        "answers": [asdict(each) for each in numbers],
    }


@dataclass(frozen=True)
class Said:
    """An answer as the script shows it; many questions have the same.

    Attributes:
        points: the parts of the page that tell of what was measured.
        exact: it was measured just so.
        says: how near it is.
        expected: the table of what is predicted; empty if nothing is.
    """

    points: tuple[str, ...]
    exact: bool
    says: str
    expected: str


def said(spot: Spot, answer: SpotAnswer) -> Said:
    """Put an answer into words."""
    expected = _expected(answer) if answer.expected else ""
    return Said(tuple(map(point_id, answer.measured)), answer.exact, headline(spot, answer), expected)


AT_FIRST: Final = Spot(500, 0.0, None, LITTLE, PINNED)
"""What is answered before anybody asks, and where there is no script."""


def _at_first(answer: SpotAnswer, analysis: Analysis) -> Iterator[Markup]:
    yield tag("p", f"{capital(asked(AT_FIRST))}. {headline(AT_FIRST, answer)}", aria_live="polite")
    for point in answer.measured:
        yield tag("article", *told(point, analysis))


def point_id(point: MeasuredPoint) -> str:
    """Return the name of a point's part of the page."""
    return f"{point.workload}-{point.spot.placement}"


def headline(spot: Spot, answer: SpotAnswer) -> str:
    """Say how near to the question the answer is; and where there is none, what would give one."""
    if not answer.measured:
        command = measuring(spot)
        return f"This run has measured nothing like it; {f'{command} does' if command else 'no load of ours does'}."
    spots = "; ".join(asked(point.spot) for point in answer.measured)
    if answer.exact:
        return f"Measured: {spots}."
    beside = (
        " Between these nothing is known but what follows from the laws of queueing:"
        if answer.expected
        else ""
    )
    return f"{_how_near(spot, answer)}. Nearest to it: {spots}.{beside}"


def _how_near(spot: Spot, answer: SpotAnswer) -> str:
    """Say in what what was measured differs most from what was asked."""
    pools = {point.spot.pool for point in answer.measured}
    if pools != {spot.pool}:
        return "Measured with another pool alone"
    clients = [point.spot.clients for point in answer.measured]
    waits_s = [point.spot.wait_s for point in answer.measured]
    between = min(clients) <= spot.clients <= max(clients) and min(waits_s) <= spot.wait_s <= max(waits_s)
    return "Not measured just so" if between else "Beyond what was measured"


def measuring(spot: Spot) -> str:
    """Return the command that measures such a thing; empty if there is none."""
    if spot.wait_s and spot.work != LITTLE:
        return ""
    of_all_cores = " processes" if spot.placement == EVERYWHERE else ""
    relays = " --workload relays" if spot.wait_s else ""
    loads = {LONG_LINES: " --workload line_4096", BESIDE_COSTLY: " --workload costly"}.get(spot.work, relays)
    return (
        f"harness bench --quick{of_all_cores}{loads}{' --placement free' if spot.placement == FREELY else ''}"
    )


def _expected(answer: SpotAnswer) -> Markup:
    """Show what is predicted, marked as such."""
    leading = answer.may_lead
    rows = [
        tag(
            "tr",
            tag("th", code(each.server), scope="row"),
            tag("td", _range(each.throughput_rps, each.low, each.high), class_="n"),
            tag("td", _range(each.cpu_us, each.cpu_low_us, each.cpu_high_us), class_="n"),
            tag("td", LIMITS[each.limited_by]),
            class_="lead" if each.server in leading else None,
        )
        for each in answer.expected
    ]
    head = tag(
        "tr",
        *(
            tag("th", each, scope="col")
            for each in ("server", "requests/s, 19 of 20", "CPU µs, 19 of 20", "limited by")
        ),
    )
    caption = (
        "Predicted, not measured, by requests/s whatever counts above; servers whose ranges reach into that of the first are marked, and "
        "cannot be told apart"
    )
    return scrolled(
        tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *rows), class_="predicted"),
        caption,
    )


def _range(predicted: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"about {predicted:,.0f}"
    return f"{predicted:,.0f} ({low:,.0f}–{high:,.0f})"


def _form() -> Markup:
    """Return what one chooses from; without a script it would do nothing, and is not shown."""
    waits = [(f"{wait_s * 1e3:g}", f"{wait_s * 1e3:g} ms" if wait_s else "not at all") for wait_s in WAITS_S]
    pools = [(str(pool or ""), f"{pool} at once" if pool else "all clients at once") for pool in POOLS]
    return tag(
        "form",
        _choice("clients", "Clients", [(str(each), f"{each:,}") for each in CLIENTS], str(AT_FIRST.clients)),
        _choice("wait", "A handler waits", waits, "0"),
        _choice("pool", "for", pools, ""),
        _choice("work", "and computes", [(each, WORK_NAMES[each]) for each in WORKS], LITTLE),
        _choice("place", "It has", [(each, PLACEMENT_NAMES[each]) for each in PLACEMENTS], PINNED),
        _choice("by", "What counts is", [(each, PURPOSE_NAMES[each]) for each in PURPOSES], MOST),
        id="question",
        autocomplete="off",
        hidden=True,
    )


def _choice(name: str, label: str, options: Sequence[tuple[str, str]], chosen: str) -> Markup:
    return tag(
        "label",
        label,
        tag(
            "select",
            *(tag("option", shown, value=value, selected=value == chosen) for value, shown in options),
            name=name,
        ),
    )


def _point(point: MeasuredPoint, analysis: Analysis) -> Markup:
    """Show one point."""
    return tag("article", *told(point, analysis), id=point_id(point))
