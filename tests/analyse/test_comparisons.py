"""Servers compared, by their samples."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from harness.analyse.blocks import launches_of
from harness.analyse.comparisons import (
    BETTER,
    EQUIVALENT,
    TUKEY,
    UNDECIDED,
    WORSE,
    Comparison,
    compare_all,
    compare_servers,
    inverse,
)
from harness.analyse.samples.metrics import metric
from harness.plan import ALL_CORES, CORE, ONE_CORE
from harness.record import Results, Sample, Slice, read_results

THROUGHPUT = metric("throughput_rps")
CPU = metric("cpu_us_per_request")


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (0.5, 0.01, WORSE),
        (1.2, 0.01, BETTER),
        (1.0, 0.005, EQUIVALENT),
        (1.0, 0.3, UNDECIDED),
        (1.02, 0.001, EQUIVALENT),
    ],
)
def test_verdicts(make_sample: Callable[..., Sample], factor: float, noise: float, verdict: str) -> None:
    rng = np.random.default_rng(3)
    samples = [
        make_sample(server, block, rps=20_000 * speed * math.exp(rng.normal(0, noise)))
        for block in range(8)
        for server, speed in (("a", 1.0), ("b", factor))
    ]
    (comparison,) = compare_all(launches_of(samples), "clients_64", THROUGHPUT)
    assert (comparison.a, comparison.b, comparison.verdict) == ("a", "b", verdict)
    assert comparison.ci_low < comparison.ratio < comparison.ci_high


def test_less_cpu_is_better(make_results: Callable[..., Results]) -> None:
    (comparison,) = compare_all(launches_of(make_results(factor=0.5).samples), "clients_64", CPU)
    assert comparison.verdict == WORSE
    assert comparison.ratio == pytest.approx(2, rel=0.05)


def test_what_differs_between_blocks_does_not_hide_what_differs_within(
    make_sample: Callable[..., Sample],
) -> None:
    samples = [
        make_sample(server, block, rps=10_000 * (block + 1) * speed * (1 + 0.001 * block * sign))
        for block in range(6)
        for server, speed, sign in (("a", 1.0, 1), ("b", 0.9, -1))
    ]
    (comparison,) = compare_all(launches_of(samples), "clients_64", THROUGHPUT)
    assert comparison.verdict == WORSE


def test_equal_servers_are_seldom_called_different(make_sample: Callable[..., Sample]) -> None:
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        samples = [
            make_sample(server, block, rps=2000 * math.exp(rng.normal(0, 0.1)))
            for block in range(5)
            for server in "ab"
        ]
        (comparison,) = compare_all(launches_of(samples), "clients_64", THROUGHPUT)
        wrong += comparison.verdict in {BETTER, WORSE}
    assert wrong <= 20  # 5 % of 200 is 10; more than 20 would have a chance of 0.1 %


REFERENCE = Path(__file__).parents[2] / "results" / "reference"
NAMES = ("throughput_rps", "cpu_us_per_request")


def a_comparison(verdict: str, low: float, high: float, name: str = "cpu_us_per_request") -> Comparison:
    ratio = math.sqrt(low * high)
    return Comparison("clients_64", name, "a", "b", ratio, low, high, TUKEY, 8, verdict)


def test_b_against_a_is_the_inverse_of_a_against_b() -> None:
    results = read_results(REFERENCE)
    forth = compare_servers(results, "threaded", "trio_nursery")
    back = compare_servers(results, "trio_nursery", "threaded")
    assert {(each.workload, each.metric) for each in forth} >= {
        (each.name, name) for each in CORE for name in NAMES
    }
    assert {(each.a, each.b) for each in back} == {("trio_nursery", "threaded")}
    for one, other in zip(forth, map(inverse, back), strict=True):
        assert (one.ratio, one.ci_low, one.ci_high) == pytest.approx(
            (other.ratio, other.ci_low, other.ci_high)
        )
        assert (one.a, one.b, one.verdict) == (other.a, other.b, other.verdict)


@given(st.sampled_from([BETTER, WORSE, EQUIVALENT, UNDECIDED]), st.floats(0.5, 1), st.floats(1, 2))
def test_the_inverse_of_the_inverse_is_the_same(verdict: str, low: float, high: float) -> None:
    given_one = a_comparison(verdict, low, high)
    twice = inverse(inverse(given_one))
    assert (twice.a, twice.b, twice.verdict) == ("a", "b", verdict)
    assert (twice.ratio, twice.ci_low, twice.ci_high) == pytest.approx((given_one.ratio, low, high))
    assert {inverse(given_one).verdict, verdict} in ({BETTER, WORSE}, {EQUIVALENT}, {UNDECIDED})


@settings(max_examples=20)
@given(st.floats(1.2, 5))
def test_scaling_one_server_swaps_the_verdicts(make_sample: Callable[..., Sample], factor: float) -> None:
    """More throughput is better, and more CPU time is worse, by whatever factor."""
    noise = [0.99, 1.01, 1.0, 0.995, 1.005]
    for name, more in (("rps", BETTER), ("cpu_us", WORSE)):
        verdicts = []
        for scale in (factor, 1 / factor):
            samples = [
                make_sample(server, block, **{name: 1000 * wobble * (scale if server == "b" else 1)})
                for block, wobble in enumerate(noise)
                for server in "ab"
            ]
            metric_of = THROUGHPUT if name == "rps" else CPU
            verdicts += [each.verdict for each in compare_all(launches_of(samples), "clients_64", metric_of)]
        assert verdicts == [more, {BETTER: WORSE, WORSE: BETTER}[more]]


def test_a_pair_of_a_run_is_judged_as_the_report_judges_it() -> None:
    results = read_results(REFERENCE)
    of_all = compare_all(launches_of(results.samples), "clients_64", CPU)
    (pair,) = (
        each
        for each in compare_servers(results, "threaded", "trio_nursery", ["cpu_us_per_request"])
        if each.workload == "clients_64"
    )
    (in_report,) = (each for each in of_all if {each.a, each.b} == {"threaded", "trio_nursery"})
    assert pair in (in_report, inverse(in_report))


def in_two_regimes(make_sample: Callable[..., Sample]) -> list[Sample]:
    """Return four servers, two on one core and two on all, each faster than the one before."""
    return [
        make_sample(
            server, block, rps=1000 * (1 + place) * wobble, regime=ALL_CORES if server in "cd" else ONE_CORE
        )
        for block, wobble in enumerate([0.99, 1.01, 1.0, 0.995, 1.005])
        for place, server in enumerate("abcd")
    ]


def test_one_core_is_never_compared_with_all(make_sample: Callable[..., Sample]) -> None:
    found = compare_all(launches_of(in_two_regimes(make_sample)), "clients_64", THROUGHPUT)
    assert [(each.a, each.b) for each in found] == [("a", "b"), ("c", "d")]
    # Two families of one pair each: neither is adjusted for the other.
    alone = [sample for sample in in_two_regimes(make_sample) if sample.placement.regime == ONE_CORE]
    assert found[:1] == compare_all(launches_of(alone), "clients_64", THROUGHPUT)


def a_noisy_run(make_sample: Callable[..., Sample], scatters: dict[str, float]) -> list[Sample]:
    """Return a run of four workloads, in which each server scatters by so much."""
    rng = np.random.default_rng(12)
    return [
        make_sample(server, block, workload, rps=2000 * math.exp(rng.normal(0, scatter)))
        for workload in ("clients_64", "clients_250", "clients_500", "churn")
        for block in range(8)
        for server, scatter in scatters.items()
    ]


def test_who_scatters_more_over_all_workloads_has_wider_intervals(make_sample: Callable[..., Sample]) -> None:
    samples = a_noisy_run(make_sample, dict.fromkeys("abc", 0.05) | {"d": 0.25})
    found = compare_all(launches_of(samples), "clients_64", THROUGHPUT)
    assert {each.adjustment for each in found} == {TUKEY}
    width = {frozenset((each.a, each.b)): each.ci_high / each.ci_low for each in found}
    of_d = [width[frozenset((each, "d"))] for each in "abc"]
    assert max(width[frozenset(pair)] for pair in ("ab", "ac", "bc")) < min(of_d)


def test_what_is_free_scatters_on_its_own_account(make_sample: Callable[..., Sample]) -> None:
    """The pinned ones are as well known as without it."""
    rng = np.random.default_rng(5)
    pinned = [
        make_sample(server, block, workload, cpu_us=cost * math.exp(rng.normal(0, 0.02)))
        for workload in ("clients_64", "clients_500")
        for block in range(4)
        for server, cost in zip("abcdef", range(20, 32, 2), strict=True)
    ]
    placement = structs.replace(pinned[0].placement, free=True)
    free = [
        structs.replace(
            make_sample("a+free", block, workload, cpu_us=40 * math.exp(rng.normal(0, 0.1))),
            placement=placement,
        )
        for workload in ("clients_64", "clients_500")
        for block in range(4)
    ]
    alone = {
        (each.a, each.b): math.log(each.ci_high / each.ratio)
        for each in compare_all(launches_of(pinned), "clients_64", CPU)
    }
    both = {
        (each.a, each.b): math.log(each.ci_high / each.ratio)
        for each in compare_all(launches_of([*pinned, *free]), "clients_64", CPU)
    }
    assert {pair: both[pair] for pair in alone} == alone
    assert min(both[pair] for pair in both if pair not in alone) > 2 * max(alone.values())


def test_launches_by_themselves_do_not_tell_how_slices_scatter(make_sample: Callable[..., Sample]) -> None:
    rng = np.random.default_rng(6)
    noisy = [
        make_sample(server, block, "relay_5ms_500_pool_100", cpu_us=20 * math.exp(rng.normal(0, scatter)))
        for block in range(8)
        for server, scatter in zip("abcd", (1.0, 0.02, 0.02, 0.02), strict=True)
    ]
    slices = (Slice(0, 0, 0.1, 100, 1000, 0, 0),)
    sliced = [
        structs.replace(make_sample(server, block, cpu_us=20 * math.exp(rng.normal(0, 0.05))), slices=slices)
        for block in range(4)
        for server in "abcd"
    ]
    assert compare_all(launches_of([*sliced, *noisy]), "clients_64", CPU) == compare_all(
        launches_of(sliced), "clients_64", CPU
    )


def test_a_launch_that_is_missing_leaves_the_others_of_its_block(make_sample: Callable[..., Sample]) -> None:
    samples = [
        make_sample(server, block, rps=1000 * (1 + place) * (1 + 0.01 * (block % 2)))
        for block in range(4)
        for place, server in enumerate("abc")
        if (server, block) != ("b", 2)
    ]
    found = compare_all(launches_of(samples), "clients_64", THROUGHPUT)
    assert {(each.a, each.b): each.blocks for each in found} == {("a", "b"): 3, ("a", "c"): 4, ("b", "c"): 3}


def test_some_servers_may_be_compared_among_themselves(make_sample: Callable[..., Sample]) -> None:
    launches = launches_of(a_noisy_run(make_sample, dict.fromkeys("abcd", 0.05)))
    found = compare_all(launches, "clients_64", THROUGHPUT, among={"a", "c"})
    assert [(each.a, each.b) for each in found] == [("a", "c")]
