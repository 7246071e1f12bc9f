"""L: what a server says, to whoever does not listen."""

import os
import shlex
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import THREE
from harness.conformance.target import Target, run_to_end, with_options
from harness.conformance.violations import NotApplicable, Violation
from harness.errors import LaunchError
from harness.launch.process import free_port
from harness.machine.processes import sockets_of
from harness.oracle import GREETING, oracle

CASES: Final = Cases()
case = CASES.case

LOGGED: Final = (b"12,34", b"nonsense", b"sum", b"quit")
LOOK_S: Final = 0.01
PORTS_TRIED: Final = 3
LOGGED_LINES: Final = 5000
"""What is logged of them is more than a pipe holds."""


@case("5.2")
def l20_readiness_that_cannot_be_written(target: Target) -> None:
    """If the readiness line cannot be written, one line on standard error says so, and the exit code is 1."""
    if not target.candidate.announces:
        raise NotApplicable("it is not known to print a readiness line")
    for output in (">/dev/full", "1</dev/null"):
        command = target.started_by(f'exec "$@" {output}').candidate.filled_command(with_options())
        code, said = run_to_end(command, target.patience_s)
        if code != 1 or said.count("\n") != 1:
            raise Violation(f"{output}: exit code {code}, expected 1 and one line; standard error: {said!r}")


@case("5.7")
def l21_log_that_cannot_be_written(target: Target) -> None:
    """A log that cannot be written is lost, and no client notices: disk full, closed, its reader gone or asleep."""
    for output in ("2>/dev/full", "2>&-"):
        with verbose(target, output) as own:
            own.answers(b"1,2\n", THREE)
            own.answers(b"1,2\n", THREE)
    with pipe_with_a_reader() as (pipe, reader), verbose(target, f"2>{shlex.quote(str(pipe))}") as own:
        own.answers(b"1,2\n" * LOGGED_LINES, THREE * LOGGED_LINES)
        own.answers(b"1,2\n", THREE)
        reader.close()
        own.answers(b"1,2\n", THREE)
        own.answers(b"1,2\n", THREE)


@contextmanager
def on_a_port_of_ours(target: Target) -> Iterator[Target]:
    """Start a server whose readiness line nobody may hear, on another port if somebody else was faster to take the first."""
    with ExitStack() as stack:
        for more_ports in reversed(range(PORTS_TRIED)):
            try:
                own = stack.enter_context(target.fresh(port=free_port()))
                break
            except LaunchError:
                if not more_ports:
                    raise
        yield own


@contextmanager
def verbose(target: Target, output: str) -> Iterator[Target]:
    """Start a server that logs, with a standard stream redirected."""
    with ExitStack() as stack:
        try:
            own = stack.enter_context(on_a_port_of_ours(target.started_by(f'exec "$@" --verbose {output}')))
        except LaunchError:
            if target.candidate.implementation is None:
                raise NotApplicable("it cannot be started with --verbose") from None
            raise
        yield own


@contextmanager
def pipe_with_a_reader() -> Iterator[tuple[Path, IO[bytes]]]:
    """Make a pipe that has a name, and open its end for reading."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = Path(folder) / "pipe"
        os.mkfifo(pipe)
        with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb", 0) as reader:
            yield pipe, reader


@case("5.8")
def l22_closed_standard_streams(target: Target) -> None:
    """A server whose standard streams are closed serves, and no client's socket takes their numbers."""
    with (
        on_a_port_of_ours(target.started_by('exec "$@" <&- >&- 2>&-')) as own,
        own.greeted() as peer,
    ):
        peer.fence()
        for pid in own.pids:
            if taken := {0, 1, 2} & sockets_of(pid).keys():
                raise Violation(f"descriptors {sorted(taken)} of process {pid} are sockets")
    command = target.started_by('exec "$@" --no-such-option 2>&-').candidate.filled_command(with_options())
    code, _ = run_to_end(command, target.patience_s)
    if code != 2:
        raise Violation(f"bad usage, with standard error closed: exit code {code}, expected 2")


@case("5.6, 5.7")
def l26_what_is_said(target: Target) -> None:
    """With --verbose a server logs that a client came, each of its lines and that it left; the readiness line stays alone."""
    with (
        tempfile.NamedTemporaryFile() as output,
        verbose(target, f">{shlex.quote(output.name)}") as own,
    ):
        converse(own)
        await_log(own)
        written = Path(output.name).read_bytes()
        if own.candidate.announces and written.count(b"\n") != 1:
            raise Violation(f"expected the readiness line alone, standard output: {written!r}")


def converse(target: Target) -> None:
    """Let a client come, send lines of several kinds, and leave."""
    with target.greeted() as peer:
        for line in LOGGED:
            peer.exchange(line + b"\n", oracle(line).removeprefix(GREETING))
        peer.expect_end()


def await_log(target: Target) -> None:
    """Wait until a log tells of a client's coming, all of its lines and its leaving."""
    limit = time.monotonic() + target.patience_s
    while not tells_all(said := target.server.error_output()):
        if time.monotonic() > limit:
            raise Violation(
                f"with --verbose, expected a line for each of {len(LOGGED) + 2} events, standard error: {said!r}"
            )
        time.sleep(LOOK_S)


def tells_all(said: str) -> bool:
    """Tell whether a log has a line for each event, and the lines themselves."""
    return said.count("\n") >= len(LOGGED) + 2 and all(line.decode() in said for line in LOGGED)
