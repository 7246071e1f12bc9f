"""`harness selftest`: is the instrument to be trusted on this machine, and what can it tell apart?"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.exit_codes import FAILED
from harness.cli.options import json_option, write_to
from harness.cli.terminal import console_for
from harness.errors import UsageError
from harness.experiments.selftest import basics, slicing, stall, upstream
from harness.experiments.selftest import known_effect as resolution
from harness.experiments.selftest import queueing as waiting
from harness.experiments.selftest import trials as repeated
from harness.experiments.selftest.check import Check, CheckOutcome, CheckResult

CHECKS: Final = (
    Check("ceiling", "the generator is faster than any server that it measures", basics.ceiling, 30),
    Check("delay", "a known delay is what is measured", basics.fixed_delay, 10),
    Check(
        "stall", "a stall is seen by all who came meanwhile, not by one of each connection", stall.stall, 10
    ),
    Check(
        "upstream",
        "who answers relays is on time, keeps exact books, and is not the limit",
        upstream.upstream,
        20,
    ),
    Check("pacing", "requests are sent when they are intended", waiting.pacing, 9),
    Check("queue", "a queue's waits are those of the theory", waiting.queue, 10),
    Check("conservation", "every request is counted once, as the server counts", basics.conservation, 5),
    Check("hog", "a launch beside a process that takes its core is invalid", basics.hogged_core, 5),
    Check("slicing", "a request costs in slices what it costs in a continuous window", slicing.slicing, 150),
    Check("archive", "equal servers are seldom called different", resolution.archived, 3),
    Check(
        "simulation",
        "equal servers are seldom told apart, whatever the noise, and intervals hold",
        resolution.simulated,
        4,
    ),
    Check("known_work", "what difference can be told apart", resolution.known_work, 150),
    Check("repeated", "how often it is right, by the runs of `harness resolution`", repeated.repeated, 0),
)
STYLES: Final = {
    CheckOutcome.PASSED: "green",
    CheckOutcome.FAILED: "bold red",
    CheckOutcome.NOT_POSSIBLE: "yellow",
}


@click.command()
@click.argument("names", nargs=-1, metavar="[CHECK ...]")
@json_option("the results")
def selftest(names: Sequence[str], json_file: str | None) -> int:
    """Test the instrument on this machine: all checks, or those named. Exit 1 if it is not to be trusted."""
    known = {check.name: check for check in CHECKS}
    for name in names:
        if name not in known:
            raise UsageError(f"no check is called {name!r}; there are {', '.join(known)}")
    chosen = [check for check in CHECKS if not names or check.name in names]
    console = console_for(to_errors=json_file == "-")
    console.print(f"about {sum(check.seconds for check in chosen) / 60:.1f} minutes", highlight=False)
    results: dict[str, CheckResult] = {}
    for check in chosen:
        console.print(f"{check.name}: {check.purpose} …", highlight=False)
        results[check.name] = check.run(console)
    _print_results(results, console)
    listed = [
        {"check": check.name, "purpose": check.purpose} | asdict(results[check.name]) for check in chosen
    ]
    write_to(json_file, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")
    return FAILED if any(result.outcome is CheckOutcome.FAILED for result in results.values()) else 0


def _print_results(results: dict[str, CheckResult], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("finding", overflow="fold")
    for name, result in results.items():
        table.add_row(name, Text(result.outcome, STYLES[result.outcome]), Text(result.line))
    console.print(table)
