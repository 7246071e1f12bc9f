"""The gates: what makes a measurement invalid, and what is said of it otherwise."""

from collections.abc import Callable

import numpy as np
import pytest
from msgspec import structs

from harness.analyse.samples.metrics import ceiling_share
from harness.analyse.samples.validity import (
    MOVED_LIMIT_NS,
    START_LIMIT_NS,
    Reason,
    Severity,
    achieved_share,
    assess,
    generator_share,
    invalidity,
    limited_by,
    littles_law_holds,
)
from harness.plan import ALL_CORES
from harness.record import Distribution, Histogram, Requests, Sample, Slice, WorkerShare
from harness.record.buckets import histogram
from tests.makers import changed


def codes(sample: Sample) -> list[str]:
    return [finding.reason.code for finding in assess(sample).flags]


@pytest.fixture
def open_sample(make_sample: Callable[..., Sample]) -> Callable[..., Sample]:
    """Return a maker of samples of an open loop that went well."""

    def make(**changes: object) -> Sample:
        values: dict[str, object] = {
            "arrivals": "constant",
            "rate": 10_000.0,
            "generator_cpu_ns": 900_000_000,
        }
        return make_sample(**values | {"generator_spin_ns": 400_000_000} | changes)

    return make


def test_codes_are_unique_and_explained() -> None:
    assert len({reason.code for reason in Reason}) == len(Reason)
    assert all(reason.meaning and reason.severity in Severity for reason in Reason)


def test_a_good_open_loop_is_valid_without_a_word(open_sample: Callable[..., Sample]) -> None:
    assert codes(open_sample()) == []
    assert limited_by(open_sample()) == "rate"


def test_the_gravest_comes_first(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample(pinned=False, steal_share=0.5, server_cpu_ns=0)
    assert codes(sample) == ["steal", "shared-core", "latency-bound"]
    assert not assess(sample).valid


def test_what_was_never_sent_is_in_the_books(open_sample: Callable[..., Sample]) -> None:
    sample = open_sample()
    waiting = changed(sample, planned=sample.requests.sent + 7, censored=7, offered=sample.window.offered + 7)
    assert waiting.requests.never_sent == 7
    assert codes(waiting) == ["censored"]
    assert codes(changed(waiting, planned=sample.requests.sent - 1)) == ["conservation", "censored"]


@pytest.mark.parametrize(
    ("lag_us", "rate", "reasons"),
    [(90, 20_000.0, []), (120, 20_000.0, ["lag"]), (120, 5_000.0, ["short-lag"])],
)
def test_a_late_generator_makes_a_measurement_invalid(
    open_sample: Callable[..., Sample], lag_us: int, rate: float, reasons: list[str]
) -> None:
    """Of a response of 1 ms; requests are 50 or 200 µs apart."""
    late = with_lag(open_sample(rate=rate), lag_us, response_us=1000)
    assert [code for code in codes(late) if code.endswith("lag")] == reasons
    assert assess(late).valid == (reasons != ["lag"])


def test_a_launch_is_not_thrown_out_for_being_fast(open_sample: Callable[..., Sample]) -> None:
    """The generator is late by the same in both; a share of the response alone would keep the slow one, and not the fast."""
    fast, slow = (
        with_lag(open_sample(rate=5_000.0), 20, response_us=response_us) for response_us in (120, 300)
    )
    assert assess(fast).valid == assess(slow).valid


def with_lag(sample: Sample, lag_us: int, response_us: int) -> Sample:
    """Return a sample of which every request was so late, and every response took so long."""

    def of_all(us: int) -> Histogram:
        return histogram(np.full(10_000, us * 1000), np.ones(10_000, dtype=np.int64))

    return changed(sample, lag_ns=of_all(lag_us), response_ns=of_all(response_us))


def test_lag_behind_a_quantile_of_few_is_told_and_makes_nothing_invalid(
    open_sample: Callable[..., Sample],
) -> None:
    """Fifty late requests of ten thousand reach p99.9, which ten lie beyond, and no quantile that decides on anything."""
    lags = histogram(np.array([1000, 10**9]), np.array([9_950, 50]))
    sample = open_sample(lag_ns=lags)
    assert codes(sample) == ["late-tail"]
    assert "at p999" in str(assess(sample).flags[0])
    assert assess(sample).valid


def test_a_generator_without_time_to_spare_is_saturated(open_sample: Callable[..., Sample]) -> None:
    spinning = open_sample(generator_cpu_ns=990_000_000, generator_spin_ns=700_000_000)
    working = open_sample(generator_cpu_ns=990_000_000, generator_spin_ns=100_000_000)
    assert codes(spinning) == []
    assert codes(working) == ["generator-saturated"]
    assert generator_share(changed(working, generators=2)) == pytest.approx(0.445)


def test_a_generator_need_not_have_time_to_spare_when_the_server_has_none(
    open_sample: Callable[..., Sample],
) -> None:
    busy = {"generator_cpu_ns": 950_000_000, "generator_spin_ns": 0, "offered": 12_000}
    assert codes(open_sample(**busy, server_cpu_ns=990_000_000)) == ["overloaded"]
    assert "generator-saturated" in codes(open_sample(**busy, server_cpu_ns=500_000_000))


def test_an_overloaded_server_is_called_so_and_the_measurement_is_valid(
    open_sample: Callable[..., Sample],
) -> None:
    sample = open_sample(offered=12_000)
    assert achieved_share(sample) == pytest.approx(10 / 12)
    assert codes(sample) == ["overloaded"]
    assert assess(sample).valid


@pytest.mark.parametrize(
    ("server", "generator", "code"),
    [(0.98, 0.5, None), (0.5, 0.98, "generator-bound"), (0.5, 0.5, "latency-bound")],
)
def test_what_bounds_a_closed_loop_is_said(
    make_sample: Callable[..., Sample], server: float, generator: float, code: str | None
) -> None:
    sample = make_sample(server_cpu_ns=int(server * 1e9), generator_cpu_ns=int(generator * 1e9))
    assert codes(sample) == ([code] if code else [])


def test_a_server_whose_process_is_not_known_may_be_limited_by_anything(
    make_sample: Callable[..., Sample],
) -> None:
    sample = make_sample(server_cpu_ns=0, threads=0)
    assert limited_by(sample) == "unknown"
    assert assess(sample).of(Severity.REMARK) == []


def test_littles_law_notices_false_books(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample(server_cpu_ns=990_000_000)
    assert littles_law_holds(sample)
    assert codes(changed(sample, response_sum_ns=sample.times.response_sum_ns * 9 // 10)) == ["littles-law"]


def test_a_launch_that_was_not_steady_is_labelled(make_sample: Callable[..., Sample]) -> None:
    sample = make_sample(server_cpu_ns=990_000_000, series=(100,) * 5 + (500,) * 15)
    assert codes(sample) == ["warming-up"]
    assert assess(sample).valid


@pytest.mark.parametrize(
    ("server", "generator", "limit"),
    [(1.95, 0.04, "server"), (1.3, 0.65, "machine"), (1.0, 0.97, "generator"), (0.98, 0.5, "latency")],
)
def test_what_limits_a_server_on_all_cores(
    make_sample: Callable[..., Sample], server: float, generator: float, limit: str
) -> None:
    sample = make_sample(
        regime=ALL_CORES,
        server_cores=2,
        pinned=False,
        server_cpu_ns=int(server * 1e9),
        generator_cpu_ns=int(generator * 1e9),
    )
    assert limited_by(sample) == limit
    (doubt,) = assess(sample).doubts
    assert doubt == "shared-core: the server uses all 2 cores, the generator's among them"
    assert assess(sample).valid


def sliced(make_sample: Callable[..., Sample], **changes: object) -> Sample:
    """Return a sample with three slices of 64 clients, in which all books are right."""
    slices = tuple(Slice(cycle, 0, 0.1, 1000, 50_000_000, 64 * 100_000_000, rest_s=0.9) for cycle in range(3))
    return structs.replace(make_sample(**changes), slices=slices)


def test_what_slows_all_servers_of_a_block_alike_is_told_and_does_not_void_it(
    make_sample: Callable[..., Sample],
) -> None:
    for name in ("steal_share", "foreign_share"):
        assert invalidity(make_sample(**{name: 0.3}))
        found = assess(sliced(make_sample, **{name: 0.3}))
        assert found.valid
        assert [doubt.partition(":")[0] for doubt in found.doubts] == ["neighbour"]


def test_a_slice_whose_requests_do_not_fill_its_time_voids_a_launch(
    make_sample: Callable[..., Sample],
) -> None:
    right = sliced(make_sample)
    assert assess(right).valid
    short = structs.replace(right.slices[1], in_flight_ns=right.slices[1].in_flight_ns - 1)
    wrong = structs.replace(right, slices=(right.slices[0], short, right.slices[2]))
    assert [reason.partition(":")[0] for reason in invalidity(wrong)] == ["conservation"]


SHARES = tuple(
    WorkerShare(worker=name, clients=32, requests=Requests(planned=half, sent=half, ok=half, wrong=0, error=0, timeout=0, in_flight=0, fault=""))
    for name, half in (("a", 5_000), ("b", 5_010))
)  # fmt: skip


def from_many(sample: Sample, **changes: object) -> Sample:
    """Return a sample whose load came from two workers, with something changed of the second."""
    return structs.replace(sample, workers=(SHARES[0], structs.replace(SHARES[1], **changes)))


def test_the_books_of_many_add_up(make_sample: Callable[..., Sample]) -> None:
    assert invalidity(from_many(make_sample())) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lost": "worker b has died"}, "worker-lost: worker b has died; 32 of 64 clients were its"),
        (
            {"start_off_ns": START_LIMIT_NS + 1},
            "start-off: worker b was 20.0 ms off, its clock's error included",
        ),
        ({"clock_moved_ns": MOVED_LIMIT_NS + 1}, "clock-moved: that of worker b, by 5.0 ms"),
        (
            {"requests": changed(SHARES[1].requests, ok=5_009)},
            "conservation: of worker b 5010 requests were sent and 5009 are accounted for",
        ),
        (
            {"requests": changed(SHARES[1].requests, sent=5_009, ok=5_009)},
            "conservation: the workers have sent 10009 requests, and together 10010",
        ),
    ],
)
def test_a_worker_that_did_not_do_its_part_voids_a_launch_and_is_named(
    make_sample: Callable[..., Sample], changes: dict[str, object], reason: str
) -> None:
    assert reason in invalidity(from_many(make_sample(), **changes))


@pytest.mark.parametrize("changes", [{"start_off_ns": START_LIMIT_NS}, {"clock_moved_ns": MOVED_LIMIT_NS}])
def test_what_is_stated_of_clocks_is_allowed(
    make_sample: Callable[..., Sample], changes: dict[str, int]
) -> None:
    assert assess(from_many(make_sample(), **changes)).valid


def test_a_server_that_works_between_its_slices_is_told_of(make_sample: Callable[..., Sample]) -> None:
    right = sliced(make_sample)
    restless = tuple(structs.replace(each, rest_cpu_ns=20_000_000) for each in right.slices)
    assert "restless" in str(assess(structs.replace(right, slices=restless)).of(Severity.REMARK)[0])


def of_upstream(sample: Sample, **changes: object) -> Sample:
    assert sample.upstream is not None
    return changed(sample, upstream=structs.replace(sample.upstream, **changes))


def test_a_good_relay_is_limited_by_its_ceiling_or_by_its_own_time(
    make_relayed: Callable[..., Sample],
) -> None:
    reached, below = make_relayed(share=0.96), make_relayed(share=0.5)
    assert ceiling_share(reached) == pytest.approx(0.96 * 5.02 / 5)
    assert (limited_by(reached), limited_by(below)) == ("upstream", "latency")
    assert codes(reached) == []
    assert codes(below) == ["latency-bound"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"integral_ns": 1}, "conservation"),
        ({"strays": 1}, "strays"),
        ({"under_way_ns": 64_001_000_000, "integral_ns": 64_001_000_000}, "above-ceiling"),
        ({"most": 65}, "above-ceiling"),
    ],
)
def test_a_fault_of_the_instrument_voids_a_launch(
    make_relayed: Callable[..., Sample], changes: dict[str, int], code: str
) -> None:
    assert code in {reason.partition(":")[0] for reason in invalidity(of_upstream(make_relayed(), **changes))}


def test_questions_of_requests_that_were_lost_are_told_of_as_lost_alone(
    make_relayed: Callable[..., Sample],
) -> None:
    sample = of_upstream(make_relayed(), strays=3, integral_ns=1)
    sent = sample.requests.sent + 1
    lost = changed(sample, planned=sent, sent=sent, error=1, fault="it went away")
    assert [reason.partition(":")[0] for reason in invalidity(lost)] == ["errors"]


@pytest.mark.parametrize(("late_us", "doubtful"), [(200, False), (300, True)])
def test_answers_that_are_late_are_doubtful(
    make_relayed: Callable[..., Sample], late_us: int, *, doubtful: bool
) -> None:
    sample = make_relayed()
    counts = np.ones(100, dtype=np.int64)
    late = Distribution(histogram(counts * late_us * 1000, counts), late_us * 1000)
    assert ("late-answers" in codes(of_upstream(sample, late=late))) is doubtful
