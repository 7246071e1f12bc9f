"""What several subcommands share: the options that name servers, files to write to."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.errors import UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def server_options(command: Command) -> Command:
    """Add the options that name servers."""
    for option in (
        click.option("--declare", "declarations", multiple=True, metavar="LABEL=CAPABILITY,...", help="What it claims."),
        click.option(
            "--server", "servers", multiple=True, metavar="LABEL=COMMAND",
            help="Any server; COMMAND may use {host}, {port}, {max_clients}, {idle_timeout}, {grace}.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


python_option = click.option(
    "--python", metavar="PATH", help="Run ours on this interpreter, instead of the harness's own."
)
loop_option = click.option(
    "--loop", "loops", multiple=True, metavar="NAME=MODULE:FACTORY",
    help="Run the asyncio servers on this event loop as well, as SERVER+NAME; FOLDER/MODULE says where it lies.",
)  # fmt: skip
connect_option = click.option("--connect", metavar="HOST:PORT", help="A server that runs already.")


def write_to(file: str | None, text: str) -> None:
    """Write to a file, or to standard output if it is called `-`; nothing if there is none."""
    if file == "-":
        sys.stdout.write(text)
    elif file is not None:
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}") from None
