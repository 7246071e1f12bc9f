"""How many connections a process of ours may have open at once, checked before anything is started."""

from typing import Final

from harness.errors import UsageError
from harness.machine.resources import most_files

OTHER_FILES: Final = 100
"""A process has so many others open, at most."""


def check_open_files(connections: int, what: str) -> None:
    """Raise UsageError if a process may not have so many connections open here.

    Args:
        connections: of one process.
        what: they are for, in words.
    """
    if connections + OTHER_FILES > most_files():
        raise UsageError(
            f"{what} are too many: a process may have {most_files():,} files open here (ulimit -Hn)"
        )
