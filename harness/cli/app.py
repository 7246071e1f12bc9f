"""The command line: one subcommand for each job.

Exit codes: 0 done, and nothing judged failed; 1 something was judged and failed; 2 usage; 3 it could not be run;
130 after Ctrl-C.
"""

import os
import signal
import sys
from contextlib import nullcontext
from importlib import import_module
from typing import Final, NoReturn

import click

from harness.cli.exit_codes import COULD_NOT_RUN, INTERRUPTED, USAGE
from harness.cli.stopping import obey_stop_signals
from harness.cli.streams import NobodyReadsError, let_go_of_output, make_streams_safe
from harness.errors import CannotRun, UsageError
from harness.machine.numerics import numerics_loaded

COMMANDS: Final = {
    "list": "list:list_command",
    "python": "python:python_command",
    "serve": "serve:serve",
    "upstream": "upstream:upstream",
    "lesson": "lesson:lesson",
    "conform": "conform:conform",
    "prove": "prove:prove",
    "fuzz": "fuzz:fuzz_command",
    "false-alarms": "false_alarms:false_alarms",
    "torture": "torture:torture",
    "load": "load:load",
    "sweep": "sweep:sweep",
    "limits": "limits:limits",
    "namespaces": "namespaces:namespaces",
    "costs": "costs:costs",
    "effect": "effect:effect",
    "bench": "bench:bench",
    "report": "report:report",
    "show": "show:show",
    "export": "export:export",
    "compare": "compare:compare",
    "predict": "predict:predict_command",
    "selftest": "selftest:selftest",
    "resolution": "resolution:resolution",
}
"""Each subcommand's module in `harness.cli`, and its name there."""
SECTIONS: Final = {
    "Servers": {
        "list": "the servers, with what they declare, or the workloads",
        "python": "interpreters to run servers on: add, list",
        "serve": "run one of ours in the foreground",
        "upstream": "run an upstream for a relay in the foreground",
        "lesson": "run a lesson's server",
    },
    "Conformance": {
        "conform": "which promises of the protocol servers keep",
        "prove": "let the suite meet servers with one mistake each",
        "fuzz": "send generated input, cut anyhow, and compare with an oracle",
        "false-alarms": "run the suite on good servers while every core is busy",
        "torture": "let faults happen to running servers",
    },
    "Measuring": {
        "load": "load one server, and print what it did",
        "sweep": "offer one server rising rates: latency, knee, recovery",
        "limits": "open connections until a server refuses",
        "namespaces": "run a command with a cluster of hosts on this machine",
        "costs": "what a request, a connection, a start and a stop cost",
        "effect": "let known effects happen, and take their causes away",
        "bench": "measure servers side by side, and write a report",
    },
    "Results": {
        "report": "make report.md and report.html from a run's results",
        "show": "print what a run says, with small plots",
        "export": "write the figures of a run as CSV, JSON or histograms",
        "compare": "compare two servers, or two runs",
        "predict": "predict what a relay does, from a few cells of a run",
        "selftest": "test the instrument on this machine",
        "resolution": "how small a difference is found here, by measuring",
    },
}
"""What `harness --help` says of each: to say it by their own docstrings would take to import them all."""
COMPUTING: Final = {
    "load",
    "sweep",
    "namespaces",
    "costs",
    "effect",
    "bench",
    "predict",
    "report",
    "show",
    "export",
    "compare",
    "selftest",
    "resolution",
}
"""Those that load numpy."""

NO_THREAD: Final = "can't start new thread"
"""So CPython says that the system allows no more; it has no error of its own."""

TROUBLES: Final = (
    click.ClickException, KeyboardInterrupt, UsageError, CannotRun, OSError, ImportError, MemoryError, RuntimeError
)  # fmt: skip


class Commands(click.Group):
    """Subcommands that are imported when they are asked for: to list servers takes no statistics and no figures."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Name them in reading order."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's interface
        """List them by what they are for."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Import one; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        with numerics_loaded() if cmd_name in COMPUTING else nullcontext():
            command: click.Command = getattr(import_module(f"harness.cli.{module}"), name)
        return command


def main() -> NoReturn:
    """Run the command line; every trouble ends in one clear line on standard error."""
    make_streams_safe()
    obey_stop_signals()
    try:
        _check_start()
        code = cli.main(standalone_mode=False) or 0
        sys.stdout.flush()
        sys.exit(code)
    except NobodyReadsError:
        sys.exit(128 + signal.SIGPIPE)
    except TROUBLES as error:
        _fail(*_in_words(error))
    finally:
        let_go_of_output()


def _in_words(error: BaseException) -> tuple[int, str]:
    """Return the exit code that a trouble ends in, and what is said of it; raise what is a mistake of ours."""
    match error:
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case click.ClickException():
            return USAGE, error.format_message()
        case UsageError():
            return USAGE, str(error)
        case OSError():
            return COULD_NOT_RUN, str(error).partition("] ")[2] or str(error)
        case MemoryError():
            return COULD_NOT_RUN, "there is not enough memory"
        case CannotRun() | ImportError():
            return COULD_NOT_RUN, str(error)
    if str(error) == NO_THREAD:
        return COULD_NOT_RUN, NO_THREAD
    raise error


def _check_start() -> None:
    if sys.flags.optimize > 1:
        raise CannotRun("Python -OO leaves out docstrings, and what we say of commands and cases is in them")
    for word in sys.argv[1:]:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{word!a} is no text in this locale's encoding") from None


def _fail(code: int, reason: str) -> NoReturn:
    first_line = " ".join(reason.split())
    print(f"harness: {first_line}", file=sys.stderr)
    sys.exit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.option("-C", "directory", type=click.Path(exists=True, file_okay=False), hidden=True)
def cli(directory: str | None) -> None:
    """Judge and measure servers of the calculator protocol."""
    if directory is not None:  # a command of ours that another has called, and that is found in the project
        os.chdir(directory)
