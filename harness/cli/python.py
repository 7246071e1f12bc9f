"""`harness python`: other interpreters, each given an environment with the servers' libraries."""

import json
from typing import Any

import click
from msgspec import to_builtins

from harness.cli.options import write_to
from harness.errors import CannotRun
from harness.launch.environments import AddedPython, add, added
from harness.launch.facts import libraries_of
from harness.launch.installed import chosen


@click.group("python", no_args_is_help=False)
def python_command() -> None:
    """Add interpreters to run our servers on, and list them; --python takes what is added by its name."""


@python_command.command("add")
@click.argument("which", metavar="VERSION|PATH")
@click.option("--as", "name", metavar="NAME", help="What it is to be called, if not by its version.")
def add_command(which: str, name: str | None) -> None:
    """Make an environment for an interpreter that is there: the servers' libraries alone, from the lock file's wheels."""
    found = chosen(which)
    environment = add(found, name or found.full_version)
    _tell(_facts(environment))


@python_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def list_command(*, as_json: bool) -> None:
    """List the interpreters that were added: how they were built, and which of the servers' libraries they have."""
    rows = [_facts_or_trouble(environment) for environment in added()]
    if as_json:
        write_to("-", json.dumps(rows, indent=1, ensure_ascii=False, default=to_builtins) + "\n")
    for row in () if as_json else rows:
        _tell(row)
    if not rows:
        click.echo("none was added: harness python add VERSION|PATH", err=True)


def _facts_or_trouble(environment: AddedPython) -> dict[str, Any]:
    """Return what is to be told of an environment; of one whose interpreter does not run any more, why."""
    try:
        return _facts(environment)
    except CannotRun as error:
        return {"name": environment.name, "path": environment.base, "trouble": str(error)}


def _facts(environment: AddedPython) -> dict[str, Any]:
    found = chosen(environment.name)
    return {
        "name": environment.name,
        "interpreter": str(found),
        "build": found.build,
        "path": environment.base,
        "libraries": libraries_of(found),
    }


def _tell(facts: dict[str, Any]) -> None:
    if "trouble" in facts:
        click.echo(f"{facts['name']}: {facts['trouble']}")
        return
    click.echo(f"{facts['name']}: {facts['interpreter']}, {facts['build'].features}, {facts['path']}")
    for library, told in facts["libraries"].items():
        click.echo(f"    {library}: {told}")
