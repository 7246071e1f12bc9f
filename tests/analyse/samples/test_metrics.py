"""What is said of samples."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analyse.samples.metrics import METRICS, metric
from harness.analyse.samples.quantiles import quantile_ns
from harness.analyse.samples.validity import assess, invalidity, limited_by
from harness.analyse.slopes import slope
from harness.plan import Background
from harness.record import Sample, add_histograms
from harness.record.buckets import histogram

THROUGHPUT = metric("throughput_rps")


def as_histogram(values: Sequence[int]) -> dict[int, int]:
    return histogram(np.array(values, dtype=np.int64), np.ones(len(values), dtype=np.int64))


@given(st.integers(0, 2**32), st.integers(1000, 3000), st.integers(1, 30), st.sampled_from([0.5, 0.9]))
def test_a_quantile_is_numpys_to_within_a_bucket(seed: int, count: int, doublings: int, q: float) -> None:
    rng = np.random.default_rng(seed)
    values = [int(value) for value in 2 ** rng.uniform(0, doublings, count)]
    found = quantile_ns(as_histogram(values), q)
    exact = np.quantile(values, q, method="inverted_cdf")
    assert found == pytest.approx(exact, rel=1 / 64, abs=1)


def test_a_quantile_with_nothing_beyond_it_is_not_given() -> None:
    assert quantile_ns(as_histogram(range(11)), 0.9) == 9
    assert quantile_ns(as_histogram(range(9)), 0.9) is None
    assert quantile_ns({}, 0.5) is None


@given(st.lists(st.lists(st.integers(min_value=0, max_value=10**9), max_size=30), max_size=5))
def test_histograms_merge_like_their_values(lists: list[list[int]]) -> None:
    together = [value for values in lists for value in values]
    assert add_histograms(map(as_histogram, lists)) == as_histogram(together)


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
        ({"background_asked": 3, "background_ok": 2}, "conservation"),
        ({"background_asked": 3, "background_ok": 2, "background_wrong": 1}, "wrong-replies"),
        ({"background_asked": 3, "background_ok": 2, "background_error": 1}, "errors"),
    ],
)
def test_why_a_sample_cannot_be_used(
    make_sample: Callable[..., Sample], changes: dict[str, int], code: str
) -> None:
    (reason,) = invalidity(make_sample(**changes))
    assert reason.startswith(code)


def test_a_good_sample_can_be_used(make_sample: Callable[..., Sample]) -> None:
    assert invalidity(make_sample()) == []
    assert assess(make_sample()).doubts == []


def test_what_may_have_disturbed_a_sample(make_sample: Callable[..., Sample]) -> None:
    found = assess(make_sample(pinned=False)).doubts
    assert [reason.partition(":")[0] for reason in found] == ["shared-core"]


def test_what_limits_a_closed_loop(make_sample: Callable[..., Sample]) -> None:
    assert limited_by(make_sample(server_cpu_ns=980_000_000)) == "server"
    assert limited_by(make_sample(server_cpu_ns=500_000_000, generator_cpu_ns=980_000_000)) == "generator"
    assert limited_by(make_sample(server_cpu_ns=500_000_000)) == "latency"


@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=30),
    st.integers(-1000, 1000),
)
def test_a_slope_is_numpys_line_of_least_squares(values: list[int], start: int) -> None:
    shifted = [start + value for value in values]
    expected = np.polyfit(np.arange(len(values)), np.array(shifted), 1)[0]
    assert slope(range(len(shifted)), shifted).value == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_memory_that_grows_is_seen_if_it_was_read_often_enough(make_sample: Callable[..., Sample]) -> None:
    of = metric("memory_slope_kib_per_s").value
    growing = tuple(2**20 * 20 + 3 * 1024 * second for second in range(10))
    assert of(make_sample(memory_series_bytes=growing)) == pytest.approx(3)
    assert of(make_sample(memory_series_bytes=growing[::-1])) == pytest.approx(-3)
    assert of(make_sample(memory_series_bytes=growing[:4])) is None


def test_a_metric_that_a_launch_does_not_have_is_none(make_sample: Callable[..., Sample]) -> None:
    without = {each.name for each in METRICS if each.value(make_sample()) is None}
    assert {"connect_p50_us", "fairness_jain", "worst_client_share", "recovery_s", "system_share"} <= without
    sample = make_sample(
        connect_ns=as_histogram(range(10**6, 2 * 10**6, 1000)),
        fairness_jain=0.9,
        worst_client_share=0.5,
        recovery_s=0.0,
        server_user_ns=300,
        server_system_ns=100,
    )
    assert metric("connect_p50_us").value(sample) == pytest.approx(1500, rel=0.02)
    assert metric("system_share").value(sample) == 0.25
    assert metric("recovery_s").value(sample) == 0


def test_what_a_request_costs_is_not_said_if_others_asked_besides(make_sample: Callable[..., Sample]) -> None:
    per_request = metric("cpu_us_per_request").value, metric("switches_per_request").value
    for behind in (None, Background("idle", 9)):
        assert None not in [value(make_sample(background=behind)) for value in per_request]
    for kind in ("flood", "costly", "trickle", "slow_readers"):
        assert [value(make_sample(background=Background(kind, 9))) for value in per_request] == [
            None,
            None,
        ]


def test_idle_memory_counts_those_in_the_background(make_sample: Callable[..., Sample]) -> None:
    of = metric("idle_kib_per_connection").value
    sizes = {"memory_ready_bytes": 0 + 2**20, "memory_connected_bytes": 2**20 + 1064 * 2048}
    assert of(make_sample(background=Background("idle", 1000), **sizes)) == pytest.approx(2)
    assert of(make_sample(**sizes)) is None
    assert of(make_sample(clients=1064, churn=True, **sizes)) is None
