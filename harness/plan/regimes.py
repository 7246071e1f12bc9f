"""How much of the machine a server uses."""

from typing import Final

ONE_CORE: Final = "one core"
ALL_CORES: Final = "all cores"
"""Regimes: how much of the machine a server uses. Figures of one are never held against those of the other."""


def regime_of(declares: frozenset[str] | None) -> str:
    """Return the regime of a server that declares this."""
    return ALL_CORES if declares is not None and "parallel" in declares else ONE_CORE
