"""What the parts of a run stand on now, and what of it is older than its sources, said on standard error."""

import sys

from harness.conformance.catalogue import CASES
from harness.conformance.proof.renewal import cases_to_prove, cases_without_runs
from harness.experiments.effects.effects import EFFECTS, state_of
from harness.record import Manifest, Proof, Results
from harness.study.parts import Part, listed, older_parts, parts_in, states_of


def effect_states() -> dict[str, str]:
    """Return what each known effect stands on, by name."""
    return {effect.name: state_of(effect) for effect in EFFECTS}


def present_states(manifest: Manifest) -> dict[Part, str]:
    """Return what the parts of a run stand on now."""
    return states_of(manifest.servers, manifest.design, effect_states())


def tell_what_is_stale(results: Results) -> None:
    """Name what is older than its sources, and what makes it anew."""
    older = older_parts(results, present_states(results.manifest))
    if older and not results.manifest.states:
        _tell(
            "all that was measured, by a harness that did not keep what it stood on", "harness bench --stale"
        )
    elif older:
        _tell(listed(older, among=parts_in(results)), "harness bench --stale")
    if results.proof:
        _tell_of_cases(results.proof)


def _tell_of_cases(proof: Proof) -> None:
    for cases, what, renewal in (
        (cases_to_prove(proof), "mutants", "harness prove --stale"),
        (
            cases_without_runs(proof),
            "false-alarm runs",
            "harness false-alarms --stale, harness prove --stale",
        ),
    ):
        if cases:
            named = ", ".join(cases) if len(cases) < len(CASES) else "every case"
            _tell(f"{what} of {named}", renewal)


def _tell(what: str, renewal: str) -> None:
    print(f"note: older than its sources: {what} ({renewal})", file=sys.stderr)
