"""Which of the ways in which a server was measured stands for it."""

from collections.abc import Collection

from harness.plan import is_as_usual


def is_the_usual_one(server: str, measured: Collection[str]) -> bool:
    """Tell whether it is in service, on its own core, and not on another interpreter than the one on which it was measured, too."""
    bare, at, _ = server.partition("@")
    return is_as_usual(server) and not (at and bare in measured)
