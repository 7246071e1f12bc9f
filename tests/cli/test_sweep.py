"""`harness sweep`: what it offers for how long."""

from collections.abc import Callable

import pytest

from harness.cli.load_options import MOST_REQUESTS
from harness.cli.sweep import LONGEST_WINDOW_S, _recovery_in_words, _relief, parsed_slo, window_s
from harness.errors import UsageError
from harness.plan import Load
from harness.record import Sample
from tests.makers import changed

LOAD = Load(warmup_s=0.5, duration_s=2.0)
SLO = parsed_slo("p99=10ms")


def test_a_window_is_long_enough_for_the_quantile_and_short_enough_for_the_memory() -> None:
    assert window_s(20_000, LOAD, SLO) == LOAD.duration_s
    assert window_s(1, LOAD, SLO) == LONGEST_WINDOW_S
    for hours in (1, 10):
        long = changed(LOAD, duration_s=3600.0 * hours)
        kept_s = window_s(100_000, long, SLO)
        assert 100_000 * (long.warmup_s + kept_s) == pytest.approx(MOST_REQUESTS)


def test_a_warmup_of_more_requests_than_can_be_kept_is_refused() -> None:
    with pytest.raises(UsageError, match="a warm-up of 600 s at 100,000 requests/s leaves no window"):
        window_s(100_000, changed(LOAD, warmup_s=600.0), SLO)


def test_a_recovery_is_measured_as_long_as_can_be_kept() -> None:
    assert _relief(LOAD, 20_000).duration_s == LOAD.duration_s
    long = _relief(changed(LOAD, duration_s=3600.0), 100_000)
    assert long.warmup_rate is not None
    planned = long.warmup_rate * long.warmup_s + long.rate * long.duration_s
    assert planned == pytest.approx(MOST_REQUESTS)


def test_a_recovery_that_was_disturbed_is_not_told(make_sample: Callable[..., Sample]) -> None:
    recovered = make_sample(response_slices_ns=(1_000_000,) * 100)
    assert _recovery_in_words(recovered, SLO).startswith("0.00 s, to ")
    disturbed = _recovery_in_words(changed(recovered, steal_share=0.5), SLO)
    assert disturbed.startswith("not known: steal: ")
