"""Our own SVG: figures have their places in order, within the panel, and axes have round ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.page.drawing import CORNERS, Scale, mark, reaching, short

FIGURES = st.floats(1e-3, 1e7)


@given(st.lists(FIGURES, min_size=1, max_size=20))
def test_all_figures_have_their_places_in_order(figures: list[float]) -> None:
    scale = reaching(figures, 40, 300)
    places = [scale.at(each) for each in sorted(figures)]
    assert places == sorted(places)
    assert 40 <= places[0] <= places[-1] <= 300


@given(FIGURES, st.floats(1.5, 1e6))
def test_ticks_lie_within_and_are_few(low: float, factor: float) -> None:
    scale = Scale(low, low * factor, 0, 100)
    assert all(0 <= scale.at(tick) <= 100 for tick in scale.ticks())
    assert len(scale.ticks()) <= 12


def test_a_linear_scale_has_its_middle_in_the_middle() -> None:
    assert Scale(0, 10, 0, 100, logarithmic=False).at(5) == 50


@pytest.mark.parametrize(("value", "written"), [(0.1, "0.1"), (5, "5"), (20_000, "20k"), (1.5e6, "1.5M")])
def test_a_figure_on_an_axis_is_short(value: float, written: str) -> None:
    assert short(value) == written


def test_a_mark_has_its_form_and_tells_what_it_is() -> None:
    drawn = mark((10, 20), "o", "dot", "a < b")
    assert drawn.startswith("<circle")
    assert "<title>a &lt; b</title>" in drawn
    assert all(mark((0, 0), kind, "dot").startswith("<polygon") for kind in CORNERS)
