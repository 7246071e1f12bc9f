"""`harness effect`: known effects, made to happen and taken away."""

from collections.abc import Sequence
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.cli.exit_codes import FAILED
from harness.cli.options import json_option, write_to
from harness.cli.terminal import console_for
from harness.errors import LaunchError
from harness.experiments.effects.effects import at_database, let_happen, selected_effects
from harness.record import EffectResult, as_json
from harness.report.sections.database import database_sentences


@click.command("effect")
@click.argument("names", nargs=-1)
@click.option(
    "--database",
    metavar="URL",
    help="A PostgreSQL to ask, postgresql://…, instead of one of our own.",
)
@json_option("the results")
def effect(names: Sequence[str], database: str | None, json_file: str | None) -> int:
    """Let known effects happen on this machine, and take their causes away: NAMES, or all.

    The figures are shown for all sides. It fails if the rule that is to find such a cause in results does not name it where it
    is, or names it where it was taken away. What cannot be seen here is left out, unless it is named.
    """
    effects = selected_effects(names)
    if database is not None:
        effects = at_database(effects, database)
    console = console_for(to_errors=json_file == "-")
    results = []
    with console.status("") as status:
        for each in effects:
            status.update(each.name)
            try:
                results.append(let_happen(each))
            except LaunchError as error:
                if names:
                    raise
                click.echo(f"harness: {each.name} is left out: {error}", err=True)
            else:
                show(results[-1], console)
    write_to(json_file, as_json(results))
    return 0 if all(result.shown for result in results) else FAILED


FEW: Final = 2
"""More columns than these are as narrow as their figures allow, so that none is cut beside what they are about."""


def show(result: EffectResult, console: Console) -> None:
    """Print both sides of an experiment, and the cause."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=result.title, title_justify="left"
    )
    columns = dict(result.columns) or {result.metric: result.unit}
    table.add_column(result.effect, min_width=30)
    for name, title in columns.items():
        words = [*title.split(), *(figure(each.arm.figures.get(name, 0.0)) for each in result.arms)]
        table.add_column(title, justify="right", width=max(map(len, words)) if len(columns) > FEW else None)
    table.add_column("the rule")
    for each in result.arms:
        said = "names it" if each.named else "does not name it"
        table.add_row(
            each.arm.label,
            *(figure(each.arm.figures.get(name, 0.0)) for name in columns),
            said if each.as_it_should else f"[bold red]{said}[/]",
        )
    console.print(table)
    if result.because:
        console.print(escape(f"{result.because} ({result.source})"), highlight=False)
    for line in database_sentences(result):
        console.print(escape(line), highlight=False)


def figure(value: float) -> str:
    """Write a figure of an experiment."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"
