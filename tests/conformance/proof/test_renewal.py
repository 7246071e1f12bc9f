"""What is older than its sources is named, and nothing else."""

import pytest

from harness.conformance.catalogue import CASES
from harness.conformance.proof.mutants import mutants, state_of_mutant
from harness.conformance.proof.renewal import cases_to_prove, cases_without_runs
from harness.conformance.proof.specimens import SPECIMENS, state_of_verdict
from harness.conformance.proof.states import state_of
from harness.record import CaseAlarms, Proof, SpecimenVerdict, Trial
from tests.makers import changed


@pytest.fixture(scope="module")
def proof() -> Proof:
    """Return one that stands in all its parts."""
    trials = [
        Trial(
            mutant.case, mutant.title, mutant.base, "", "FAIL", "",
            caught=True, passed=(), also_caught_by=(), state=state_of_mutant(mutant),
        )
        for mutant in mutants()
    ]  # fmt: skip
    findings = [
        SpecimenVerdict(specimen.name, case.id, case.title, "PASS", "", state_of_verdict(specimen, case))
        for specimen in SPECIMENS
        for case in CASES
    ]
    runs = [CaseAlarms(case.id, state_of(case), 200, 0) for case in CASES]
    return Proof("", tuple(trials), (), tuple(findings), (), tuple(runs))


def test_a_proof_that_stands_needs_nothing(proof: Proof) -> None:
    assert cases_to_prove(proof) == cases_without_runs(proof) == []


def test_what_is_older_is_named(proof: Proof) -> None:
    trial, *trials = proof.trials
    assert cases_to_prove(changed(proof, trials=(changed(trial, state="before"), *trials))) == [trial.case]
    assert cases_to_prove(changed(proof, trials=tuple(trials))) == [trial.case]
    *findings, finding = proof.findings
    assert cases_to_prove(changed(proof, findings=(*findings, changed(finding, state="")))) == [finding.case]
    first, second, *others = proof.case_alarms
    found = changed(proof, case_alarms=(changed(first, state="before"), changed(second, runs=0), *others))
    assert cases_without_runs(found) == [first.case, second.case]


def test_of_a_proof_that_knows_no_states_all_is_older(proof: Proof) -> None:
    old = changed(proof, trials=tuple(changed(trial, state="") for trial in proof.trials), case_alarms=())
    assert cases_to_prove(old) == cases_without_runs(old) == [case.id for case in CASES]
