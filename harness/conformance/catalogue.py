"""All cases, in order, and those that are named."""

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from harness.conformance.case import Case
from harness.conformance.cases import (
    arithmetic,
    capabilities,
    concurrency,
    framing,
    idling,
    outputs,
    relays,
    sessions,
    starting,
    stopping,
)
from harness.errors import UsageError

CASES: Final = tuple(
    case
    for group in (
        framing.CASES,
        arithmetic.CASES,
        sessions.CASES,
        concurrency.CASES + capabilities.CASES,
        starting.CASES + idling.CASES + stopping.CASES + outputs.CASES,
        relays.CASES,
    )
    for case in sorted(group, key=lambda each: each.id)
)
"""All cases, group by group."""


def selected_cases(ids: Iterable[str]) -> tuple[Case, ...]:
    """Return the cases of these ids, or of the groups of these letters; all if there are none.

    Raises:
        UsageError: an id that no case has.
    """
    wanted = [case_id.strip().upper() for case_id in ids]
    for case_id in wanted:
        if not any(case_id in {case.id, case.id[0]} for case in CASES):
            raise UsageError(f"no case is called {case_id!r}; there are {', '.join(_groups())}")
    return tuple(case for case in CASES if not wanted or {case.id, case.id[0]} & set(wanted))


def _groups() -> list[str]:
    """Name the first and the last of each group."""
    groups = [[case.id for case in group] for _, group in groupby(CASES, key=lambda case: case.id[0])]
    return [f"{ids[0]} to {ids[-1]}" for ids in groups]
