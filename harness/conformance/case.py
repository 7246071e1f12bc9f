"""What a case is, and what can be said of a server after running it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from harness.conformance.target import Target

Check = Callable[["Target"], None]

MUST: Final = "MUST"
STRICT: Final = "STRICT"
"""Levels; any other level is the name of a capability that a server may lack."""


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


class Violation(AssertionError):  # noqa: N818 - it is a finding
    """A clause does not hold; the message says what was sent, expected and received."""


class StaleClaim(AssertionError):  # noqa: N818 - it is a finding
    """A capability that the server disclaims was observed."""


class NotApplicable(Exception):  # noqa: N818 - it is no error
    """The case needs what this server, as given, does not offer."""


@dataclass(frozen=True)
class Case:
    """One checkable promise.

    Attributes:
        id: stable; its letter is its group.
        title: what is promised, in one line.
        clause: of the specification.
        level: MUST, STRICT or the name of a capability.
        check: raises Violation unless the promise holds.
        check_absence: for a capability: raises Violation unless a server without it behaves as it must then, and
            StaleClaim if the capability is there.
        may_log: the server's libraries may print tracebacks here.
    """

    id: str
    title: str
    clause: str
    level: str
    check: Check
    check_absence: Check | None = None
    may_log: bool = False

    @property
    def capability(self) -> str | None:
        """The capability it needs, if any."""
        return None if self.level in {MUST, STRICT} else self.level


class Group:
    """The cases of one letter, in the order in which they were written."""

    def __init__(self, letter: str, title: str) -> None:
        """Begin with no cases."""
        self.letter = letter
        self.title = title
        self.cases: list[Case] = []

    def case(
        self, clause: str, *, level: str = MUST, absence: Check | None = None, may_log: bool = False
    ) -> Callable[[Check], Check]:
        """Register a function `check_F06_title` as a case; its docstring is the title."""

        def register(check: Check) -> Check:
            case_id = check.__name__.split("_")[0].upper()
            title = (check.__doc__ or "").partition("\n")[0].removesuffix(".")
            self.cases.append(Case(case_id, title, clause, level, check, absence, may_log))
            return check

        return register
