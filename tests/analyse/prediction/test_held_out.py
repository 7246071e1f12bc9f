"""The test of predictions: nothing that is drawn is looked at before, and a worse model is said to be worse."""

from dataclasses import replace

import pytest

from harness.analyse.prediction.cells import METRICS, RelayCell
from harness.analyse.prediction.cost import CostCurve
from harness.analyse.prediction.held_out import (
    GOAL,
    Judged,
    PredictionTest,
    draw,
    held_out_test,
    judge,
    right_of,
)
from harness.analyse.prediction.laws import Setting
from harness.analyse.statistics.inference import Estimate
from tests.analyse.prediction.relays import FALLING, SETTINGS, measured, relay

PLACES = [(server, setting) for server in ("a", "b", "c") for setting in SETTINGS]
OTHER = CostCurve(work_us=80.0, wakeup_us=60.0)


def held_out(cells: list[RelayCell]) -> PredictionTest:
    found = held_out_test(cells, seed=1)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cells() -> list[RelayCell]:
    machines = (1.0, 1.2, 0.9)
    return [*measured("a", machines=machines), *measured("b", OTHER, machines=machines)]


@pytest.fixture(scope="module")
def found(cells: list[RelayCell]) -> PredictionTest:
    return held_out(cells)


def test_the_seed_alone_decides_what_is_drawn() -> None:
    assert draw(PLACES, 1) == draw(PLACES[::-1], 1)
    assert len({draw(PLACES, seed) for seed in range(10)}) > 1


def test_what_is_drawn_lies_between_what_is_not() -> None:
    for server in ("a", "b", "c"):
        drawn = {setting for name, setting in draw(PLACES, 1) if name == server}
        assert len(drawn) == 3  # of six
        assert {setting.clients for setting in drawn} <= {64, 256}


def test_predictions_come_true_where_the_relay_is_as_it_is_thought_to_be(found: PredictionTest) -> None:
    assert len(found.judged) == len(METRICS) * 3 * 2
    assert right_of(found.judged) >= GOAL * len(found.judged)


def test_a_model_for_which_a_cost_is_a_cost_is_said_to_be_worse(found: PredictionTest) -> None:
    assert right_of(found.careless) < right_of(found.judged)
    of_cost = [each for each in found.careless if each.metric == "cpu_us"]
    assert right_of(of_cost) < len(of_cost)


def test_swapped_models_are_said_to_be_wrong(cells: list[RelayCell]) -> None:
    right = {"a": relay(FALLING), "b": relay(OTHER)}
    swapped = {"a": relay(OTHER), "b": relay(FALLING)}
    assert right_of(judge(right, cells, {0: 1.0, 1: 1.2, 2: 0.9})) > right_of(
        judge(swapped, cells, {0: 1.0, 1: 1.2, 2: 0.9})
    )


def test_what_is_drawn_is_not_looked_at(cells: list[RelayCell], found: PredictionTest) -> None:
    drawn = {each.place for each in found.judged}
    altered = [
        replace(cell, cpu_us=cell.cpu_us * 3, p99_us=cell.p99_us * 3)
        if (cell.server, cell.setting) in drawn
        else cell
        for cell in cells
    ]
    assert [each.predicted for each in held_out(altered).judged] == [each.predicted for each in found.judged]
    assert right_of(held_out(altered).judged) < right_of(found.judged)


@pytest.mark.parametrize(
    ("predicted", "metric", "low", "high", "right"),
    [
        (109.0, "cpu_us", 99.0, 101.0, True),
        (112.0, "cpu_us", 99.0, 101.0, False),
        (112.0, "cpu_us", 80.0, 120.0, True),
        (120.0, "p99_us", 99.0, 101.0, True),
        (130.0, "p99_us", 99.0, 101.0, False),
        (112.0, "cpu_us", None, None, False),
        (91.0, "throughput_rps", None, None, True),
    ],
)
def test_an_error_lies_beyond_the_tolerance_and_outside_the_interval(
    predicted: float, metric: str, low: float | None, high: float | None, right: bool  # noqa: FBT001 - the verdict
) -> None:  # fmt: skip
    judged = Judged(("a", Setting(64, 0.005, 64)), metric, predicted, Estimate(100.0, low, high, 3))
    assert judged.right == right


def test_the_margin_is_what_nineteen_of_twenty_kept_to(found: PredictionTest) -> None:
    misses = [
        Judged(("a", SETTINGS[0]), "cpu_us", 100.0 + percent, Estimate(100.0, None, None, 1)) for percent in range(40)
    ]  # fmt: skip
    assert replace(found, judged=tuple(misses)).margin("cpu_us") == pytest.approx(1.38)
    assert replace(found, judged=tuple(misses[:18])).margin("cpu_us") is None


def test_servers_with_too_few_cells_are_named(cells: list[RelayCell]) -> None:
    few = list(measured("few", settings=SETTINGS[:2]))
    assert held_out([*cells, *few]).unfitted == ("few",)
    assert held_out_test(few, 1) is None
    assert held_out_test([], 1) is None
