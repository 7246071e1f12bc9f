"""A block of servers that are loaded in turn: exact books, orders, and what happens to one that fails."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.analyse.samples.metrics import cpu_us_per_request, throughput_rps
from harness.analyse.samples.validity import invalidity
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.plan import FREE, FRESH, POISSON, Cell, Load, Slicing
from harness.study import cell
from harness.study.block import BlockOutcome, Crew, measure_block

NAMES = ("threaded", "select_generators", "asyncio_streams")
SHORT = Slicing(cycles=4, slice_s=0.02, warmup_s=0.02, window_s=0.05)


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with ExitStack() as stack:
        yield Crew(stack)


def block(crew: Crew, *candidates: Candidate, load: Load, workload: str = "clients_64") -> BlockOutcome:
    cells = tuple(Cell(0, each.label, workload) for each in candidates)
    return measure_block(cells, {each.label: each for each in candidates}, load, SHORT, crew, "seed")


@pytest.mark.parametrize("pipeline", [1, 3])
def test_the_books_of_slices_are_exact(crew: Crew, pipeline: int) -> None:
    outcome = block(crew, *map(ours, NAMES), load=Load(clients=6, pipeline=pipeline))
    assert not outcome.unmeasured
    assert {sample.cell.server for sample in outcome.samples} == set(NAMES)
    places = [[(each.cycle, each.place) for each in sample.slices] for sample in outcome.samples]
    for cycle in zip(*places, strict=True):
        assert len({number for number, _ in cycle}) == 1, "each has a slice in each cycle"
        assert sorted(place for _, place in cycle) == [0, 1, 2]
    for sample in outcome.samples:
        assert sample.requests.sent == sample.requests.ok > sum(each.answered for each in sample.slices)
        assert [each.cycle for each in sample.slices] == list(range(SHORT.cycles))
        for each in sample.slices:
            assert each.in_flight_ns == round(each.length_s * 1e9) * 6 * pipeline
            assert each.length_s >= SHORT.slice_s
        assert sum(each.cpu_ns for each in sample.slices) > 0
        assert sample.window.length_s >= SHORT.window_s
        assert sum(sample.times.response.histogram.values()) == sample.window.answered
        assert throughput_rps(sample) > 0
        assert cpu_us_per_request(sample)


def test_an_open_loop_has_slices_too(crew: Crew) -> None:
    load = Load(clients=4, arrivals=POISSON, rate=500.0)
    (sample,) = block(crew, ours("threaded"), load=load, workload="open_2k").samples
    assert sample.requests.sent == sample.requests.ok == sample.requests.planned
    assert sum(each.answered for each in sample.slices) > 0


def test_a_server_that_cannot_be_measured_leaves_the_others_alone(
    crew: Crew, faulty: Callable[..., Candidate]
) -> None:
    missing = Candidate("missing", ("/no/such/server",))
    outcome = block(crew, missing, faulty("adds_one"), ours("threaded"), load=Load(clients=3))
    assert [sample.cell.server for sample in outcome.samples] == ["threaded"]
    reasons = {cell.server: reason for cell, reason in outcome.unmeasured.items()}
    assert reasons.keys() == {"missing", "faulty"}
    assert "cannot run" in reasons["missing"]
    assert "answers wrongly" in reasons["faulty"]


def test_a_server_that_dies_in_a_slice_is_an_invalid_sample(
    crew: Crew, faulty: Callable[..., Candidate]
) -> None:
    outcome = block(crew, faulty("dies_after_a_while"), ours("threaded"), load=Load(clients=3))
    found = {sample.cell.server: sample for sample in outcome.samples}
    assert found.keys() == {"faulty", "threaded"}
    assert any(reason.startswith("errors") for reason in invalidity(found["faulty"]))
    assert found["threaded"].requests.sent == found["threaded"].requests.ok


def test_the_same_server_in_other_ways_stands_in_the_same_block(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    visited: dict[str, int] = {}
    monkeypatch.setattr(cell, "come_and_leave", lambda label, _, clients: visited.update({label: clients}))
    served = ours("threaded")
    outcome = block(
        crew, served, served.measured(FREE), served.measured(FRESH), ours("processes"), load=Load(clients=3)
    )
    found = {sample.cell.server: sample.placement for sample in outcome.samples}
    assert found.keys() == {"threaded", "threaded+free", "threaded+fresh", "processes"}
    assert {server for server, placement in found.items() if placement.free} == {"threaded+free"}
    pinned = {server for server, placement in found.items() if placement.pinned}
    assert pinned <= {"threaded", "threaded+fresh", "threaded+free"}
    assert "threaded+fresh" not in visited, "nobody comes before the measured ones"
    assert visited == dict.fromkeys(("threaded", "threaded+free", "processes"), cell.VISITORS)
    assert cell.visitors_of(ours("blocking"), Load(clients=500)) == 1
    assert cell.visitors_of(ours("trio_nursery"), Load(clients=500)) == 500
