"""What several subcommands share: the options that name servers, files to write to."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final, TypeVar

import click

from harness.cli.streams import OutputError
from harness.launch.candidates import Candidate
from harness.plan import FREE, FRESH, ONE_CORE
from harness.record import unfinished, write_whole

LOCAL: Final = re.compile(r"local:(\d{1,4})", re.ASCII)
SCHEDULER: Final = re.compile(r"(tcp|tls)://[^\s/]+:\d{1,5}", re.ASCII)
MOST_LOCAL: Final = 64
PINNED: Final = "pinned"
PLACEMENTS: Final = (PINNED, FREE)
STANDARD_OUTPUT: Final = "-"
NOT_REPLACED: Final = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
Command = TypeVar("Command", bound=Callable[..., Any])


def server_options(command: Command) -> Command:
    """Add the options that name servers."""
    for option in (
        click.option("--declare", "declarations", multiple=True, metavar="LABEL=CAPABILITY,...", help="What it claims."),
        click.option(
            "--server", "servers", multiple=True, metavar="LABEL=COMMAND",
            help="Any server; COMMAND may use {host}, {port}, {max_clients}, {idle_timeout}, {grace}; for a relay also {upstream}, {pool}, {upstream_timeout}.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


python_option = click.option(
    "--python", metavar="VERSION|PATH", help="Run ours on this interpreter, instead of the harness's own."
)
pythons_option = click.option(
    "--python", "pythons", multiple=True, metavar="VERSION|PATH",
    help="Run ours on this interpreter, instead of the harness's own: 3.13, 3.13t, pypy3.11, a path; several side by side.",
)  # fmt: skip
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


class ClusterAddress(click.ParamType):  # type: ignore[type-arg] # it has none when it runs
    """So many workers here, or those of a scheduler."""

    name = "local:N|tcp://HOST:PORT"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take it; a usage error says what it has to be."""
        local = LOCAL.fullmatch(value)
        if local and 1 <= int(local[1]) <= MOST_LOCAL:
            return value
        if not local and SCHEDULER.fullmatch(value):
            return value
        return self.fail(
            f"it is local:N, of 1 to {MOST_LOCAL} workers, or tcp://HOST:PORT, not {value!r}", param, ctx
        )


cluster_option = click.option(
    "--cluster",
    type=ClusterAddress(),
    metavar="local:N|tcp://HOST:PORT",
    help="Load it from Dask workers: so many here, or those of a scheduler (tls:// if it has keys).",
)


def cluster_options(command: Command) -> Command:
    """Add the options that say from where servers are loaded, and where they run."""
    on = click.option(
        "--on", metavar="WORKER", help="Run the server on this worker of the cluster; it loads nothing then."
    )
    return on(cluster_option(command))


class OutputFile(click.ParamType):  # type: ignore[type-arg] # it has none when it runs
    """A file to write to in the end, or `-`: that this is possible is shown before any work begins."""

    name = "FILE"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a name; a usage error says why it cannot be written to."""
        if value == STANDARD_OUTPUT:
            return value
        try:
            show_possible(Path(value))
        except OSError as error:
            self.fail(f"cannot write {value}: {error.strerror}", param, ctx)
        return STANDARD_OUTPUT if _is_standard_output(value) else value


def json_option(what: str) -> Callable[[Command], Command]:
    """Add the option that names a file for what a command has found, as JSON."""
    text = f"Write {what} as JSON; - for standard output."
    return click.option("--json", "json_file", metavar="FILE", type=OutputFile(), help=text)


def show_possible(path: Path) -> None:
    """Do nothing that stays; OSError if a file cannot be written."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with suppress(FileNotFoundError):
        unfinished(path).stat()  # its name may be too long
    if not path.exists():
        TemporaryFile(dir=_meant(path).parent).close()
    elif not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_to(file: str | None, text: str) -> None:
    """Write to a file, or to standard output if it is called `-`; nothing if there is none."""
    if file == STANDARD_OUTPUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())  # UTF-8, whatever the terminal speaks: it is for programs
    elif file is not None:
        try:
            _write(Path(file), text)
        except OSError as error:
            raise OutputError(f"cannot write {file}: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    """Put a file in its place; write to a device or a pipe, or to a file that nothing can replace, as one that is mounted."""
    if path.is_file() or not path.exists():
        try:
            write_whole(_meant(path), text)
        except OSError as error:
            if error.errno not in NOT_REPLACED:
                raise
        else:
            return
    path.write_text(text, encoding="utf-8")


def _is_standard_output(file: str) -> bool:
    """Tell whether it is known by another name, such as /dev/stdout."""
    return Path(file).exists() and os.path.samestat(Path(file).stat(), os.fstat(1))


def _meant(path: Path) -> Path:
    """Return what a link leads to."""
    return Path(os.path.realpath(path))
