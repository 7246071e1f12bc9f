"""What was measured of relays, on average and by block."""

from dataclasses import replace

import pytest

from harness.analyse.prediction.cells import Range, RelayCell, averaged, by_place, machine_factors, machine_of
from harness.analyse.prediction.laws import Setting

SETTING = Setting(16, 0.005, 16)


def cell(block: int, cpu_us: float, server: str = "a") -> RelayCell:
    return RelayCell(server, block, SETTING, 1e6 / cpu_us, cpu_us, cpu_us, 2 * cpu_us)


def test_launches_are_averaged_as_factors_are() -> None:
    mean = averaged([cell(0, 10.0), cell(1, 40.0)])
    assert (mean.cpu_us, mean.throughput_rps, mean.p50_us, mean.p99_us) == pytest.approx((20, 5e4, 20, 40))


def test_a_slow_block_is_known_by_its_costs() -> None:
    machines = (1.0, 1.5, 0.8)
    cells = [
        cell(block, cost_us * machine, server)
        for server, cost_us in (("a", 10.0), ("b", 30.0), ("c", 80.0))
        for block, machine in enumerate(machines)
    ]
    factors = machine_factors(cells)
    assert [factors[block] / factors[0] for block in range(3)] == pytest.approx(machines)


def test_one_server_in_a_bad_state_says_nothing_about_the_machine() -> None:
    cells = [cell(block, 10.0, server) for server in "abc" for block in range(3)]
    cells[0] = replace(cells[0], cpu_us=60.0)
    assert machine_factors(cells) == pytest.approx({0: 1.0, 1: 1.0, 2: 1.0})


def test_the_machine_of_launches_is_that_of_their_blocks() -> None:
    factors = {0: 1.0, 1: 4.0}
    assert machine_of([cell(0, 1.0), cell(1, 1.0)], factors) == pytest.approx(2.0)
    assert machine_of([cell(7, 1.0)], factors) == 1.0


def test_places_keep_their_launches() -> None:
    found = by_place([cell(0, 1.0), cell(0, 2.0, "b"), cell(1, 3.0)])
    assert {place: len(launches) for place, launches in found.items()} == {
        ("a", SETTING): 2,
        ("b", SETTING): 1,
    }


@pytest.mark.parametrize(
    ("setting", "beyond"),
    [
        (Setting(64, 0.012, 20), ""),
        (Setting(2_000, 0.012, 100), "2,000 clients, and measured were 16 to 1,000"),
        (Setting(64, 0.05, 20), "50 ms of wait, and measured were 5 to 20"),
        (Setting(64, 0.012, 2), "2 questions at once, and measured were 10 to 1,000"),
    ],
)
def test_what_lies_outside_is_named(setting: Setting, beyond: str) -> None:
    seen = Range.of([Setting(16, 0.005, 10), Setting(1_000, 0.02, 1_000)])
    assert seen.beyond(setting) == beyond


def test_a_pool_is_beyond_what_was_measured_where_nobody_ever_waited_for_one() -> None:
    seen = Range.of([Setting(16, 0.005, 16), Setting(1_000, 0.02, 1_000)])
    assert seen.beyond(Setting(300, 0.012, 300)) == ""
    assert "a pool of 50 for 300 clients" in seen.beyond(Setting(300, 0.012, 50))
