"""Why the figures may be believed: which launches are not used and why, one server under two names, the test of the instrument."""

from collections import Counter
from collections.abc import Iterator

from harness.analyse.analysis import Analysis
from harness.analyse.comparisons import BETTER, WORSE
from harness.analyse.reached import noise_sentence, precision_sentence
from harness.analyse.samples.metrics import metric
from harness.plan import by_name
from harness.report.page.drawing import Scale, figure, label
from harness.report.page.markup import Markup, behind, code, table, tag
from harness.report.wording import capital


def trust(analysis: Analysis) -> Markup:
    """Return the section."""
    return tag("section", tag("h2", "May it be believed?"), *_parts(analysis), id="trust")


def _parts(analysis: Analysis) -> Iterator[Markup]:
    if again := analysis.repetition:
        yield tag(
            "p",
            f"{again.made:,} launches in {again.blocks:,} blocks; {again.invalid} were invalid, and {again.repeated} blocks were therefore "
            f"measured again; {again.left} invalid launches are left, and not used.",
        )
    if stolen := analysis.stolen:
        yield tag(
            "p",
            f"The hypervisor gave too much of its time to others in {stolen.over} of {stolen.launches:,} launches ({stolen.most:.1%} at most).",
        )
    if analysis.noise:
        yield tag("p", noise_sentence(analysis.noise))
    if analysis.reached:
        yield tag("ul", *(tag("li", f"{capital(precision_sentence(each))}.") for each in analysis.reached))
    yield from _invalid(analysis)
    yield from _twins(analysis)
    yield from _selftest(analysis)


def _invalid(analysis: Analysis) -> Iterator[Markup]:
    reasons = Counter(
        (row.server, name, reason.partition(":")[0])
        for regime in (analysis.one_core, analysis.all_cores)
        for name, of in regime.tables.items()
        for row in of.rows
        for reason in row.invalid
    )
    if reasons:
        rows = [
            (code(server), by_name(name).title, reason, str(count))
            for (server, name, reason), count in reasons.items()
        ]
        head = ("server", "workload", "reason", "launches")
        yield behind(
            f"Launches that are not used, or were made again: {reasons.total()}",
            table(head, rows, "Launches that cannot be used", text_columns=3),
        )


def _twins(analysis: Analysis) -> Iterator[Markup]:
    if not analysis.twins:
        return
    wrong = sum(each.verdict in {BETTER, WORSE} for each in analysis.twins)
    yield tag("h3", "A/A: one server under two names")
    yield tag(
        "p",
        code(analysis.results.manifest.design.twin_of),
        f" was measured twice, like two servers. The truth is a ratio of 1; it was called different in {wrong} of {len(analysis.twins)} cases. "
        "A dot is the ratio, the bar its interval, which holds for all pairs at once (95 %).",
    )
    yield _twins_drawn(analysis)
    rows = [
        (
            capital(by_name(each.workload).title),
            metric(each.metric).title,
            f"{each.ratio:.3f}",
            f"{each.ci_low:.3f} to {each.ci_high:.3f}",
            "yes" if each.verdict in {BETTER, WORSE} else "no",
        )
        for each in analysis.twins
    ]
    head = ("workload", "ratio of", "second / first", "interval", "called different")
    yield behind("The figures behind it", table(head, rows, "A/A", text_columns=2))


WIDTH, ROW, LEFT, RIGHT = 680.0, 18.0, 330.0, 20.0


def _twins_drawn(analysis: Analysis) -> Markup:
    low = min(each.ci_low for each in analysis.twins)
    high = max(each.ci_high for each in analysis.twins)
    across = Scale(low, high, LEFT, WIDTH - RIGHT)
    height = ROW * (len(analysis.twins) + 2)
    drawn = [
        tag("line", x1=across.at(1.0), x2=across.at(1.0), y1=0.0, y2=height - ROW, class_="axis"),
        *(
            label(f"{value:g}", across.at(value), height - 4)
            for value in (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4)
            if low <= value <= high
        ),
    ]
    for place, each in enumerate(analysis.twins):
        y = ROW * (place + 0.8)
        drawn += [
            label(f"{by_name(each.workload).title}, {metric(each.metric).title}", LEFT - 8, y + 4, "end"),
            tag("line", x1=across.at(each.ci_low), x2=across.at(each.ci_high), y1=y, y2=y, class_="bar"),
            tag("circle", cx=across.at(each.ratio), cy=y, r=3.5, class_="dot"),
        ]
    drawn_whole = figure(drawn, WIDTH, height, "Ratios of a server to itself, with their intervals")
    return tag("div", drawn_whole, class_="scroll", tabindex="0", role="region", aria_label="A/A, drawn")


def _selftest(analysis: Analysis) -> Iterator[Markup]:
    checks = analysis.results.selftest
    yield tag("h3", "The instrument's own test")
    if not checks:
        yield tag("p", "It did not test itself with this run: ", code("harness selftest"), " does.")
        return
    rows = [(code(each.check), each.purpose, each.outcome, each.line) for each in checks]
    yield table(("check", "that", "outcome", "finding"), rows, "Self-test on this machine", text_columns=4)
