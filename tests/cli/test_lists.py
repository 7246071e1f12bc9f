"""Options that take several names."""

import pytest

from harness.cli.lists import names_in
from harness.errors import UsageError


def test_names_stand_with_commas_between_them_or_are_given_one_by_one() -> None:
    assert names_in(("F01,A", "", "C02"), "--case") == ["F01", "A", "C02"]
    assert names_in((), "--case") == []


@pytest.mark.parametrize("given", [[""], [","], [" , ", ""]])
def test_an_option_that_names_nothing_does_not_stand_for_all(given: list[str]) -> None:
    with pytest.raises(UsageError, match="--fault names nothing: leave it out for all"):
        names_in(given, "--fault")
