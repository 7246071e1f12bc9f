"""What a proof stands on: each case by what its own function reaches, and the machinery that all cases share."""

from functools import cache
from pathlib import Path
from typing import Final

from harness.conformance.case import Case
from harness.conformance.catalogue import CASES
from harness.record import PROJECT, SuiteState, fingerprint, fingerprint_of, together

SUITE: Final = "harness.conformance.judge"
"""What it reaches decides on a verdict, the servers excepted."""
NOT_JUDGED_BY: Final = frozenset({"harness.conformance.catalogue", "harness.record.manifest"})
"""What is reached, and decides on no verdict: which other cases there are, and what is written down of a measured run, with the
whole plan of it."""
GROUPS: Final = "harness.conformance.cases"


def suite_state() -> SuiteState:
    """Return hashes of the sources that verdicts depend on, the servers' excepted."""
    return SuiteState(fingerprint(SUITE), {case.id: state_of(case) for case in CASES})


@cache
def state_of(case: Case, root: Path = PROJECT) -> str:
    """Return a hash of the sources that a case's verdict depends on, the servers' excepted."""
    own = fingerprint_of(case.check.__module__, case.check.__name__, GROUPS, root=root, without=NOT_JUDGED_BY)
    return together(own, fingerprint(SUITE, without=NOT_JUDGED_BY, root=root))


def evidence(detail: str) -> str:
    """Return what was found with our files named as they are in the project, wherever that lies on this machine."""
    return detail.replace(f"{PROJECT}/", "")
