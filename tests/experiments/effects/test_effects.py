"""Experiments: what they measure, and that the rules tell the two sides apart where no busy machine can blur that."""

import pytest

from harness.errors import LaunchError, MeasureError, UsageError
from harness.experiments.effects.effects import EFFECTS, let_happen, selected_effects
from harness.experiments.effects.setup import ask, ask_often, client_of, program, quantile_us


@pytest.mark.parametrize("name", ["receive-buffer", "convoy", "full-backlog"])
def test_an_effect_is_there_and_then_is_not(name: str) -> None:
    (effect,) = selected_effects([name])
    result = let_happen(effect)
    assert result.shown, (result.present, result.absent)
    assert result.because
    assert result.present.figures[result.metric] > result.absent.figures[result.metric]


@pytest.mark.parametrize("name", ["interpreter-lock", "no-delay", "waking-up"])
def test_both_sides_of_an_experiment_have_the_figures_of_its_rule(name: str) -> None:
    (effect,) = selected_effects([name])
    result = let_happen(effect)
    assert result.present.figures.keys() == result.absent.figures.keys()
    assert result.metric in result.present.figures


def test_effects_have_names_of_their_own() -> None:
    assert len({effect.name for effect in EFFECTS}) == len(EFFECTS)
    assert selected_effects([]) == list(EFFECTS)
    with pytest.raises(UsageError, match="no effect is called 'x'; there are receive-buffer, "):
        selected_effects(["x"])


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile_us([1000, 2000, 3000, 4000], 0.5) == 3.0
    assert quantile_us([1000], 0.99) == 1.0


def test_a_program_that_does_not_start_is_named() -> None:
    with pytest.raises(LaunchError, match="receive_buffer did not start"), program("receive_buffer", "x"):
        pass


def test_a_server_of_an_experiment_that_goes_away_is_noticed() -> None:
    with program("receive_buffer", 1024) as (process, port), client_of(port) as connection:
        ask(connection)
        process.kill()
        process.wait()
        with pytest.raises((MeasureError, ConnectionError)):
            ask_often(connection, 2, 0)
