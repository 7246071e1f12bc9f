"""Plots of one line: as long and as high as what they show."""

import pytest

from harness.report.spark import bar, spark


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, ""), (0.5, "████"), (1, "████████"), (1 / 64, "▏"), (0.25 + 1 / 16, "██▌")]
)
def test_a_bar_is_as_long_as_its_share(share: float, drawn: str) -> None:
    assert bar(share, 8) == drawn


def test_a_spark_is_as_high_as_the_logarithm() -> None:
    assert spark([1, 10, None, 100, 1000], 1, 1000) == "▁▃ ▆█"
    assert spark([5], 5, 5) == "▁"
