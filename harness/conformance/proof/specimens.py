"""Servers as textbooks write them: what the suite says of each, case by case."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.conformance.case import Case
from harness.conformance.catalogue import CASES
from harness.conformance.judge import judge
from harness.conformance.proof.states import evidence, state_of
from harness.launch.candidates import Candidate
from harness.record import SpecimenVerdict, together

FOLDER: Final = Path(__file__).with_name("specimens")
SIDE_BY_SIDE: Final = 8
"""More than usual, since most failures are silence that has to be waited for."""


@dataclass(frozen=True)
class Specimen:
    """A naive server, and what it would claim to be able to do."""

    name: str
    declares: frozenset[str]

    @property
    def source(self) -> Path:
        """Where it is written."""
        return FOLDER / f"{self.name}.py"

    @property
    def candidate(self) -> Candidate:
        """The server, ready to be judged."""
        return Candidate(
            self.name, (sys.executable, str(self.source), "{port}"), self.declares, announces=True
        )


SPECIMENS: Final = (
    Specimen("blocking_makefile", frozenset()),
    Specimen("select_readline", frozenset({"concurrent"})),
    Specimen("asyncio_readline", frozenset({"concurrent", "many_clients", "fair"})),
    Specimen("socketserver_threads", frozenset({"concurrent", "many_clients", "fair"})),
)


def state_of_verdict(specimen: Specimen, case: Case) -> str:
    """Return a hash of what the verdict of a case on a specimen stands on."""
    return together(state_of(case), specimen.source.read_text(encoding="utf-8"))


def stale_verdicts(known: Iterable[SpecimenVerdict]) -> list[str]:
    """Return the cases that have not met all specimens as both are now."""
    standing = {(verdict.specimen, verdict.case, verdict.state) for verdict in known}
    return [
        case.id
        for case in CASES
        if any((each.name, case.id, state_of_verdict(each, case)) not in standing for each in SPECIMENS)
    ]


def examine(
    specimens: Sequence[Specimen] = SPECIMENS,
    cases: Sequence[Case] = CASES,
    progress: Callable[[str], None] = lambda _: None,
    known: Iterable[SpecimenVerdict] = (),
) -> list[SpecimenVerdict]:
    """Run cases on specimens, each on a fresh instance, since a case that passes may leave a naive server wedged.

    Args:
        specimens: the servers.
        cases: the cases.
        progress: is told which specimen is next.
        known: verdicts of before; those that still stand are taken as they are.
    """
    standing = {(verdict.specimen, verdict.case, verdict.state): verdict for verdict in known}
    findings: list[SpecimenVerdict] = []
    for specimen in specimens:
        keys = {case.id: (specimen.name, case.id, state_of_verdict(specimen, case)) for case in cases}
        stale = [case for case in cases if keys[case.id] not in standing]
        if stale:
            progress(specimen.name)
            for one in judge(specimen.candidate, stale, isolated=True, side_by_side=SIDE_BY_SIDE):
                name, case_id, state = keys[one.case]
                standing[keys[one.case]] = SpecimenVerdict(
                    name, case_id, one.title, str(one.verdict), evidence(one.detail), state
                )
        findings += [standing[key] for key in keys.values()]
    return findings
