"""`harness serve`: one of our servers in the foreground."""

import os
from collections.abc import Sequence

import click

from harness.cli.options import python_option
from harness.errors import InterpreterError, UsageError
from harness.launch.selection import selected
from harness.record import PROJECT


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("name")
@click.argument("options", nargs=-1, metavar="[ITS OPTIONS]", type=click.UNPROCESSED)
@python_option
@click.pass_context
def serve(context: click.Context, /, name: str, options: Sequence[str], python: str | None) -> None:
    """Run one of our servers in the foreground; its own options follow its name (--help after the name lists them)."""
    if name in {"-h", "--help"}:
        click.echo(context.get_help())
        return
    (candidate,) = selected([name], pythons=[python] if python else [])
    if candidate.ways:
        ways = ", ".join(f"+{way}" for way in candidate.ways)
        raise UsageError(f"{ways} says how a server is measured, not how it serves: leave it out")
    assert candidate.implementation  # noqa: S101 - it is ours
    if candidate.refusal:
        raise InterpreterError(f"{candidate.label} cannot run: {candidate.refusal}")
    interpreter = candidate.command[0]
    os.chdir(PROJECT)  # where any interpreter finds it
    os.execvp(  # noqa: S606 - our own server
        interpreter,
        [interpreter, "-m", candidate.implementation.module, *candidate.implementation.options, *options],
    )
