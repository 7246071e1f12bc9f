"""The page in a browser: it asks for nothing, complains of nothing, answers what the analysis says, and can be used by everybody.

Skipped where there is no Chromium (Debian's package `chromium`).
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it has no types
from playwright.sync_api import Browser, Page, sync_playwright

from harness.analyse.analysis import Analysis, analyse
from harness.analyse.answers import CLIENTS, POOLS, WAITS_S, SpotAnswer, answer
from harness.analyse.points import CHEAPEST, FREELY, LITTLE, MOST, PINNED, PURPOSES, Spot
from harness.record import REFERENCE, Results, Sample, ServerCosts
from harness.report.page.asking import headline, point_id
from harness.report.page.latency import load_points
from harness.report.page.page import PAGE, page
from tests.report.page.runs import BREAKS_OUT, SERVERS, whole_run

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
WIDTHS = (400, 1600)
Scheme = Literal["light", "dark"]
Files = dict[str, Path]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def analysis(
    make_results: Callable[..., Results],
    make_sample: Callable[..., Sample],
    make_relayed: Callable[..., Sample],
    make_costs: Callable[..., ServerCosts],
) -> Analysis:
    return analyse(whole_run(make_results, make_sample, make_relayed, make_costs))


@pytest.fixture(scope="module")
def files(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Return where pages lie: of a made-up run that has everything, and of the reference run."""
    made_up = tmp_path_factory.mktemp("page") / PAGE
    made_up.write_text(page(analysis), encoding="utf-8")
    return {"made-up": made_up, "reference": REFERENCE / PAGE}


@contextmanager
def opened(
    browser: Browser,
    file: Path,
    width: int = 1200,
    scheme: Scheme = "light",
    at: str = "",
    *,
    scripts: bool = True,
) -> Iterator[Page]:
    """Open a page in a window of its own; in the end it must not have asked for anything, nor complained."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    shown, asked_for, complaints = context.new_page(), [], []
    shown.on("request", lambda request: asked_for.append(request.url.partition("#")[0]))
    shown.on("console", lambda message: complaints.append(message.text))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("dialog", lambda dialog: complaints.append(dialog.message))
    shown.goto(f"{file.as_uri()}{at}")
    yield shown
    assert {each for each in asked_for if not each.startswith("data:")} == {file.as_uri()}
    assert complaints == []
    context.close()


def choose(shown: Page, **given: str) -> None:
    for name, value in given.items():
        shown.select_option(f"#question [name={name}]", value)


def leaders(shown: Page) -> list[str]:
    return shown.locator("#answer article").first.locator(".says:visible strong code").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["made-up", "reference"])
def test_it_fits_every_window_and_theme_and_asks_for_nothing(
    browser: Browser, files: Files, name: str, width: int, scheme: Scheme
) -> None:
    with opened(browser, files[name], width, scheme) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        for closed in shown.locator("main > section details:not(#points)").all():
            closed.evaluate("each => each.open = true")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["made-up", "reference"])
def test_nothing_keeps_anybody_out(browser: Browser, files: Files, name: str, scheme: Scheme) -> None:
    with opened(browser, files[name], scheme=scheme) as shown:
        shown.evaluate("document.querySelectorAll('details:not(#points)').forEach(each => each.open = true)")
        found = Axe().run(shown, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"][:200]) for each in found] == []


QUESTIONS = [
    Spot(clients, wait_s, None, LITTLE, placement)
    for clients, wait_s, placement in [
        (500, 0.0, PINNED),
        (8, 0.0, PINNED),
        (250, 0.005, PINNED),
        (128, 0.005, PINNED),
        (128, 0.0, PINNED),
        (64, 0.0, FREELY),
    ]
]


def test_the_answer_on_top_is_that_of_the_analysis(
    browser: Browser, files: Files, analysis: Analysis
) -> None:
    with opened(browser, files["made-up"]) as shown:
        for asked in QUESTIONS:
            choose(shown, clients=str(asked.clients), wait=f"{asked.wait_s * 1e3:g}", place=asked.placement)
            found = answer(asked, analysis.points, analysis.predictions)
            assert shown.locator("#answer > p[aria-live]").inner_text() == headline(asked, found)
            assert shown.locator("#answer article").count() == len(found.measured)
            predicted = shown.locator("#answer .predicted tbody tr").all()
            assert [row.locator("code").inner_text() for row in predicted] == [
                each.server for each in found.expected
            ]
            for purpose in PURPOSES if found.measured else ():
                check_ranking(shown, found, purpose)


def check_ranking(shown: Page, found: SpotAnswer, purpose: str) -> None:
    choose(shown, by=purpose)
    ranked = found.measured[0].ranked.get(purpose)
    if ranked is None:
        assert leaders(shown) == []
        return
    assert leaders(shown) == list(ranked.ranking.leaders)
    rows = shown.locator("#answer article").first.locator("tbody th").all_inner_texts()
    assert rows[: len(ranked.ranking.estimates)] == list(ranked.ranking.estimates)


def test_there_are_as_many_marks_as_figures(browser: Browser, files: Files, analysis: Analysis) -> None:
    tables = analysis.one_core.tables
    with opened(browser, files["made-up"]) as shown:
        for server in SERVERS:
            panel = shown.locator(f'#latency svg[aria-label^="{server}:"]')
            assert panel.locator(".dot, .hollow").count() == len(load_points(tables, server))
        verdicts = analysis.results.conformance
        assert shown.locator(".matrix td[data-is]").count() == len(verdicts)
        assert shown.locator(".matrix td.bad").count() == sum(each.verdict.failed for each in verdicts)
        assert shown.locator("#syscalls g, #syscalls rect").count() == 3 * len(SERVERS)
        assert shown.locator("#trust .dot").count() == len(analysis.twins)
        assert shown.locator("#curves").get_attribute("data-curves") == str(len(tables["clients_500"].rows))
        fields = sum(len(each.fields) for each in analysis.relays.maps)
        assert shown.locator(".map td:not(.none)").count() == fields


def test_what_is_shown_changes_no_verdict(browser: Browser, files: Files) -> None:
    verdicts = "[...document.querySelectorAll('#points td')].map(each => each.className + each.textContent).join('|')"
    with opened(browser, files["made-up"]) as shown:
        before = shown.evaluate(verdicts)
        for box in shown.locator("#tail [type=checkbox]").all():
            box.set_checked(checked=not box.is_checked())
        choose(shown, clients="8", by=CHEAPEST)
        choose(shown, by=MOST)
        assert shown.evaluate(verdicts) == before


def test_the_address_keeps_what_was_chosen(browser: Browser, files: Files) -> None:
    with opened(browser, files["made-up"]) as shown:
        choose(shown, clients="250", wait="5", by=CHEAPEST)
        shown.select_option("#tail [name=load]", "clients_8")
        shown.locator(f'#tail [value="{SERVERS[2]}"]').check()
        shown.locator(f'#tail [value="{SERVERS[0]}"]').uncheck()
        state = "JSON.stringify([...document.querySelectorAll('select, [type=checkbox]')].map(each => each.checked ?? each.value))"
        before, answered = shown.evaluate(state), shown.locator("#answer").inner_text()
        shown.reload()
        assert shown.evaluate(state) == before
        assert shown.locator("#answer").inner_text() == answered
        assert json.loads(before).count(False) == 1


def test_a_section_is_gone_to_and_kept_in_the_address(browser: Browser, files: Files) -> None:
    with opened(browser, files["made-up"]) as shown:
        shown.click("nav a[href='#trust']")
        focused = "document.activeElement.id"
        assert shown.evaluate(focused) == "trust"
        shown.reload()
        assert shown.evaluate(focused) == "trust"


def test_a_cell_tells_by_keyboard_what_was_sent_and_what_came(browser: Browser, files: Files) -> None:
    with opened(browser, files["made-up"]) as shown:
        cell = shown.locator(f'td[aria-label="F01 {SERVERS[0]}: PASS"]')
        cell.focus()
        for key in ("ArrowRight", "ArrowDown", "Enter"):
            shown.keyboard.press(key)
        told = shown.locator("#told").inner_text()
        assert f"F02 {SERVERS[1]}" in told
        assert BREAKS_OUT in told
        assert "The <end> of a line" in told
        assert "2.1, 2.2" in told
        assert "printf '1,2\\n' | nc HOST PORT" in told
        assert "threaded: forgets the end" in told
        shown.reload()
        assert shown.locator("dialog").is_visible()
        shown.keyboard.press("Escape")
        assert not shown.locator("dialog").is_visible()


def test_it_can_be_read_without_scripts(browser: Browser, files: Files, analysis: Analysis) -> None:
    with opened(browser, files["made-up"], scripts=False) as shown:
        assert not shown.locator("form").first.is_visible()
        assert shown.locator("#answer article").is_visible()
        shown.locator("#points > summary").click()
        for point in analysis.points:
            assert shown.locator(f"#{point_id(point)} table").is_visible()


def test_it_can_be_printed(browser: Browser, files: Files) -> None:
    with opened(browser, files["made-up"]) as shown:
        shown.emulate_media(media="print")
        assert not shown.locator("#question").is_visible()
        assert shown.locator("#answer article").first.is_visible()
        assert len(shown.pdf()) > 10_000


def test_every_choice_stands_for_what_it_says(browser: Browser, files: Files) -> None:
    values: dict[str, list[Any]] = {
        "clients": [f"{each}" for each in CLIENTS],
        "wait": [f"{each * 1e3:g}" for each in WAITS_S],
        "pool": [str(each or "") for each in POOLS],
    }
    with opened(browser, files["made-up"]) as shown:
        for name, known in values.items():
            options = shown.locator(f"#question [name={name}] option").all()
            assert [each.get_attribute("value") for each in options] == known
