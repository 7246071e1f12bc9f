"""What is said of samples."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.analyse import (
    BETTER,
    EQUIVALENT,
    UNDECIDED,
    WORSE,
    Comparison,
    compare_all,
    doubts,
    estimate,
    groups,
    holm,
    invalidity,
    limited_by,
    merged,
    metric,
    quantile_ns,
    tabulate,
)
from harness.record import Results, Sample, histogram

THROUGHPUT = metric("throughput_rps")
CPU = metric("cpu_us_per_request")


def as_histogram(values: Sequence[int]) -> dict[int, int]:
    return histogram(np.array(values, dtype=np.int64), np.ones(len(values), dtype=np.int64))


@given(
    st.lists(st.integers(min_value=1, max_value=10**9), min_size=1000, max_size=3000),
    st.sampled_from([0.5, 0.9]),
)
def test_a_quantile_is_numpys_to_within_a_bucket(values: list[int], q: float) -> None:
    found = quantile_ns(as_histogram(values), q)
    exact = np.quantile(values, q, method="inverted_cdf")
    assert found == pytest.approx(exact, rel=1 / 64, abs=1)


def test_a_quantile_with_too_few_observations_beyond_it_is_not_given() -> None:
    assert quantile_ns(as_histogram(range(1000)), 0.9) is not None
    assert quantile_ns(as_histogram(range(999)), 0.9) is None
    assert quantile_ns({}, 0.5) is None


@given(st.lists(st.lists(st.integers(min_value=0, max_value=10**9), max_size=30), max_size=5))
def test_histograms_merge_like_their_values(lists: list[list[int]]) -> None:
    together = [value for values in lists for value in values]
    assert merged(map(as_histogram, lists)) == as_histogram(together)


def test_an_estimate_is_the_t_interval_of_the_logarithms() -> None:
    values = [10.0, 11.0, 12.5, 9.5]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 3, np.mean(np.log(values)), stats.sem(np.log(values)))
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx(
        (stats.gmean(values), math.exp(low), math.exp(high))
    )


def test_an_estimate_of_one_value_or_of_zeros_has_no_interval() -> None:
    assert estimate([]) is None
    for values, mean in (([7.0], 7.0), ([0.0, 0.0], 0.0), ([0.0, 3.0], 1.5)):
        found = estimate(values)
        assert found is not None
        assert found.mean == pytest.approx(mean)
        assert found.low is None
        assert found.high is None


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(1000):
        found = estimate(list(np.exp(rng.normal(math.log(100), 0.2, size=5))))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 100 <= found.high
    assert 930 <= covered <= 970


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=12))
def test_holm_is_ordered_like_the_p_values_and_never_below_them(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    assert [a for _, a in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)


def test_holm_by_the_book() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


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
    (comparison,) = compare_all(samples, "clients_64", THROUGHPUT)
    assert (comparison.a, comparison.b, comparison.verdict) == ("a", "b", verdict)
    assert comparison.ci_low < comparison.ratio < comparison.ci_high


def test_less_cpu_is_better(make_results: Callable[..., Results]) -> None:
    (comparison,) = compare_all(make_results(factor=0.5).samples, "clients_64", CPU)
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
    (comparison,) = compare_all(samples, "clients_64", THROUGHPUT)
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
        (comparison,) = compare_all(samples, "clients_64", THROUGHPUT)
        wrong += comparison.verdict in {BETTER, WORSE}
    assert wrong <= 20  # 5 % of 200 is 10; more than 20 would have a chance of 0.1 %


def comparison(a: str, b: str, verdict: str) -> Comparison:
    return Comparison("w", "m", a, b, 1.0, 1.0, 1.0, 0.5, 5, verdict)


def test_letters_are_shared_by_those_that_were_not_told_apart() -> None:
    apart = [comparison("a", "c", WORSE), comparison("a", "b", UNDECIDED), comparison("b", "c", EQUIVALENT)]
    assert groups("abc", apart) == {"a": "a", "b": "ab", "c": "b"}
    assert groups("abc", []) == {"a": "a", "b": "a", "c": "a"}


@given(st.data())
def test_two_servers_share_a_letter_exactly_if_they_were_not_told_apart(data: st.DataObject) -> None:
    servers = "abcdef"
    pairs = [(a, b) for i, a in enumerate(servers) for b in servers[i + 1 :]]
    apart = data.draw(st.sets(st.sampled_from(pairs)))
    letters = groups(servers, [comparison(a, b, WORSE if (a, b) in apart else UNDECIDED) for a, b in pairs])
    for a, b in pairs:
        assert bool(set(letters[a]) & set(letters[b])) == ((a, b) not in apart)
    assert all(letters.values())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sent": 1, "planned": 1}, "conservation"),
        ({"planned": 1}, "conservation"),
        ({"wrong": 1, "sent": 10_011, "planned": 10_011}, "wrong-replies"),
        ({"error": 2, "sent": 10_012, "planned": 10_012}, "errors"),
        ({"timeout": 1, "sent": 10_011, "planned": 10_011}, "timeouts"),
        ({"in_flight": 1, "sent": 10_011, "planned": 10_011}, "timeouts"),
        ({"answered": 0}, "nothing-answered"),
        ({"steal_share": 0.02}, "steal"),
    ],
)
def test_why_a_sample_cannot_be_used(
    make_sample: Callable[..., Sample], changes: dict[str, int], code: str
) -> None:
    (reason,) = invalidity(make_sample(**changes))
    assert reason.startswith(code)


def test_a_good_sample_can_be_used(make_sample: Callable[..., Sample]) -> None:
    assert invalidity(make_sample()) == []
    assert doubts(make_sample()) == []


def test_what_may_have_disturbed_a_sample(make_sample: Callable[..., Sample]) -> None:
    found = doubts(make_sample(pinned=False))
    assert [reason.partition(":")[0] for reason in found] == ["shared-core"]


def test_what_limits_a_closed_loop(make_sample: Callable[..., Sample]) -> None:
    assert limited_by(make_sample(server_cpu_ns=980_000_000)) == "server"
    assert limited_by(make_sample(server_cpu_ns=500_000_000, generator_cpu_ns=980_000_000)) == "generator"
    assert limited_by(make_sample(server_cpu_ns=500_000_000)) == "latency"


def test_invalid_samples_stay_visible_and_are_not_ranked(make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample("a", block) for block in range(3)] + [
        make_sample("b", 0, wrong=1),
        make_sample("a", 3, wrong=1),
    ]
    table = tabulate(samples, "clients_64")
    assert [row.server for row in table.rows] == ["a", "b"]
    assert table.row("a").launches == 4
    assert len(table.row("a").invalid) == 2
    assert table.row("b").estimates["throughput_rps"] is None
    assert table.comparisons["throughput_rps"] == ()


def test_a_quantile_too_far_out_for_one_launch_is_that_of_all_together(
    make_sample: Callable[..., Sample],
) -> None:
    one = tabulate([make_sample("a", block, rps=30_000) for block in range(2)], "clients_64").row("a")
    many = tabulate([make_sample("a", block, rps=30_000) for block in range(4)], "clients_64").row("a")
    assert one.estimates["response_p999_us"] is None
    pooled = many.estimates["response_p999_us"]
    assert pooled is not None
    assert pooled.low is None
    assert pooled.mean == pytest.approx(4996, rel=0.02)


def test_a_table_is_sorted_by_throughput(make_results: Callable[..., Results]) -> None:
    table = tabulate(make_results(factor=2.0).samples, "clients_64")
    assert [row.server for row in table.rows] == ["trio_nursery", "threaded"]
    assert table.row("trio_nursery").letters["throughput_rps"] == "a"
    assert table.row("threaded").letters["throughput_rps"] == "b"
