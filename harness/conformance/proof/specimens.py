"""Three servers as textbooks write them: what the suite says of each, case by case."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.conformance.case import Case
from harness.conformance.catalogue import CASES
from harness.conformance.judge import judge
from harness.launch.candidates import Candidate
from harness.record import SpecimenVerdict

FOLDER: Final = Path(__file__).with_name("specimens")
SIDE_BY_SIDE: Final = 8
"""More than usual, since most failures are silence that has to be waited for."""


@dataclass(frozen=True)
class Specimen:
    """A naive server, and what it would claim to be able to do."""

    name: str
    declares: frozenset[str]

    @property
    def candidate(self) -> Candidate:
        """The server, ready to be judged."""
        return Candidate(
            self.name, (sys.executable, str(FOLDER / f"{self.name}.py"), "{port}"), self.declares
        )


SPECIMENS: Final = (
    Specimen("blocking_makefile", frozenset()),
    Specimen("select_readline", frozenset({"concurrent"})),
    Specimen("asyncio_readline", frozenset({"concurrent", "many_clients", "fair"})),
)


def examine(
    specimens: Sequence[Specimen] = SPECIMENS,
    cases: Sequence[Case] = CASES,
    progress: Callable[[str], None] = lambda _: None,
) -> list[SpecimenVerdict]:
    """Run cases on specimens, each on a fresh instance, since a case that passes may leave a naive server wedged."""
    findings: list[SpecimenVerdict] = []
    for specimen in specimens:
        progress(specimen.name)
        judged = judge(specimen.candidate, cases, isolated=True, side_by_side=SIDE_BY_SIDE)
        findings += [
            SpecimenVerdict(specimen.name, one.case, one.title, str(one.verdict), one.detail)
            for one in judged
        ]
    return findings
