"""What is known of the suite itself: frozen data, between the tests of the suite and the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
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


@dataclass(frozen=True)
class Finding:
    """What one case says of a textbook's server."""

    specimen: str
    case: str
    title: str
    verdict: str
    detail: str


@dataclass(frozen=True)
class AlarmRun:
    """One run of the whole suite on a server that conforms, while every core was busy.

    Attributes:
        suite: the hash of the suite's sources.
        server: the server.
        cases: how many were judged.
        alarms: each failure, in words.
        seconds: how long it took.
        load: processes that wanted a core, on average over the last minute, per core.
    """

    suite: str
    server: str
    cases: int
    alarms: tuple[str, ...]
    seconds: float
    load: float


@dataclass(frozen=True)
class Proof:
    """All that is known of one state of the suite.

    Attributes:
        suite: the hash of its sources.
        trials: of all mutants.
        untested: cases that no mutant puts to the test.
        findings: of all cases on all specimens.
        alarm_runs: those on record.
    """

    suite: str
    trials: tuple[Trial, ...]
    untested: tuple[str, ...]
    findings: tuple[Finding, ...]
    alarm_runs: tuple[AlarmRun, ...]

    @property
    def survivors(self) -> list[Trial]:
        """The mutants that were not caught."""
        return [trial for trial in self.trials if not trial.caught]
