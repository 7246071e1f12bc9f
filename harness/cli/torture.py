"""`harness torture`: faults, with figures."""

from collections.abc import Sequence
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.cli.exit_codes import FAILED
from harness.cli.finite import FiniteRange
from harness.cli.lists import names_in
from harness.cli.options import json_option, loop_option, server_options, write_to
from harness.cli.terminal import console_for
from harness.cli.troubles import Troubles
from harness.errors import UsageError
from harness.experiments.faults.faults import selected_faults
from harness.experiments.faults.run import AFTER, ALONE
from harness.experiments.faults.run import torture as run_torture
from harness.launch.selection import selected
from harness.record import FaultResult, as_json

MARKS: Final = {ALONE: "¹", AFTER: "²"}
NOTES: Final = {
    ALONE: "¹ The probe had the only place: the fault's clients waited in the queue until it had gone.",
    AFTER: "² The fault's clients were served one after the other, and then the probe.",
}
LEGEND: Final = """\
median, worst ms: of the probe's replies; probe, others: replies checked; l lost, d twice, w wrong;
fds, threads, MiB: of the server, before the fault and after it"""
LEFT: Final = ("fault", "survived")
COLUMNS: Final = (
    "fault", "clients", "survived", "median", "worst ms", "probe", "l/d/w", "others", "l/w", "fds", "threads", "MiB",
)  # fmt: skip


@click.command("torture")
@click.argument("names", nargs=-1)
@server_options
@loop_option
@click.option("--fault", "fault_names", multiple=True, metavar="NAME,...", help="Only these.")
@click.option(
    "--scale",
    type=FiniteRange(0.001, 1),
    default=1.0,
    show_default=True,
    help="Of the full number of clients, and of the time that a fault lasts.",
)
@json_option("the results")
def torture(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    loops: Sequence[str],
    fault_names: Sequence[str],
    scale: float,
    json_file: str | None,
) -> int:
    """Let faults happen to running servers while a probe measures its replies: NAMES of ours, or any by --server."""
    candidates = selected(names, servers, declarations, loops=loops)
    faults = selected_faults(names_in(fault_names, "--fault"))
    for candidate in candidates:
        if all(fault.of_relays for fault in faults) and not candidate.can_relay:
            raise UsageError(f"{candidate.label} has no place for an upstream in its command")
    console = console_for(to_errors=json_file == "-")
    results: list[FaultResult] = []
    troubles = Troubles()
    with console.status("") as status:
        for candidate in candidates:
            status.update(f"{candidate.label}: {faults[0].name}")
            with troubles.noted(candidate.label):
                mine = run_torture(
                    candidate, faults, scale, lambda done: status.update(f"{done.server}: after {done.fault}")
                )
                show(mine, console)
                results += mine
    left_out = troubles.told(results)
    console.print(LEGEND, style="dim", highlight=False)
    write_to(json_file, as_json(results))
    return FAILED if left_out or not all(result.survived for result in results) else 0


def show(results: Sequence[FaultResult], console: Console) -> None:
    """Print what the faults did to one server: a line for each, one for all, and what has to be said besides."""
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        title=f"{results[0].server}: survived {sum(result.survived for result in results)} of {len(results)}",
        title_justify="left",
    )
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for result in results:
        table.add_row(*cells(result))
    if len(results) > 1:
        table.add_section()
        table.add_row(*totals(results))
    console.print(table)
    for result in results:
        if not result.survived:
            reasons = escape("; ".join(result.reasons))
            console.print(f"[bold red]not survived[/] {result.fault}: {reasons}", highlight=False)
        if result.stop_took_s is not None:
            console.print(f"told to stop, it ended after {result.stop_took_s:.2f} s", highlight=False)
    for place, note in NOTES.items():
        if any(result.place == place for result in results):
            console.print(note, style="dim", highlight=False)


def cells(result: FaultResult) -> tuple[str, ...]:
    """Return a fault's line."""
    return (
        result.fault + MARKS.get(result.place, ""),
        f"{result.size:,}",
        "[green]yes[/]" if result.survived else "[bold red]NO[/]",
        ms(result.probe_median_ns),
        ms(result.probe_worst_ns),
        f"{result.probe_checked:,}",
        f"{result.probe_lost}/{result.probe_duplicated}/{result.probe_wrong}",
        f"{result.others_checked:,}",
        f"{result.others_lost}/{result.others_wrong}",
        change(result.descriptors_before, result.descriptors_after),
        change(result.threads_before, result.threads_after),
        change(mib(result.memory_before_bytes), result.memory_after_bytes and mib(result.memory_after_bytes)),
    )


def totals(results: Sequence[FaultResult]) -> tuple[str, ...]:
    """Return the line for all faults: sums, and the worst reply of any."""

    def total(name: str) -> int:
        return sum(getattr(result, name) for result in results)

    worst_ns = max((result.probe_worst_ns or 0 for result in results), default=0)
    return (
        "all",
        f"{total('size'):,}",
        "",
        "",
        ms(worst_ns or None),
        f"{total('probe_checked'):,}",
        f"{total('probe_lost')}/{total('probe_duplicated')}/{total('probe_wrong')}",
        f"{total('others_checked'):,}",
        f"{total('others_lost')}/{total('others_wrong')}",
        "",
        "",
        "",
    )


def change(before: int, after: int | None) -> str:
    """Write before and after; a dash for a process that has ended."""
    return f"{before}→{'–' if after is None else after}"


def mib(size_bytes: int) -> int:
    """Return whole MiB."""
    return round(size_bytes / 2**20)


def ms(ns: int | None) -> str:
    """Write milliseconds."""
    return "–" if ns is None else f"{ns / 1e6:,.1f}"
