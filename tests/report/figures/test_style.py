"""What all figures have in common."""

from harness.report.figures.style import numbered


def test_names_made_from_hashes_are_numbered_as_they_come_and_go_on_naming_the_same() -> None:
    drawn = '<path id="md424ebe87f"/><use href="#md424ebe87f"/><g clip-path="url(#pe474b62fb8)"/><clipPath id="pe474b62fb8"/>'
    assert numbered(drawn) == '<path id="m1"/><use href="#m1"/><g clip-path="url(#p2)"/><clipPath id="p2"/>'


def test_a_colour_and_a_name_that_says_something_stay() -> None:
    drawn = '<g id="line2d_40" style="stroke: #dddddd"><text id="text_1">#abcdefabcd</text></g>'
    assert numbered(drawn) == drawn
