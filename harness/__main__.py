"""The command line: one subcommand for each job.

Exit codes: 0 done, and nothing judged failed; 1 something was judged and failed; 2 usage; 3 it could not be run;
130 after Ctrl-C.
"""

import signal
import sys
from typing import Final, NoReturn

import click

from harness.candidates import UsageError
from harness.commands.catalogue import list_command, serve
from harness.commands.compare import compare
from harness.commands.conform import conform
from harness.commands.costs import costs
from harness.commands.effect import effect
from harness.commands.false_alarms import false_alarms
from harness.commands.fuzz import fuzz_command
from harness.commands.lesson import lesson
from harness.commands.load import load
from harness.commands.options import COULD_NOT_RUN, INTERRUPTED, USAGE
from harness.commands.prove import prove
from harness.commands.selftest import selftest
from harness.commands.study import bench, report
from harness.commands.sweep import sweep
from harness.commands.torture import torture
from harness.launch import LaunchError
from harness.measure import MeasureError
from harness.record import ResultsError


def main() -> NoReturn:
    """Run the command line; every trouble ends in one clear line on standard error."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # contexts end, servers with them
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except (click.Abort, KeyboardInterrupt):
        _fail(INTERRUPTED, "interrupted")
    except click.ClickException as error:
        _fail(USAGE, error.format_message())
    except UsageError as error:
        _fail(USAGE, str(error))
    except (LaunchError, MeasureError, ResultsError) as error:
        _fail(COULD_NOT_RUN, str(error))


def _fail(code: int, reason: str) -> NoReturn:
    first_line = " ".join(reason.split())
    print(f"harness: {first_line}", file=sys.stderr)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
def cli() -> None:
    """Judge and measure servers of the calculator protocol."""


COMMANDS: Final = (
    list_command,
    serve,
    lesson,
    conform,
    prove,
    fuzz_command,
    false_alarms,
    torture,
    costs,
    effect,
    load,
    sweep,
    bench,
    report,
    compare,
    selftest,
)
for command in COMMANDS:
    cli.add_command(command)


if __name__ == "__main__":
    main()
