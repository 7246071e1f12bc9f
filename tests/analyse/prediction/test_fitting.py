"""From cells to a model: what was put into them is found again."""

import pytest

from harness.analyse.prediction.cells import machine_factors
from harness.analyse.prediction.fitting import FEWEST_CELLS, careless, fitted
from harness.analyse.prediction.laws import Setting
from harness.analyse.prediction.relay import predict
from tests.analyse.prediction.relays import FALLING, LATENCY_S, SETTINGS, measured, relay

UNSEEN = Setting(130, 0.012, 130)


def test_what_was_put_in_is_found_again() -> None:
    model = fitted(list(measured("a", scatter=0.0)), {})
    assert model is not None
    assert model.cost.work_us == pytest.approx(FALLING.work_us, rel=0.02)
    assert model.cost.wakeup_us == pytest.approx(FALLING.wakeup_us, rel=0.05)
    assert model.latency_s == pytest.approx(LATENCY_S, rel=0.1)
    assert model.tails["p50_us"].busy == pytest.approx(0.0, abs=0.03)
    assert model.tails["p99_us"].busy == pytest.approx(0.4, abs=0.03)
    assert model.tails["p99_us"].idle == pytest.approx(0.0, abs=0.03)


def test_what_a_slow_block_cost_is_put_down_to_the_machine() -> None:
    cells = [
        cell
        for cell in measured("a", machines=(1.0, 1.6), scatter=0.0)
        if cell.block == 0 or cell.setting.clients > 64
    ]
    model = fitted(cells, machine_factors(measured("b", machines=(1.0, 1.6), scatter=0.0)))
    assert model is not None
    machine = (1.6**0.5) ** -1  # the block that counts as 1 lies between the two
    assert predict(model.on(machine), UNSEEN).cpu_us == pytest.approx(
        predict(relay(), UNSEEN).cpu_us, rel=0.05
    )


def test_a_careless_model_takes_one_cost_for_all() -> None:
    cells = list(measured("a"))
    model = fitted(cells, {})
    assert model is not None
    quiet, crowded = (predict(careless(model, cells), each).cpu_us for each in (SETTINGS[0], SETTINGS[3]))
    assert quiet == pytest.approx(crowded)


def test_too_few_cells_make_no_model() -> None:
    assert fitted(list(measured("a", settings=SETTINGS[: FEWEST_CELLS - 1])), {}) is None
    assert fitted(list(measured("a", settings=SETTINGS[:FEWEST_CELLS])), {}) is not None
