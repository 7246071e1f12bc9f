"""Two runs compared, and changes that are too large."""

import math
from collections.abc import Callable

import pytest

from harness.analyse.changes import Broken, broken, compare_runs, differences, threshold
from harness.analyse.comparisons import (
    BETTER,
    EQUIVALENT,
    HOLM,
    TUKEY,
    UNDECIDED,
    WORSE,
    Comparison,
)
from harness.analyse.samples.metrics import metric
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import Results, Sample
from tests.makers import changed

THROUGHPUT = metric("throughput_rps")
CPU = metric("cpu_us_per_request")

NAMES = ("throughput_rps", "cpu_us_per_request")


def a_comparison(verdict: str, low: float, high: float, name: str = "cpu_us_per_request") -> Comparison:
    ratio = math.sqrt(low * high)
    return Comparison("clients_64", name, "a", "b", ratio, low, high, TUKEY, 8, verdict)


def in_two_regimes(make_sample: Callable[..., Sample]) -> list[Sample]:
    """Return four servers, two on one core and two on all, each faster than the one before."""
    return [
        make_sample(
            server, block, rps=1000 * (1 + place) * wobble, regime=ALL_CORES if server in "cd" else ONE_CORE
        )
        for block, wobble in enumerate([0.99, 1.01, 1.0, 0.995, 1.005])
        for place, server in enumerate("abcd")
    ]


def test_two_runs_are_compared_server_by_server(make_results: Callable[..., Results]) -> None:
    before, after = make_results(factor=0.5), make_results(factor=0.8)
    found = compare_runs(before, after, ("old", "new"), ["throughput_rps"])
    assert [(each.a, each.b) for each in found] == [
        ("old:threaded", "new:threaded"), ("old:trio_nursery", "new:trio_nursery")
    ]  # fmt: skip
    assert found[0].verdict == EQUIVALENT
    assert found[1].verdict == BETTER
    assert found[1].ratio == pytest.approx(1.6, rel=0.02)
    assert found[1].adjustment == HOLM


def test_who_answered_and_fails_now_is_named(make_results: Callable[..., Results]) -> None:
    """No ratio tells of it: in the later run it has no figures to compare, or those of its lucky launches."""
    before = make_results()
    failing = tuple(
        changed(sample, timeout=3, sent=sample.requests.sent + 3)
        if (sample.cell.server, sample.cell.block) == ("trio_nursery", 1)
        else sample
        for sample in before.samples
    )
    after = changed(before, samples=failing)
    assert broken(before, before) == ()
    assert broken(before, after) == (Broken("clients_64", "trio_nursery"),)
    assert broken(after, before) == broken(after, after) == ()
    without = tuple(facts for facts in before.manifest.servers if facts.label != "trio_nursery")
    unasked = changed(after, manifest=changed(after.manifest, servers=without))
    assert broken(before, unasked) == (), "it was not to be measured again"


def test_unlike_conditions_and_other_versions_are_told_apart(make_results: Callable[..., Results]) -> None:
    one = make_results().manifest
    assert differences(one, one).conditions == differences(one, one).versions == ()
    other = changed(
        one,
        duration_s=2.0,
        environment=changed(one.environment, cpu="another", libraries={"trio": "0.36.0"}),
    )
    found = differences(one, other)
    assert found.conditions == ("processor: a processor and another", "window in s: 1.0 and 2.0")
    assert found.versions == ("trio: 0.35.0 and 0.36.0",)


@pytest.mark.parametrize(
    ("text", "verdict", "low", "high", "exceeded"),
    [
        ("cpu_us_per_request > +5%", WORSE, 1.06, 1.2, True),
        ("cpu_us_per_request > +5%", WORSE, 1.02, 1.2, False),
        ("cpu_us_per_request > 5%", WORSE, 1.06, 1.2, True),
        ("cpu_us_per_request>+1%", EQUIVALENT, 1.011, 1.02, True),
        ("cpu_us_per_request > -10%", UNDECIDED, 0.95, 1.2, False),
        ("cpu_us_per_request < -5%", BETTER, 0.8, 0.94, True),
        ("cpu_us_per_request < -5%", BETTER, 0.8, 0.96, False),
        ("throughput_rps > +5%", WORSE, 1.06, 1.2, False),
    ],
)
def test_a_threshold_is_exceeded_only_for_certain(
    text: str, verdict: str, low: float, high: float, exceeded: bool  # noqa: FBT001
) -> None:  # fmt: skip
    assert threshold(text, NAMES).exceeded_by(a_comparison(verdict, low, high)) == exceeded


@pytest.mark.parametrize(
    "text",
    ["", "cpu > 5%", "cpu_us_per_request > 5", "cpu_us_per_request >= 5%", "cpu_us_per_request > -100%"],
)
def test_what_is_no_threshold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a threshold is like"):
        threshold(text, NAMES)


def test_a_server_that_uses_another_regime_by_now_is_not_compared_with_itself(
    make_results: Callable[..., Results],
) -> None:
    before = make_results()
    samples = tuple(changed(sample, regime=ALL_CORES) for sample in before.samples)
    assert compare_runs(before, before, ("old", "new"))
    assert compare_runs(before, changed(before, samples=samples), ("old", "new")) == []
