"""What is known of the suite itself: frozen data, between the tests of the suite and the report."""

from enum import StrEnum
from typing import Final

from harness.plan import Record

GROUP_TITLES: Final = {
    "F": "Framing",
    "A": "Arithmetic",
    "S": "Sessions",
    "C": "Concurrency",
    "L": "Lifecycle",
    "R": "Relays",
}
"""The groups of cases, by the letter with which their ids begin, in reading order."""


class Verdict(StrEnum):
    """What one case says of one server."""

    PASS = "PASS"  # noqa: S105 - no password
    BY_DESIGN = "BY-DESIGN"
    FAIL = "FAIL"
    STALE_CLAIM = "STALE-CLAIM"
    CRASH = "CRASH"
    TIMEOUT = "TIMEOUT"
    HARNESS = "HARNESS"
    NOT_APPLICABLE = "N/A"

    @property
    def failed(self) -> bool:
        """Tell whether it counts as a failure."""
        return self not in {Verdict.PASS, Verdict.BY_DESIGN, Verdict.NOT_APPLICABLE}

    @property
    def meaning(self) -> str:
        """Say in one line what it means."""
        return _MEANINGS[self]


_MEANINGS: Final = {
    Verdict.PASS: "the clause holds",
    Verdict.BY_DESIGN: "the server says that it lacks this capability, and behaves as one that lacks it must",
    Verdict.FAIL: "the clause does not hold",
    Verdict.STALE_CLAIM: "the server says that it lacks this capability, and yet has it",
    Verdict.CRASH: "the process died or printed a traceback",
    Verdict.TIMEOUT: "no answer within a generous limit",
    Verdict.HARNESS: "the case could not be run: our fault, not the server's",
    Verdict.NOT_APPLICABLE: "the case needs more control of the server than was given",
}


class Judgement(Record, frozen=True):
    """What one case says of one server: a cell of the conformance matrix.

    Attributes:
        server, case, title, level: which of each; the title in words.
        verdict: what came of it.
        detail: why, unless it passed.
        seconds: how long it took.
    """

    server: str
    case: str
    title: str
    level: str
    verdict: Verdict
    detail: str
    seconds: float = 0.0


class Trial(Record, frozen=True):
    """What became of a mutant.

    Attributes:
        case: the case that must catch it.
        title: what is wrong with it.
        base: the server that it was made of.
        diff: the mistake itself.
        verdict: of that case.
        detail: its words.
        caught: the case noticed.
        passed: other cases that were tried, and rightly saw nothing.
        also_caught_by: other cases that were tried, and noticed.
        state: the hash of what this stands on: the case, the mistake, and the server in which it is made.
    """

    case: str
    title: str
    base: str
    diff: str
    verdict: str
    detail: str
    caught: bool
    passed: tuple[str, ...]
    also_caught_by: tuple[str, ...]
    state: str = ""


class SpecimenVerdict(Record, frozen=True):
    """What one case says of a textbook's server.

    Attributes:
        specimen: the server's name.
        case: the case's id.
        title: what is promised.
        verdict: the case's verdict.
        detail: its words.
        state: the hash of what this stands on: the case and the server.
    """

    specimen: str
    case: str
    title: str
    verdict: str
    detail: str
    state: str = ""


class AlarmRun(Record, frozen=True):
    """The suite, or some of its cases, on a server that conforms, while every core was busy.

    Attributes:
        suite: the hash of the suite's sources.
        server: the server.
        cases: how many verdicts there were.
        alarms: each failure, in words.
        seconds: how long it took.
        load: processes that wanted a core, on average over the last minute, per core.
        only: the cases that were judged, unless it was the whole suite.
        times: how often each of them was.
    """

    suite: str
    server: str
    cases: int
    alarms: tuple[str, ...]
    seconds: float
    load: float
    only: tuple[str, ...] = ()
    times: int = 1


class SuiteState(Record, frozen=True):
    """What the suite was like in a run that looked for false alarms.

    Attributes:
        suite: the hash of all its sources.
        cases: for each case, the hash of what it stands on.
    """

    suite: str
    cases: dict[str, str]


class CaseAlarms(Record, frozen=True):
    """How often a case, as it is now, has met servers that conform, on busy cores.

    Attributes:
        case: its id.
        state: the hash of what it stands on.
        runs: how often.
        alarms: how often it was wrong about them.
    """

    case: str
    state: str
    runs: int
    alarms: int


class Proof(Record, frozen=True):
    """All that is known of one state of the suite.

    Attributes:
        suite: the hash of its sources.
        trials: of all mutants.
        untested: cases that no mutant puts to the test.
        findings: of all cases on all specimens.
        alarm_runs: those on record that tell of a case as it is.
        case_alarms: what they come to, case by case.
    """

    suite: str
    trials: tuple[Trial, ...]
    untested: tuple[str, ...]
    findings: tuple[SpecimenVerdict, ...]
    alarm_runs: tuple[AlarmRun, ...]
    case_alarms: tuple[CaseAlarms, ...] = ()

    @property
    def survivors(self) -> list[Trial]:
        """The mutants that were not caught."""
        return [trial for trial in self.trials if not trial.caught]
