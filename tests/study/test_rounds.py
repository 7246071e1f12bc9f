"""Rounds of launches: what is measured again, and how often at most."""

from collections import Counter
from collections.abc import Callable

from harness.analyse.blocks import counted, launches_of, repetition
from harness.plan import REPEATED_SHARE, Cell, Plan, Round
from harness.record import Sample
from harness.study.rounds import Allowance, run_rounds
from tests.makers import changed

NAMES = ("churn", "flood")
PLAN = Plan(("a", "b", "c"), NAMES, {}, dict.fromkeys(NAMES, 4), 0.1, 1.0, 7)

LONGER = changed(PLAN, blocks=dict.fromkeys(NAMES, 10))
"""So long that two rounds may be measured three times."""

MakeSample = Callable[..., Sample]


def launches(make_sample: MakeSample, is_bad: Callable[[Cell], bool], plan: Plan = PLAN) -> list[Sample]:
    def measure_cell(cell: Cell) -> Sample:
        bad = is_bad(cell)
        return make_sample(
            cell.server, cell.block, cell.workload, attempt=cell.attempt, timeout=int(bad), sent=10_010 + bad
        )

    def measure_round(cells: Round) -> list[Sample]:
        return [measure_cell(cell) for cell in cells]

    return run_rounds(plan, plan.rounds(), measure_round, Allowance())


def test_without_trouble_a_plan_is_carried_out_as_it_is(make_sample: MakeSample) -> None:
    done = [
        Cell(s.cell.block, s.cell.server, s.cell.workload, s.cell.attempt)
        for s in launches(make_sample, lambda _: False)
    ]
    assert tuple(done) == PLAN.cells()


def test_a_round_with_an_invalid_launch_is_measured_again_whole_and_at_once(make_sample: MakeSample) -> None:
    trouble = Cell(2, "b", "flood")
    samples = launches(make_sample, lambda cell: cell == trouble)
    again = [index for index, sample in enumerate(samples) if sample.cell.attempt == 2]
    assert {samples[index].cell.server for index in again} == {"a", "b", "c"}
    assert again == list(range(again[0], again[0] + 3))
    assert {(samples[index].cell.workload, samples[index].cell.block) for index in again} == {("flood", 2)}
    assert {(samples[again[0] - 1].cell.workload, samples[again[0] - 1].cell.block)} == {("flood", 2)}
    assert all(launch.valid for launch in counted(launches_of(samples)))
    assert repetition(launches_of(samples)).left == 0


def test_a_round_is_measured_three_times_at_most(make_sample: MakeSample) -> None:
    samples = launches(make_sample, lambda cell: cell.block == 1 and cell.server == "c", LONGER)
    attempts = Counter((sample.cell.workload, sample.cell.block, sample.cell.server) for sample in samples)
    assert {attempts[name, 1, "a"] for name in PLAN.workloads} == {3}
    assert {attempts[name, 0, "a"] for name in PLAN.workloads} == {1}
    assert repetition(launches_of(samples)).left == 2


def test_in_all_no_more_is_measured_again_than_the_share_allows(make_sample: MakeSample) -> None:
    samples = launches(make_sample, lambda _: True, LONGER)
    planned = len(LONGER.cells())
    assert len(samples) == planned * (1 + REPEATED_SHARE)
    assert {(s.cell.block, s.cell.workload, s.cell.server) for s in samples} == {
        (cell.block, cell.workload, cell.server) for cell in LONGER.cells()
    }


def test_a_round_that_takes_too_long_is_left_out_and_shorter_ones_still_come(make_sample: MakeSample) -> None:
    made: list[Round] = []

    def measure_round(cells: Round) -> list[Sample]:
        made.append(cells)
        return [make_sample(cell.server, cell.block, cell.workload) for cell in cells]

    rounds = PLAN.rounds()
    long = rounds[0][0].workload
    run_rounds(PLAN, rounds, measure_round, Allowance(), lambda cells: cells[0].workload == long)
    assert made == [cells for cells in rounds if cells[0].workload != long]
    assert 0 < len(made) < len(rounds)


def test_nothing_is_measured_again_for_which_there_is_no_time(make_sample: MakeSample) -> None:
    made: list[Round] = []

    def measure_round(cells: Round) -> list[Sample]:
        made.append(cells)
        return [make_sample(cell.server, cell.block, cell.workload, wrong=1) for cell in cells]

    run_rounds(PLAN, PLAN.rounds(), measure_round, Allowance(), lambda _: len(made) >= 1)
    assert made == [PLAN.rounds()[0]]
