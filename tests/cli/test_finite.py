"""Numbers on the command line."""

from importlib import import_module

import click
import pytest

from harness.cli.app import COMMANDS
from harness.cli.finite import FiniteRange


def test_what_is_no_number_is_in_no_range() -> None:
    numbers = FiniteRange(0.5, 10)
    assert numbers.convert("2.5", None, None) == 2.5
    for word in ("nan", "-nan", "inf", "0.1", "ten"):
        with pytest.raises(click.BadParameter):
            numbers.convert(word, None, None)


def test_no_command_takes_what_is_no_number() -> None:
    for name in COMMANDS:
        module, _, command = COMMANDS[name].partition(":")
        for parameter in getattr(import_module(f"harness.cli.{module}"), command).params:
            if isinstance(parameter.type, click.FloatRange):
                assert isinstance(parameter.type, FiniteRange), f"{name} --{parameter.name}"
