"""How much of the machine a server uses."""

import re
from typing import Final

ONE_CORE: Final = "one core"
ALL_CORES: Final = "all cores"
"""Regimes: how much of the machine a server uses. Figures of one are never held against those of the other."""

FRESH: Final = "fresh"
"""No client has left the server before: some work otherwise until then (python/cpython 85451)."""
FREE: Final = "free"
"""The server may run on all cores, and is compared with those that have one: what it makes of them is the question."""
WAYS: Final = (FREE, FRESH)
"""What stands behind a server's name, with a `+`, if it is measured otherwise than usual: in service, and on one core."""


def is_as_usual(label: str) -> bool:
    """Tell whether a server of this name is measured as usual: in service, and on one core if that is its regime."""
    return not any(label.endswith(f"+{way}") for way in WAYS)


def model_of(label: str) -> str:
    """Return the model whose variant a server is, by its name: what stands before a `+`, and before an `@` and an interpreter."""
    return label.partition("@")[0].partition("+")[0]


def factors_of(label: str) -> frozenset[str]:
    """Return what makes a variant of its model, by its name: what stands behind each `+`, and an interpreter with its `@`."""
    return frozenset(each.removeprefix("+") for each in re.findall(r"[+@][^+@]*", label))


def regime_of(declares: frozenset[str] | None) -> str:
    """Return the regime of a server that declares this."""
    return ALL_CORES if declares is not None and "parallel" in declares else ONE_CORE
