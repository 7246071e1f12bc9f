"""What a case is, and what can be said of a server after running it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.conformance.target import Target

Check = Callable[[Target], None]

MUST: Final = "MUST"
STRICT: Final = "STRICT"
"""Levels; any other level is the name of a capability that a server may lack."""


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
        shares: what it shares with other cases, which are therefore run one after the other.
    """

    id: str
    title: str
    clause: str
    level: str
    check: Check
    check_absence: Check | None = None
    may_log: bool = False
    shares: str = ""

    @property
    def capability(self) -> str | None:
        """The capability it needs, if any."""
        return None if self.level in {MUST, STRICT} else self.level


class Cases(list[Case]):
    """The cases of one module, in the order in which they were written."""

    def case(
        self,
        clause: str,
        *,
        level: str = MUST,
        absence: Check | None = None,
        may_log: bool = False,
        shares: str = "",
    ) -> Callable[[Check], Check]:
        """Register a function `f06_title` as case F06; its docstring is the title."""

        def register(check: Check) -> Check:
            case_id = check.__name__.split("_")[0].upper()
            title = (check.__doc__ or "").partition("\n")[0].removesuffix(".")
            self.append(Case(case_id, title, clause, level, check, absence, may_log, shares))
            return check

        return register
