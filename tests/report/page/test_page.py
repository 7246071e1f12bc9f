"""The page, as text: of one piece, the same each time, and nothing in it that could break out of its place."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from harness.analyse.analysis import Analysis, analyse
from harness.analyse.answers import answer
from harness.analyse.points import FREELY, LITTLE, LONG_LINES, PINNED, Spot
from harness.record import REFERENCE, Results, Sample, ServerCosts
from harness.report.blocks import Heading, Picture, Points, Text, grid, numbers, words
from harness.report.page.asking import headline
from harness.report.page.blocks import as_html
from harness.report.page.looks import luminance, on_dark
from harness.report.page.markup import joined, tag
from harness.report.page.matrix import parts_of
from harness.report.page.page import PAGE, page
from harness.report.page.quantiles import BEYOND, curve
from harness.report.page.telling import asked, sentence
from tests.report.page.runs import BREAKS_OUT, FAILURE, SERVERS, whole_run

VOID = {"br", "meta", "input", "link"}


class Whole(HTMLParser):
    """Reads a page, and holds it to what a browser would forgive."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [each for each in [given.get("id")] if each]
        self.addresses += [each for name in ("src", "href") if (each := given.get(name))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"line", "rect", "circle", "polygon", "polyline", "path"}
        del attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def analysis(
    make_results: Callable[..., Results],
    make_sample: Callable[..., Sample],
    make_relayed: Callable[..., Sample],
    make_costs: Callable[..., ServerCosts],
) -> Analysis:
    return analyse(whole_run(make_results, make_sample, make_relayed, make_costs))


@pytest.fixture(scope="module")
def text(analysis: Analysis) -> str:
    return page(analysis)


def test_the_same_analysis_gives_the_same_page(analysis: Analysis, text: str) -> None:
    assert page(analysis) == text


def test_the_page_is_whole_and_asks_for_nothing_from_elsewhere(text: str) -> None:
    read = Whole()
    read.feed(text)
    assert read.open == []
    assert len(read.ids) == len(set(read.ids))
    assert all((each.startswith("#") and each[1:] in read.ids) or each == "data:," for each in read.addresses)
    assert "url(" not in text


def test_the_page_of_the_reference_run_is_small_enough_to_be_sent() -> None:
    assert (REFERENCE / PAGE).stat().st_size < 2_000_000


def test_no_text_breaks_out_of_its_place(text: str) -> None:
    assert BREAKS_OUT not in text
    assert "<i>mine</i>" not in text
    assert "&lt;i&gt;mine&lt;/i&gt;" in text


def test_the_script_can_read_its_data(analysis: Analysis, text: str) -> None:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert data["matrix"]["remarks"][f"F02 {SERVERS[1]}"]["received"] == f"b'{BREAKS_OUT}'"
    named = {each for known in data["answers"]["answers"] for each in known["points"]}
    assert named == {f"{point.workload}-{PINNED}" for point in analysis.points}
    assert all(f'id="{each}"' in text for each in named)


def test_a_run_of_which_little_is_known_has_a_page_as_well(make_results: Callable[..., Results]) -> None:
    text = page(analyse(make_results()))
    assert "This run has not measured handlers that wait" in text
    assert "It did not test itself with this run" in text


def test_an_answer_says_whether_it_was_measured(analysis: Analysis) -> None:
    said = [
        headline(spot, answer(spot, analysis.points, analysis.predictions))
        for spot in (
            Spot(64, 0.005, None, LITTLE, PINNED),
            Spot(128, 0.005, None, LITTLE, PINNED),
            Spot(64, 0.005, None, LITTLE, FREELY),
            Spot(64, 0.005, None, LONG_LINES, PINNED),
        )
    ]
    assert said[0] == "Measured: 64 clients, handlers that wait 5 ms."
    assert said[1].startswith("Not measured just so. Nearest to it: 64 clients, handlers that wait 5 ms;")
    assert "laws of queueing" in said[1]
    assert "harness bench --quick --workload relays --placement free does." in said[2]
    assert "no load of ours does." in said[3]


def test_a_sentence_is_turned_round_by_the_figures(make_results: Callable[..., Results]) -> None:
    (slow,), (fast,) = (analyse(make_results(factor=factor)).points for factor in (0.5, 2.0))
    assert sentence(slow, slow.ranked["most"]).startswith(
        "<strong><code>threaded</code></strong> answered the most"
    )
    assert sentence(fast, fast.ranked["most"]).startswith(
        "<strong><code>trio_nursery</code></strong> answered the most"
    )
    assert asked(slow.spot) == "64 clients"


def test_who_cannot_be_told_apart_shares_a_sentence(make_results: Callable[..., Results]) -> None:
    (point,) = analyse(make_results(factor=1.0)).points
    said = sentence(point, point.ranked["most"])
    assert "(not told apart)" in said
    assert "first and last not told apart" in said


@pytest.mark.parametrize(
    ("detail", "parts"),
    [
        (FAILURE, {"sent": "b'1,2\\n'", "expected": "b'3'", "received": f"b'{BREAKS_OUT}'", "reproducer": "printf '1,2\\n' | nc HOST PORT"}),
        ("it spins [harness conform --case F10]", {"said": "it spins", "reproducer": "harness conform --case F10"}),
        (
            "sent b''; nothing more came within 5.0 s after b'1' [harness conform --case F02]",
            {"sent": "b''", "received": "nothing more came within 5.0 s after b'1'", "reproducer": "harness conform --case F02"},
        ),
        ("does not declare 'fair', and behaves so", {"said": "does not declare 'fair', and behaves so"}),
        ("", {}),
    ],
)  # fmt: skip
def test_what_is_said_of_a_failure_is_taken_apart(detail: str, parts: dict[str, str]) -> None:
    assert parts_of(detail) == parts


def test_a_curve_rises_and_ends_where_nothing_was_seen() -> None:
    found = curve({1000: 90, 2000: 10})
    known = [each for each in found if each is not None]
    assert len(found) == len(BEYOND)
    assert known == sorted(known)
    assert len(set(known)) == 2
    assert len(known) == sum(beyond <= 100 for beyond in BEYOND)


def test_what_is_put_into_an_element_is_escaped() -> None:
    assert tag("p", "a < b", tag("b", "&"), title='"') == '<p title="&quot;">a &lt; b<b>&amp;</b></p>'
    assert joined(["<", tag("i", hidden=True, class_=None)]) == "&lt;<i hidden></i>"


def test_blocks_become_what_they_are() -> None:
    blocks = (
        Heading("Some `code` & more"),
        Points(("**bold `too`**", "a \\* star"), numbered=True),
        grid((*words("name"), *numbers("rate")), [("a < b", "1")]),
        Text("[here](https://example.org/a), [there](workloads.md#b)"),
        Picture("figure.svg", "a figure"),
    )
    assert as_html(blocks) == (
        "<h2>Some <code>code</code> &amp; more</h2>"
        "<ol><li><strong>bold <code>too</code></strong></li><li>a * star</li></ol>"
        '<div class="scroll" tabindex="0" role="region" aria-label="name, rate"><table><thead><tr><th scope="col">name</th>'
        '<th scope="col" class="n">rate</th></tr></thead><tbody><tr><td>a &lt; b</td><td class="n">1</td></tr></tbody></table></div>'
        '<p><a href="https://example.org/a">here</a>, there</p>'
    )


def test_a_colour_can_be_told_from_a_dark_page() -> None:
    for tint in ("#000000", "#332288", "#0072B2"):
        lighter = on_dark(tint)
        assert luminance([int(lighter[at : at + 2], 16) for at in (1, 3, 5)]) > 0.1
    assert on_dark("#E69F00") == "#E69F00"
