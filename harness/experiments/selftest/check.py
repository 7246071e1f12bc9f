"""What a check of the instrument is, and what comes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Console

from harness.record import Figure


class CheckOutcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_POSSIBLE = "not possible here"


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes:
        outcome: failed means that figures of this machine are not to be trusted.
        line: the finding in a sentence.
        figures: what it rests on, by name, with units.
    """

    outcome: CheckOutcome
    line: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One test of the instrument.

    Attributes:
        name: as on the command line.
        purpose: what it would notice.
        run: carries it out, showing progress on a console.
        seconds: that it takes, about.
    """

    name: str
    purpose: str
    run: Callable[[Console], CheckResult]
    seconds: int


def judged(good: bool, line: str, figures: Mapping[str, Figure]) -> CheckResult:  # noqa: FBT001 - it is what is judged
    """Return a result that has passed or failed."""
    return CheckResult(CheckOutcome.PASSED if good else CheckOutcome.FAILED, line, figures)
