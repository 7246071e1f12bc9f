"""How an upstream's waits are given on the command line."""

import re
from collections.abc import Callable
from typing import Final

import click

from harness.cli.options import Command
from harness.plan import SPREADS

UNITS_S: Final = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
SHORTEST_S, LONGEST_S = 100e-6, 60.0
"""No timer is good enough for less; nobody waits for more."""
WHOLE: Final = 100


class WaitTime(click.ParamType):  # type: ignore[type-arg] # it has none when it runs
    """A time with its unit, such as 5ms; in seconds."""

    name = "TIME"

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        """Take the longest one that makes sense."""
        self._longest_s = longest_s

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Take a time; a usage error says what it is to be."""
        if isinstance(value, float):
            return value
        given = re.fullmatch(r"(\d+(?:\.\d+)?) ?(us|µs|ms|s)", value)
        if not given:
            self.fail(f"it is a time with its unit, such as 5ms, not {value!r}", param, ctx)
        wait_s = float(given[1]) * UNITS_S[given[2]]
        if not SHORTEST_S <= wait_s <= self._longest_s:
            self.fail(
                f"{value} is not between 100us, which is as good as the timer is, and {self._longest_s:g}s",
                param,
                ctx,
            )
        return wait_s


class ShareOfAll(click.ParamType):  # type: ignore[type-arg] # likewise
    """A percentage, such as 5%; as a share."""

    name = "N%"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Take a percentage; a usage error says what it is to be."""
        if isinstance(value, float):
            return value
        given = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value)
        if not given or float(given[1]) > WHOLE:
            self.fail(f"it is a percentage from 0% to 100%, such as 5%, not {value!r}", param, ctx)
        return float(given[1]) / WHOLE


def wait_option(text: str, default: str | None = None) -> Callable[[Command], Command]:
    """Add the option that says how long an answer takes."""
    return click.option(
        "--wait", type=WaitTime(), default=default, show_default=default is not None, help=text
    )


spread_option = click.option(
    "--spread",
    type=click.Choice(SPREADS),
    help="How the waits differ: not; at random; one in 100 takes 20 times as long; one in 10 takes no time.  [default: constant]",
)
