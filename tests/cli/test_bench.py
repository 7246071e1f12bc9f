"""What a command line of `harness bench` stands for."""

import pytest

from harness.cli.bench import _named
from harness.errors import UsageError
from harness.plan import QUICK_RELAYS, RELAYS, by_name


def test_the_family_of_relays_stands_for_its_map_and_for_a_few_of_it_in_a_quick_run() -> None:
    assert _named(["relays"], None) == _named(["relays"], "full") == list(RELAYS)
    assert _named(["relays"], "quick") == list(QUICK_RELAYS)


def test_whoever_is_named_twice_is_measured_once() -> None:
    assert _named(["churn", "relays", "relay_5ms_16", "churn"], "quick") == [by_name("churn"), *QUICK_RELAYS]


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(UsageError, match="no workload is called 'relay'"):
        _named(["relay"], None)
