"""`harness fuzz`: generated input, until something goes wrong or the time is up."""

import json
from collections.abc import Sequence
from secrets import randbelow
from typing import Any

import click
from hypothesis.configuration import set_hypothesis_home_dir
from rich.console import Console
from rich.markup import escape

from harness.cli.exit_codes import FAILED
from harness.cli.finite import FiniteRange
from harness.cli.options import connect_option, json_option, loop_option, server_options, write_to
from harness.cli.terminal import console_for
from harness.cli.troubles import Troubles
from harness.conformance.fuzz.reproducer import reproducer
from harness.conformance.fuzz.search import Effort, FuzzResult, fuzz
from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.launch.selection import selected
from harness.record import PROJECT


@click.command("fuzz")
@click.argument("names", nargs=-1)
@server_options
@loop_option
@connect_option
@click.option(
    "--seconds",
    type=FiniteRange(0, 1e6, min_open=True),
    default=10.0,
    show_default=True,
    help="For each server.",
)
@click.option(
    "--seed", type=click.IntRange(0), help="The same seed sends the same; drawn and printed if there is none."
)
@click.option(
    "--relay",
    "as_relay",
    is_flag=True,
    help="Start servers as relays, and answer what they ask, in all manners that must make no difference.",
)
@json_option("the outcomes")
def fuzz_command(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    loops: Sequence[str],
    connect: str | None,
    seconds: float,
    seed: int | None,
    json_file: str | None,
    *,
    as_relay: bool,
) -> int:
    """Send generated input, cut anyhow, from several clients at once, and compare every reply with the oracle's."""
    set_hypothesis_home_dir(PROJECT / ".hypothesis")  # what it caches must not lie where the user stands
    candidates = selected(names, servers, declarations, connect, loops=loops)
    for candidate in candidates:
        if as_relay and not candidate.can_relay:
            raise UsageError(f"--relay: {candidate.label} has no place for an upstream in its command")
    seed = randbelow(2**32) if seed is None else seed
    console = console_for(to_errors=json_file == "-")
    console.print(f"seed {seed}, {seconds:g} s for each server", highlight=False)
    width = max(len(candidate.label) for candidate in candidates)
    found: list[dict[str, Any]] = []
    troubles = Troubles()
    with console.status("") as status:
        for candidate in candidates:

            def note(effort: Effort, label: str = candidate.label) -> None:
                status.update(f"{escape(label)}: {effort.sequences:,} sequences")

            with troubles.noted(candidate.label):
                outcome = fuzz(candidate, seed, seconds, note, as_relay=as_relay)
                _show(outcome, candidate, width, console)
                found.append(_as_dict(outcome, candidate))
    left_out = troubles.told(found)
    write_to(json_file, json.dumps(found, indent=1) + "\n")
    return FAILED if left_out or any(outcome["failure"] for outcome in found) else 0


def _show(outcome: FuzzResult, candidate: Candidate, width: int, console: Console) -> None:
    effort, failure = outcome.effort, outcome.failure
    verdict = "[bold red]a failure[/]" if failure else "[green]nothing found[/]"
    console.print(
        f"{escape(f'{outcome.server:<{width}}')}  {verdict} in {outcome.seconds:.1f} s", highlight=False
    )
    console.print(
        f"  {effort.sequences:,} sequences, {effort.bytes_sent:,} bytes, {effort.connections:,} connections",
        highlight=False,
    )
    if failure:
        seen = (
            ""
            if failure.seen_again
            else "  (not seen again on a fresh server: what came before may matter)\n"
        )
        how = "\n".join(f"  {line}" for line in _reproducer(outcome, candidate).splitlines())
        console.print(f"  {failure.message}\n{seen}{how}", markup=False, highlight=False)


def _reproducer(outcome: FuzzResult, candidate: Candidate) -> str:
    endpoint = " ".join(map(str, candidate.address)) if candidate.address else "HOST PORT"
    return reproducer(outcome.failure.encounter, endpoint) if outcome.failure else ""


def _as_dict(outcome: FuzzResult, candidate: Candidate) -> dict[str, Any]:
    failure = outcome.failure
    return {
        "server": outcome.server,
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "sequences": outcome.effort.sequences,
        "bytes": outcome.effort.bytes_sent,
        "connections": outcome.effort.connections,
        "failure": failure
        and {
            "message": failure.message,
            "reproducer": _reproducer(outcome, candidate),
            "seen_again": failure.seen_again,
        },
    }
