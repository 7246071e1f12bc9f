"""Every question has an answer: what was measured there, or else next to it; and what is predicted is marked as such."""

from dataclasses import replace
from itertools import product

import pytest

from harness.analyse.answers import (
    CLIENTS,
    POOLS,
    WAITS_S,
    SpotAnswer,
    answer,
    answers,
    meant,
    nearest,
    questions,
)
from harness.analyse.points import FREELY, LITTLE, LONG_LINES, PINNED, PLACEMENTS, WORKS, MeasuredPoint, Spot
from harness.analyse.prediction.held_out import PredictionTest, held_out_test
from tests.analyse.prediction.relays import measured


def at(clients: int, wait_ms: float = 0, pool: int | None = None, work: str = LITTLE) -> Spot:
    return Spot(clients, wait_ms / 1e3, pool, work, PINNED)


def point(clients: int, wait_ms: float = 0, pool: int | None = None, work: str = LITTLE) -> MeasuredPoint:
    return MeasuredPoint(at(clients, wait_ms, pool, work), f"{clients}-{wait_ms:g}-{pool}", (), {}, {})


POINTS = (
    *(point(clients) for clients in (1, 8, 64, 250, 500)),
    *(point(clients, wait_ms) for clients in (16, 256, 1000) for wait_ms in (5, 20)),
    point(500, 5, 100),
    point(64, work=LONG_LINES),
)


@pytest.fixture(scope="module")
def predictions() -> PredictionTest:
    found = held_out_test([*measured("quick"), *measured("slow", machines=(2.0, 2.0, 2.0))], seed=1)
    assert found
    return replace(found, judged=found.judged * 4)  # so many that they have a margin


def spots(found: tuple[MeasuredPoint, ...]) -> list[tuple[int, float]]:
    return [(each.spot.clients, each.spot.wait_s * 1e3) for each in found]


def test_what_was_measured_is_the_answer() -> None:
    found = answer(at(500), POINTS, None)
    assert found.exact
    assert spots(found.measured) == [(500, 0)]
    assert answer(at(250, 5), POINTS, None).exact  # 256 is as good


@pytest.mark.parametrize(
    ("asked", "around"),
    [
        (at(128), [(64, 0), (250, 0)]),
        (at(1000), [(500, 0)]),
        (at(500, 5), [(256, 5), (1000, 5)]),
        (at(16, 10), [(16, 5), (16, 20)]),
        (at(500, 10), [(256, 5), (256, 20), (1000, 5), (1000, 20)]),
        (at(500, 100), [(256, 20), (1000, 20)]),
        (at(8, 5), [(16, 5)]),
        (at(250, 5, 100), [(500, 5)]),
        (at(1000, 0, None, LONG_LINES), [(64, 0)]),
    ],
)
def test_else_it_is_what_lies_around(asked: Spot, around: list[tuple[int, float]]) -> None:
    found = answer(asked, POINTS, None)
    assert not found.exact
    assert sorted(spots(found.measured)) == around


def test_a_point_that_lies_alone_is_no_neighbour_of_others() -> None:
    """With this many clients one wait was measured, with other waits the next fewer and the next more."""
    alone = (point(500, 5, 100), point(256, 20, 100), point(1000, 20, 100))
    assert sorted(spots(nearest(at(500, 20, 100), alone))) == [(256, 20), (1000, 20)]
    assert sorted(spots(nearest(at(500, 10, 100), alone))) == [(256, 20), (500, 5), (1000, 20)]


def test_what_is_near_enough_needs_no_neighbours() -> None:
    assert spots(nearest(at(250, 10), (point(64, 5), point(256, 5), point(1000, 5)))) == [(256, 5)]


def test_nothing_is_predicted_above_what_clients_and_wait_allow(predictions: PredictionTest) -> None:
    for found in answer(at(128, 5), POINTS, predictions).expected:
        assert found.high
        assert found.high <= 128 / 0.005


def test_the_nearest_comes_first() -> None:
    assert spots(nearest(at(250, 20), (point(16, 20), point(1000, 20))))[0] == (1000, 20)


def test_another_placement_is_no_answer() -> None:
    assert answer(at(500)._replace(placement=FREELY), POINTS, None) == SpotAnswer(
        (), exact=False, expected=()
    )


def test_between_points_a_prediction_is_given_with_its_range(predictions: PredictionTest) -> None:
    found = answer(at(128, 5), POINTS, predictions)
    assert [each.server for each in found.expected] == ["quick", "slow"]
    for each in found.expected:
        assert each.low
        assert each.high
        assert each.low < each.throughput_rps < each.high
    assert found.may_lead == ("quick",)


@pytest.mark.parametrize("asked", [at(256, 5), at(128), at(1000, 5), at(8, 5), at(128, 5, None, LONG_LINES)])
def test_nothing_is_predicted_of_what_was_measured_or_lies_beyond(
    asked: Spot, predictions: PredictionTest
) -> None:
    assert answer(asked, POINTS, predictions).expected == ()


def test_two_that_may_both_be_first_are_both_named() -> None:
    found = held_out_test([*measured("a"), *measured("b", seed=2)], seed=1)
    assert set(answer(at(128, 5), POINTS, found).may_lead) == {"a", "b"}


def test_handlers_that_wait_tell_nothing_of_such_as_do_not() -> None:
    resting = [each for each in POINTS if not each.spot.wait_s]
    assert nearest(at(500, 5), resting) == ()


def test_a_pool_is_none_where_it_limits_nobody() -> None:
    assert meant(at(64, 5, 100)) == at(64, 5)
    assert meant(at(500, 0, 100)) == at(500)
    assert meant(at(500, 5, 100)) == at(500, 5, 100)


def test_every_question_has_its_answer() -> None:
    asked = list(questions())
    assert len(asked) == len(set(asked))
    chosen = {meant(Spot(*each)) for each in product(CLIENTS, WAITS_S, POOLS, WORKS, PLACEMENTS)}
    assert answers(POINTS, None).keys() == set(asked) == chosen
