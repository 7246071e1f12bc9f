"""Options that take several names with commas between them, and may be given several times."""

from collections.abc import Sequence

from harness.errors import UsageError


def names_in(given: Sequence[str], option: str) -> list[str]:
    """Return the names; UsageError if the option was given and names nothing: that is not to ask for all."""
    names = [name for listed in given for name in listed.split(",") if name.strip()]
    if given and not names:
        raise UsageError(f"{option} names nothing: leave it out for all")
    return names
