"""Experiments: what they measure, and that the rules tell the two sides apart where no busy machine can blur that."""

from dataclasses import replace

import pytest

from harness.errors import LaunchError, MeasureError, UsageError
from harness.experiments.effects import servers as measured_servers
from harness.experiments.effects.effects import EFFECTS, Effect, Side, let_happen, selected_effects
from harness.experiments.effects.servers import ALL, FREE, FRESH, ON_ONE_CORE, PINNED, SERVED
from harness.experiments.effects.setup import ask, ask_often, client_of, program, quantile_us
from harness.machine.resources import our_cores

LOOKS = 5


@pytest.mark.parametrize("name", ["convoy", "full-backlog", "blocking-wait", "pool-turns"])
def test_an_effect_is_there_and_then_is_not(name: str) -> None:
    """It is there whenever one looks. A busy machine makes others wait, too, but not each time."""
    (effect,) = selected_effects([name])
    for _ in range(LOOKS):
        result = let_happen(effect)
        assert result.named_present, result.present
        if result.shown:
            break
    assert result.shown, (result.present, result.absent)
    assert result.because
    assert result.present.figures[result.metric] > result.absent.figures[result.metric]


@pytest.mark.parametrize("name", ["interpreter-lock", "no-delay", "waking-up"])
def test_both_sides_of_an_experiment_have_the_figures_of_its_rule(name: str) -> None:
    (effect,) = selected_effects([name])
    result = let_happen(effect)
    assert result.present.figures.keys() == result.absent.figures.keys()
    assert result.metric in result.present.figures


def only(effect: Effect, *words: str) -> Effect:
    """Return an experiment without the further sides whose labels have none of these words."""

    def kept(sides: tuple[Side, ...]) -> tuple[Side, ...]:
        return tuple(side for side in sides if any(word in side.label for word in words))

    return replace(
        effect,
        elsewhere=kept(effect.elsewhere),
        cured=kept(effect.cured),
        perhaps=kept(effect.perhaps),
        where_possible=kept(effect.where_possible),
    )


def test_a_mapped_receive_buffer_is_cured_in_three_ways_in_a_server() -> None:
    (effect,) = selected_effects(["receive-buffer"])
    result = let_happen(only(effect, "asyncio_protocol", "threaded"))
    assert result.shown, result.others
    sides = {each.arm.label: each for each in result.others}
    fresh = sides.pop(f"asyncio_protocol, {FRESH}")
    assert fresh.to_be_named is None
    assert f"asyncio_protocol, {SERVED}" in sides
    assert {each.to_be_named for each in sides.values()} == {False}
    assert all(each.arm.figures.get("calls.mmap", 0.0) < 0.5 for each in sides.values())
    assert len(sides) == 6


def test_every_server_is_measured_in_both_states_and_places() -> None:
    for name, both, servers in (
        ("receive-buffer", (FRESH, SERVED), ALL),
        ("placement", (FREE, PINNED), ON_ONE_CORE),
    ):
        (effect,) = selected_effects([name])
        labels = {side.label for side in effect.sides}
        assert {f"{server.label}, {each}" for server in servers for each in both} <= labels


def test_where_a_server_is_placed_is_told_with_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """From moments of a tenth of the usual length: what is told of each place does not hang on how well it is known."""
    monkeypatch.setattr(measured_servers, "REQUESTS", measured_servers.REQUESTS // 10)
    (effect,) = selected_effects(["placement"])
    result = let_happen(only(effect, "asyncio_streams"))
    threads = result.present.figures
    assert threads.keys() == result.absent.figures.keys() >= result.columns.keys()
    assert (threads["cores"] > 1, result.absent.figures["cores"]) == (len(our_cores()) > 1, 1)
    assert not result.named_absent
    assert [each.arm.label for each in result.others] == [
        f"asyncio_streams, {place}" for place in (FREE, PINNED)
    ]
    assert not any(each.named for each in result.others)


def test_a_crowd_of_threads_is_told_with_its_waits() -> None:
    """Of a small one: how much they fight hangs on the machine, what is told of it does not."""
    (effect,) = selected_effects(["lock-crowd"])
    present, absent = (replace(side, given=(*side.given[:2], 50)) for side in (effect.present, effect.absent))
    result = let_happen(replace(effect, present=present, absent=absent))
    assert result.present.figures.keys() == result.absent.figures.keys() >= result.columns.keys()
    assert result.absent.figures["cores"] == 1
    assert not result.named_absent


def test_a_cure_that_this_machine_has_not_is_left_out_and_nothing_else() -> None:
    (effect,) = selected_effects(["convoy"])

    def missing() -> dict[str, float]:
        raise LaunchError("there is none")

    side = Side("elsewhere", missing, ())
    assert let_happen(replace(effect, where_possible=(side,))).others == ()
    with pytest.raises(LaunchError, match="there is none"):
        let_happen(replace(effect, cured=(side,)))


def test_a_machine_without_a_python_that_has_no_lock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_servers, "LOCKLESS", ("9.99t",))
    with pytest.raises(LaunchError, match=r"there is no Python 9\.99t here"):
        measured_servers.placed_without_lock("threaded", FREE)


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
