"""Where the answers of a map change, on made-up launches: between which fields, where both are equal, and who falls behind."""

import math

import pytest

from harness.analyse.blocks import launches_of
from harness.analyse.crossings import MOST, Behind, neighbours
from harness.analyse.relays import relay_map
from harness.plan import by_name
from tests.analyse.relay_grids import GRID, A, B, Make, make_grid
from tests.makers import changed


def test_the_answer_changes_between_fields_of_which_nobody_leads_both(make_relayed: Make) -> None:
    """At 16 clients half as much, at 64 twice as much: so both are equal in the middle, at 32."""
    factors = {"relay_5ms_16": 0.5, "relay_5ms_64": 2.0, "relay_5ms_256": 2.0, "relay_20ms_256": 2.0}
    found = relay_map(launches_of(make_grid(make_relayed, factors)), [*map(by_name, GRID)], None)
    (divide,) = (each for each in found.divides if each.metric == MOST)
    assert divide.by_clients
    assert (divide.before, divide.after) == ((0.005, 16), (0.005, 64))
    assert (divide.overtaken, divide.overtaking) == (A, B)
    assert divide.crossing is not None
    assert divide.crossing.at == pytest.approx(32, rel=0.01)
    assert 16 < divide.crossing.low < divide.crossing.at < divide.crossing.high < 64


def test_the_less_is_known_the_wider_is_where_both_are_equal(make_relayed: Make) -> None:
    factors = {"relay_5ms_16": 0.5, "relay_5ms_64": 2.0, "relay_5ms_256": 2.0}
    widths = []
    for scatter in (0.01, 0.1):
        launches = launches_of(make_grid(make_relayed, factors, scatter))
        found = relay_map(launches, [*map(by_name, GRID)], None)
        (crossing,) = (each.crossing for each in found.divides if each.metric == MOST and each.by_clients)
        assert crossing is not None
        widths.append(crossing.high / crossing.low)
    assert widths[0] < widths[1]


def test_a_tie_beside_a_field_is_no_change_and_the_wait_may_change_it_too(make_relayed: Make) -> None:
    tied = relay_map(launches_of(make_grid(make_relayed, {"relay_5ms_16": 0.5})), [*map(by_name, GRID)], None)
    assert [each for each in tied.divides if each.metric == MOST] == []
    factors = {name: 0.5 if "20ms" in name else 2.0 for name in GRID}
    found = relay_map(launches_of(make_grid(make_relayed, factors)), [*map(by_name, GRID)], None)
    waits = [each for each in found.divides if each.metric == MOST]
    assert len(waits) == 3
    for each in waits:
        assert not each.by_clients
        assert each.crossing is not None
        assert each.crossing.at == pytest.approx(0.010, rel=0.01)


def test_neighbours_are_those_of_the_grid_and_what_was_not_measured_has_none() -> None:
    assert list(neighbours([(1.0, 16), (1.0, 64), (1.0, 256), (2.0, 16), (2.0, 256)])) == [
        ((1.0, 16), (1.0, 64)),
        ((1.0, 64), (1.0, 256)),
        ((1.0, 16), (2.0, 16)),
        ((1.0, 256), (2.0, 256)),
    ]


def test_a_server_falls_behind_where_it_answers_a_twentieth_less_than_the_best(make_relayed: Make) -> None:
    """As good with 16 clients, half as good with 64: so it is 5 % behind soon after 16; with 20 ms nobody is."""
    factors = {"relay_5ms_64": 0.5, "relay_5ms_256": 0.5}
    found = relay_map(launches_of(make_grid(make_relayed, factors, 0.002)), [*map(by_name, GRID)], None)
    behind = found.behind[B, 0.005]
    share = math.log(1.05) / math.log(2)
    assert behind.at == pytest.approx(16 * 4**share, rel=0.01)
    assert 16 < behind.low < behind.at < behind.high < 64
    assert found.behind[A, 0.005].at == found.behind[B, 0.02].at == math.inf


def test_who_is_behind_everywhere_is_so_from_the_fewest_on(make_relayed: Make) -> None:
    found = relay_map(
        launches_of(make_grid(make_relayed, dict.fromkeys(GRID, 0.5))), [*map(by_name, GRID)], None
    )
    assert found.behind[B, 0.005] == Behind(0.0, 0.0, 0.0, fewest=16, most=256)


def test_who_failed_has_fallen_behind_at_the_latest(make_relayed: Make) -> None:
    """As good with 16 and 64 clients; with 256 it left requests without an answer, in one launch of four."""
    grid = make_grid(make_relayed, {}, 0.002)
    third = [changed(sample, server="gevent_greenlets") for sample in grid if sample.cell.server == A]
    samples = [
        changed(sample, timeout=3, sent=sample.requests.sent + 3)
        if (sample.cell.server, sample.cell.workload, sample.cell.block) == (B, "relay_5ms_256", 1)
        else sample
        for sample in (*grid, *third)
    ]
    found = relay_map(launches_of(samples), [*map(by_name, GRID)], None)
    behind = found.behind[B, 0.005]
    assert (behind.at, behind.high) == pytest.approx((256, 256))
    assert behind.most == 256
    assert found.behind[B, 0.02].at == math.inf
