"""What of a published proof is older than its sources."""

from harness.conformance.catalogue import CASES
from harness.conformance.proof.mutants import stale_mutants
from harness.conformance.proof.specimens import stale_verdicts
from harness.conformance.proof.states import state_of
from harness.record import Proof


def cases_to_prove(proof: Proof) -> list[str]:
    """Return the cases whose mutants, or whose verdicts on the textbook's servers, are older than their sources."""
    stale = {mutant.case for mutant in stale_mutants(proof.trials)} | set(stale_verdicts(proof.findings))
    return [case.id for case in CASES if case.id in stale]


def cases_without_runs(proof: Proof) -> list[str]:
    """Return the cases whose runs on conforming servers are not those of the case as it is now, or that have none."""
    published = {(each.case, each.state) for each in proof.case_alarms if each.runs}
    return [case.id for case in CASES if (case.id, state_of(case)) not in published]
