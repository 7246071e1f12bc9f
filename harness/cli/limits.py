"""`harness limits`: how many connections each server holds at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module

import click
from rich import box
from rich.console import Console
from rich.table import Table

from harness.cli.exit_codes import FAILED
from harness.cli.open_files import check_open_files
from harness.cli.options import cluster_option, json_option, loop_option, server_options, write_to
from harness.cli.terminal import console_for
from harness.cli.troubles import Troubles
from harness.experiments.capacity import kept, limit_of
from harness.launch.candidates import Candidate
from harness.launch.selection import selected
from harness.machine.numerics import numerics_loaded
from harness.record import ConnectionLimit, as_json


@click.command("limits")
@click.argument("names", nargs=-1)
@server_options
@loop_option
@click.option(
    "--connections",
    type=click.IntRange(1, 100_000),
    default=10_000,
    show_default=True,
    help="How many to ask for.",
)
@cluster_option
@json_option("the limits")
def limits(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    loops: Sequence[str],
    connections: int,
    cluster: str | None,
    json_file: str | None,
) -> int:
    """Open connections until a server refuses, or there are enough, and ask each once: NAMES of ours, or any by --server.

    A server fails if it holds fewer than it declares, or does not answer all that it holds.
    """
    candidates = selected(names, servers, declarations, loops=loops)
    if cluster is None:
        check_open_files(connections, f"{connections:,} connections")
    console = console_for(to_errors=json_file == "-")
    found: list[tuple[ConnectionLimit, bool]] = []
    troubles = Troubles()
    with console.status("") as status, _who_asks(cluster) as limit_of:
        for candidate in candidates:
            status.update(f"{candidate.label}: {connections:,} connections")
            with troubles.noted(candidate.label):
                limit = limit_of(candidate, connections)
                found.append((limit, kept(limit, candidate)))
    left_out = troubles.told(found)
    _show(found, console)
    write_to(json_file, as_json([limit for limit, _ in found]))
    return FAILED if left_out or not all(good for _, good in found) else 0


@contextmanager
def _who_asks(cluster: str | None) -> Iterator[Callable[[Candidate, int], ConnectionLimit]]:
    """Yield what finds out a server's limit: a process here, or the workers of a cluster, for which numpy is needed."""
    if cluster is None:
        yield limit_of
        return
    with numerics_loaded():
        cluster_module = import_module("harness.cli.cluster")
        capacity_from_many = import_module("harness.experiments.capacity_from_many")
    with cluster_module.fleet_if_asked_for(cluster, None, None) as fleet:
        yield partial(capacity_from_many.limit_from_many, fleet)


def _show(found: Sequence[tuple[ConnectionLimit, bool]], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("server", no_wrap=True)
    for column in ("held", "after s", "answered", "after s"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("as declared", no_wrap=True)
    table.add_column("why no more")
    for limit, good in found:
        why = "; ".join(filter(None, (limit.refused, limit.error)))
        judged = "yes" if good else "[bold red]NO[/]"
        table.add_row(
            limit.server,
            f"{limit.held:,}",
            f"{limit.held_s:.1f}",
            f"{limit.answered:,}",
            f"{limit.answered_s:.1f}",
            judged,
            why,
        )
    console.print(table)
