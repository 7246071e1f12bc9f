"""`harness costs`: what a request, a connection, a start and a stop cost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.analyse.slopes import Slope, per_connection
from harness.cli.exit_codes import FAILED
from harness.cli.finite import FiniteRange
from harness.cli.options import json_option, loop_option, server_options, write_to
from harness.cli.terminal import console_for
from harness.errors import CannotRun
from harness.experiments.costs.run import costs as run_costs
from harness.launch.selection import selected
from harness.record import LoadCosts, ServerCosts, as_json

LEGEND: Final = """\
per request: CPU µs and its share in user mode, voluntary and involuntary switches, wake-ups
(timeslices less preemptions), minor page faults; syscalls as counted by strace in a launch of its own"""
COLUMNS: Final = ("load", "CPU µs", "user", "voluntary", "involuntary", "wake-ups", "faults")


@click.command("costs")
@click.argument("names", nargs=-1)
@server_options
@loop_option
@click.option(
    "--scale",
    type=FiniteRange(0.001, 1),
    default=1.0,
    show_default=True,
    help="Of the full number of requests and of connections.",
)
@json_option("the results")
def costs(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    loops: Sequence[str],
    scale: float,
    json_file: str | None,
) -> int:
    """Find out what a request, a connection, a start and a stop cost: NAMES of ours, or any by --server.

    It fails if a server does not start, or a reply is wrong, missing or too late; what the other servers cost is found out
    all the same.
    """
    candidates = selected(names, servers, declarations, loops=loops)
    console = console_for(to_errors=json_file == "-")
    found: list[ServerCosts] = []
    troubles = []
    with console.status("") as status:
        for candidate in candidates:
            try:
                found.append(run_costs(candidate, scale, Doing(candidate.label, status.update)))
            except CannotRun as error:
                troubles.append((candidate, error))
            else:
                show(found[-1], console)
    write_to(json_file, as_json(found))
    if not found:
        raise troubles[-1][1]
    console.print(LEGEND, style="dim", highlight=False)
    for candidate, trouble in troubles:
        click.echo(f"harness: no costs of {candidate.label}: {trouble}", err=True)
    return FAILED if troubles or any(each.lifetime.wrong for each in found) else 0


@dataclass(frozen=True)
class Doing:
    """Tells what is done with a server now."""

    label: str
    tell: Callable[[str], None]

    def __call__(self, what: str) -> None:
        """Tell it."""
        self.tell(f"{self.label}: {what}")


def show(found: ServerCosts, console: Console) -> None:
    """Print what one server costs."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=found.server, title_justify="left"
    )
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "load" else "right", no_wrap=True)
    for load in found.loads:
        table.add_row(
            load.workload,
            f"{load.cpu_us:.1f}",
            f"{load.user_share:.0%}",
            *(f"{count:.2f}" for count in (load.switches_voluntary, load.switches_involuntary, load.wakeups)),
            f"{load.page_faults:.2f}",
        )
    console.print(table)
    for line in (*(syscalls(load) for load in found.loads if load.syscalls), *facts(found)):
        console.print(escape(line), highlight=False)


def syscalls(load: LoadCosts) -> str:
    """List the syscalls of a request."""
    named = ", ".join(f"{name} {count:.2f}" for name, count in load.syscalls.items())
    return f"{load.workload}: {named}, others {load.other_syscalls:.3f}"


def facts(found: ServerCosts) -> Iterator[str]:
    """Say the rest, a line for each thing."""
    if found.untraced:
        yield f"no syscalls: {found.untraced}"
    held = found.crowd.holdings[-1].connections if found.crowd.holdings else 0
    memory = ", ".join(
        f"{title} {shown(per_connection(found.crowd, name))}"
        for title, name in (("RSS", "rss_bytes"), ("PSS", "pss_bytes"))
    )
    yield f"connections: {held:,} held; per connection {memory}"
    if found.crowd.ended_by:
        yield f"no more than that: {found.crowd.ended_by}"
    life = found.lifetime
    times = (
        (life.startup_s, "start"),
        (life.stop_s, "stop"),
        (life.loaded_stop_s, f"stop under {life.clients} clients"),
    )
    yield ", ".join(f"{title} {median(taken) * 1e3:.0f} ms" for taken, title in times)
    if life.wrong:
        yield f"under load {life.wrong:,} connections broke before the stop, or gave a wrong reply"


def shown(slope: Slope | None) -> str:
    """Write KiB for each connection, with its standard error."""
    if slope is None:
        return "–"
    error = "" if slope.standard_error is None else f" ± {slope.standard_error / 1024:.2f}"
    return f"{slope.value / 1024:.2f}{error} KiB"
