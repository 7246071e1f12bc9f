"""Every mutant is caught by the case that is there for it, passes others, and every case catches one."""

import pytest

from harness.conformance.catalogue import CASES
from harness.conformance.proof.mutants import (
    Edit,
    StaleMutant,
    diff,
    mutants,
    mutated_source,
    try_all,
    untested_cases,
)
from harness.record import Trial

MUTANTS = mutants()


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest) -> dict[str, Trial]:
    """Try those mutants that are selected, side by side."""
    mine = [item for item in request.session.items if item.path == request.path]
    parameters = [getattr(getattr(item, "callspec", None), "params", {}) for item in mine]
    numbers = [found["number"] for found in parameters if "number" in found]
    tried = [MUTANTS[number] for number in sorted(numbers)]
    return {trial.title: trial for trial in try_all(tried)}


@pytest.mark.parametrize(
    "number", range(len(MUTANTS)), ids=[f"{mutant.case} {mutant.title}" for mutant in MUTANTS]
)
def test_the_case_that_is_there_for_it_catches_a_mutant(number: int, trials: dict[str, Trial]) -> None:
    trial = trials[MUTANTS[number].title]
    assert trial.caught, f"{trial.case} says {trial.verdict} {trial.detail}\n{trial.diff}"
    assert not trial.also_caught_by


def test_every_case_is_put_to_the_test() -> None:
    assert untested_cases(MUTANTS) == []
    assert {mutant.case for mutant in MUTANTS} == {case.id for case in CASES}
    assert len({mutant.title for mutant in MUTANTS}) == len(MUTANTS)


def test_a_mistake_is_shown_as_a_patch() -> None:
    one = next(mutant for mutant in MUTANTS if mutant.case == "F12")
    assert diff(one).splitlines() == ["-MAX_LINE_BYTES: Final = 4096", "+MAX_LINE_BYTES: Final = 4095"]


def test_most_mistakes_are_of_one_line() -> None:
    changed = [sum(line.startswith("+") for line in diff(mutant).splitlines()) for mutant in MUTANTS]
    assert sorted(changed)[len(changed) * 3 // 4] <= 1


def test_a_mistake_that_has_lost_its_place_is_named() -> None:
    one = next(mutant for mutant in MUTANTS if mutant.case == "F12")
    stale = type(one)(**vars(one) | {"edits": (Edit("protocol.py", "no such text", ""),)})
    with pytest.raises(StaleMutant, match="no such text"):
        mutated_source(stale, "protocol.py")
