"""What several subcommands share: the options that name servers, files to write to."""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.plan import FREE, FRESH, ONE_CORE

PINNED: Final = "pinned"
PLACEMENTS: Final = (PINNED, FREE)
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


def ways_options(command: Command) -> Command:
    """Add the options that say in which state, and where, servers are measured."""
    for option in (
        click.option("--fresh", is_flag=True, help="No client comes before the measured ones: a server is NAME+fresh then."),
        click.option(
            "--placement", "placements", multiple=True, type=click.Choice(PLACEMENTS),
            help="On one core, or free on all: NAME+free; both may be given.  [default: pinned]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def measured_so(
    candidates: Iterable[Candidate], placements: Sequence[str], *, fresh: bool
) -> list[Candidate]:
    """Return servers as they are to be measured; one that uses all cores anyway cannot be pinned, nor set free."""
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        for placement in placements or (PINNED,):
            free = placement == FREE and candidate.regime == ONE_CORE
            ways = (*candidate.ways, *((FREE,) if free else ()), *((FRESH,) if fresh else ()))
            measured = candidate.measured(*ways)
            found[measured.label] = measured
    return list(found.values())


connect_option = click.option("--connect", metavar="HOST:PORT", help="A server that runs already.")


def write_to(file: str | None, text: str) -> None:
    """Write to a file, or to standard output if it is called `-`; nothing if there is none."""
    if file == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())  # UTF-8, whatever the terminal speaks: it is for programs
    elif file is not None:
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}") from None
