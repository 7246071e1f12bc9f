"""Numbers on the command line, of which each is one."""

import math

import click


class FiniteRange(click.FloatRange):
    """A number in a range; click takes `nan` for one in any, since it is neither below nor above."""

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Take a number; a usage error says what it has to be."""
        number: float = super().convert(value, param, ctx)  # type: ignore[arg-type] # a text is what it is for
        if not math.isfinite(number):
            self.fail(f"it is a number, not {value!r}", param, ctx)
        return number
