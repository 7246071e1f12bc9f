"""Where one may ask, on made-up launches: who leads by what, ties as ties, each placement by itself."""

from collections.abc import Callable

import pytest
from msgspec import structs

from harness.analyse.blocks import launches_of
from harness.analyse.points import (
    BESIDE_COSTLY,
    CHEAPEST,
    EVERYWHERE,
    FREELY,
    LITTLE,
    LONG_LINES,
    MOST,
    PINNED,
    SHORTEST,
    SMALLEST,
    MeasuredPoint,
    Spot,
    measured_points,
    spot_of,
)
from harness.analyse.tables import tabulate
from harness.plan import ALL_CORES, ONE_CORE, RELAY, by_name
from harness.record import Sample

A, B = "threaded", "trio_nursery"
Make = Callable[..., Sample]


def points_of(samples: list[Sample]) -> tuple[MeasuredPoint, ...]:
    launches = launches_of(samples)
    names = dict.fromkeys(sample.cell.workload for sample in samples)
    tables = {
        regime: {name: tabulate(launches, name, regime) for name in names} for regime in (ONE_CORE, ALL_CORES)
    }
    return measured_points(tables, launches)


@pytest.fixture
def make_run(make_sample: Make) -> Callable[..., list[Sample]]:
    """Return a maker of launches of two servers: the second answers so much of the first, at so much of its memory."""

    def make(factor: float, memory: float = 1.0, names: tuple[str, str] = (A, B)) -> list[Sample]:
        return [
            make_sample(
                server,
                block,
                rps=20_000 * times * (1 + 0.002 * block),
                cpu_us=49 / times,
                memory_peak_bytes=int(2**25 * held * (1 + 0.001 * block)),
            )
            for block in range(5)
            for server, times, held in zip(names, (1.0, factor), (1.0, memory), strict=True)
        ]

    return make


@pytest.mark.parametrize(
    ("name", "spot"),
    [
        ("clients_500", Spot(500, 0.0, None, LITTLE, PINNED)),
        ("ping_pong", Spot(1, 0.0, None, LITTLE, PINNED)),
        (RELAY.name, Spot(500, 0.005, 100, LITTLE, PINNED)),
        ("relay_20ms_256", Spot(256, 0.02, None, LITTLE, PINNED)),
        ("costly", Spot(8, 0.0, None, BESIDE_COSTLY, PINNED)),
        ("line_4096", Spot(64, 0.0, None, LONG_LINES, PINNED)),
        *((name, None) for name in ("soak", "churn", "flood", "open_5k", "line_8", "clients_64_pipeline_4")),
        ("relay_5ms_256_exponential", None),
    ],
)
def test_a_workload_is_the_answer_to_what_it_does(name: str, spot: Spot | None) -> None:
    assert spot_of(by_name(name), PINNED) == spot


def test_who_leads_is_turned_round_by_the_figures(make_run: Callable[..., list[Sample]]) -> None:
    (slow,), (fast,), (same,) = (points_of(make_run(factor)) for factor in (0.5, 2.0, 1.0))
    for purpose in (MOST, CHEAPEST):
        assert slow.ranked[purpose].ranking.leaders == (A,)
        assert fast.ranked[purpose].ranking.leaders == (B,)
        assert set(same.ranked[purpose].ranking.leaders) == {A, B}


def test_memory_and_tail_are_ranked_by_themselves(make_run: Callable[..., list[Sample]]) -> None:
    (point,) = points_of(make_run(0.5, memory=0.5))
    assert point.ranked[SMALLEST].ranking.leaders == (B,)
    assert point.ranked[SHORTEST].metric == "response_p99_us"
    assert [row.server for row in point.rows] == [A, B]


def test_each_placement_has_a_point_of_its_own(
    make_run: Callable[..., list[Sample]], make_sample: Make
) -> None:
    free = make_run(0.5, names=(f"{A}+free", f"{B}+free"))
    alone = [make_sample("processes", block, regime=ALL_CORES) for block in range(5)]
    found = points_of([*make_run(2.0), *free, *alone])
    assert [point.spot.placement for point in found] == [PINNED, FREELY, EVERYWHERE]
    leaders = [point.ranked[MOST].ranking.leaders for point in found]
    assert leaders == [(B,), (f"{A}+free",), ("processes",)]


def test_who_is_fresh_is_at_no_point(make_run: Callable[..., list[Sample]]) -> None:
    assert points_of(make_run(0.5, names=(f"{A}+fresh", f"{B}+fresh"))) == ()


def test_who_was_given_fewer_clients_is_not_ranked_by_what_so_many_would_do(
    make_relayed: Make,
) -> None:
    workload = by_name("relay_5ms_256")
    waiting = workload.load.upstream
    assert waiting
    few = structs.replace(workload.load, clients=64, upstream=structs.replace(waiting, pool=64))
    samples = [
        make_relayed(
            server, block, workload=workload.name, load=load, rps=10_000 * (1 + 0.002 * block), cpu_us=49,
            memory_peak_bytes=int(mib * 2**20 * (1 + 0.001 * block)),
        )
        for block in range(5)
        for server, load, mib in ((A, workload.load, 30), (B, workload.load, 32), ("thread_pool", few, 10))
    ]  # fmt: skip
    (found,) = points_of(samples)
    assert found.fewer == {"thread_pool": 64}
    assert set(found.ranked[MOST].ranking.estimates) == {A, B, "thread_pool"}
    for purpose in (SHORTEST, SMALLEST):
        assert set(found.ranked[purpose].ranking.estimates) == {A, B}
        assert found.ranked[purpose].without == ()
