"""Servers that could not be run: what was found of the others is not lost for that."""

from collections.abc import Iterator, Sized
from contextlib import contextmanager

import click

from harness.errors import CannotRun


class Troubles:
    """Collects why servers could not be run."""

    def __init__(self) -> None:
        """Begin without any."""
        self._found: list[tuple[str, CannotRun]] = []

    @contextmanager
    def noted(self, whose: str) -> Iterator[None]:
        """Take note if something cannot be run, and go on behind it."""
        try:
            yield
        except CannotRun as error:
            self._found.append((whose, error))

    def told(self, found: Sized) -> bool:
        """Tell of all on standard error, and return whether there were any; CannotRun if nothing was found besides."""
        if self._found and not found:
            raise self._found[-1][1]
        for whose, error in self._found:
            click.echo(f"harness: {whose} is left out: {error}", err=True)
        return bool(self._found)
