"""`harness prove`: what the suite is worth, shown by servers that are known to be wrong."""

from collections.abc import Sequence

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.cli.exit_codes import FAILED
from harness.cli.options import write_to
from harness.cli.terminal import console_for
from harness.conformance.catalogue import CASES, selected_cases
from harness.conformance.proof.false_alarms import read_alarm_runs, suite_hash
from harness.conformance.proof.mutants import mutants, try_all, untested_cases
from harness.conformance.proof.specimens import SPECIMENS, examine
from harness.record import Proof, Trial, Verdict, as_json


@click.command()
@click.option(
    "--case", "case_ids", multiple=True, metavar="ID,...", help="Only the mutants of these cases, or groups."
)
@click.option("--no-specimens", is_flag=True, help="Only the mutants, without the textbook's servers.")
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the evidence as JSON; - for standard output."
)
def prove(case_ids: Sequence[str], *, no_specimens: bool, json_file: str | None) -> int:
    """Let the suite meet servers with one mistake each; every one must be caught by the case that is there for it."""
    cases = selected_cases(
        [case_id for listed in case_ids for case_id in listed.split(",") if case_id.strip()]
    )
    tried = [mutant for mutant in mutants() if mutant.case in {case.id for case in cases}]
    console = console_for(to_errors=json_file == "-")
    trials: list[Trial] = []
    with console.status("") as status:

        def note(trial: Trial) -> None:
            trials.append(trial)
            status.update(f"{len(trials)} of {len(tried)} mutants")

        ordered = try_all(tried, note)
        findings = (
            []
            if no_specimens
            else examine(cases=cases, progress=lambda name: status.update(f"specimen {name}"))
        )
    untested = untested_cases(tried) if len(cases) == len(CASES) else []
    suite = suite_hash()
    alarm_runs = tuple(run for run in read_alarm_runs() if run.suite == suite)
    proof = Proof(suite, tuple(ordered), tuple(untested), tuple(findings), alarm_runs)
    _print(proof, console)
    write_to(json_file, as_json(proof))
    return FAILED if proof.survivors or untested else 0


def _print(proof: Proof, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in ("case", "says", "of a server that"):
        table.add_column(column, overflow="fold")
    for trial in proof.trials:
        style = "green" if trial.caught else "bold red"
        table.add_row(trial.case, Text(trial.verdict.lower(), style=style), Text(trial.title))
    console.print(table)
    for trial in proof.survivors:
        console.print(f"[bold red]survives[/] {trial.case}: {trial.title}", highlight=False)
        console.print(trial.diff, markup=False, highlight=False)
    for case_id in proof.untested:
        console.print(f"[bold red]untested[/] {case_id}: no mutant puts it to the test", highlight=False)
    for specimen in SPECIMENS:
        mine = [finding for finding in proof.findings if finding.specimen == specimen.name]
        failed = [finding.case for finding in mine if Verdict(finding.verdict).failed]
        if mine:
            console.print(
                f"{specimen.name} fails {len(failed)} of {len(mine)} cases: {', '.join(failed)}",
                highlight=False,
            )
    console.print(
        f"{len(proof.trials)} mutants, {len(proof.trials) - len(proof.survivors)} caught by the case that is there for it",
        highlight=False,
    )
