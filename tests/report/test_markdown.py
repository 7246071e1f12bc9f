"""Blocks as Markdown: each kind, and links that lead where the page lies."""

import pytest

from harness.report.blocks import (
    Block,
    Command,
    Folded,
    Heading,
    Note,
    Page,
    Picture,
    Points,
    Text,
    grid,
    numbers,
    points,
    words,
)
from harness.report.markdown import markdown

EACH = (
    (Heading("What it costs"), "## What it costs"),
    (Heading("A report", 1), "# A report"),
    (Text("`a` takes **more**."), "`a` takes **more**."),
    (Note("Incomplete."), "> Incomplete."),
    (Points(("one", "two")), "- one\n- two"),
    (Points(("one", "two"), numbered=True), "1. one\n2. two"),
    (Command("make\nmake test"), "    make\n    make test"),
    (Picture("cpu.svg", "CPU"), "![CPU](here/figures/cpu.svg)"),
    (
        grid((*words("who"), *numbers("µs")), [("`a` | `b`", "1.0")]),
        "| who | µs |\n|---|---:|\n| `a` ¦ `b` | 1.0 |",
    ),
    (Folded("More", (Text("of it"),)), "<details><summary>More</summary>\n\nof it\n\n</details>"),
)


@pytest.mark.parametrize(("block", "text"), EACH)
def test_each_block_has_its_form(block: Block, text: str) -> None:
    assert markdown(Page("a.md", (block,)), "", "here/figures") == f"{text}\n"


def test_links_to_pages_lead_where_these_lie_and_others_are_left_alone() -> None:
    text = Text("[64](workloads.md#64-clients), [RFC](https://example.org/a), [here](#down)")
    page = Page("a.md", (text, Picture("cpu.svg", "CPU")))
    assert markdown(page, "beside/", "beside/figures") == (
        "[64](beside/workloads.md#64-clients), [RFC](https://example.org/a), [here](#down)\n\n"
        "![CPU](beside/figures/cpu.svg)\n"
    )


def test_an_empty_list_is_nothing() -> None:
    assert points(()) == []
    assert points(["one"]) == [Points(("one",))]


def test_a_page_is_called_by_its_heading() -> None:
    assert Page("a.md", (Note("!"), Heading("What", 1), Heading("More"))).title == "What"
