"""`harness prove`: what the suite is worth, shown by servers that are known to be wrong."""

import itertools
import sys
from collections.abc import Sequence
from typing import Final

import click
from rich import box
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from harness.cli.exit_codes import FAILED
from harness.cli.lists import names_in
from harness.cli.options import json_option, show_possible, write_to
from harness.cli.terminal import console_for
from harness.conformance.catalogue import CASES, selected_cases
from harness.conformance.proof.false_alarms import standing_runs
from harness.conformance.proof.mutants import Mutant, mutants, stale_mutants, try_all, untested_cases
from harness.conformance.proof.renewal import cases_to_prove
from harness.conformance.proof.specimens import SPECIMENS, examine
from harness.conformance.proof.states import suite_state
from harness.errors import UsageError
from harness.record import PROOF, REFERENCE, Proof, Trial, Verdict, as_json, read_results, write_whole

NOTHING_KNOWN: Final = Proof("", (), (), (), ())


@click.command()
@click.option(
    "--case", "case_ids", multiple=True, metavar="ID,...", help="Only the mutants of these cases, or groups."
)
@click.option("--no-specimens", is_flag=True, help="Only the mutants, without the textbook's servers.")
@json_option("the evidence")
@click.option(
    "--stale",
    is_flag=True,
    help="Only what is older than its sources in the reference run's proof; renew it there.",
)
def prove(case_ids: Sequence[str], *, no_specimens: bool, json_file: str | None, stale: bool) -> int:
    """Let the suite meet servers with one mistake each; every one must be caught by the case that is there for it."""
    if stale and (case_ids or no_specimens or json_file):
        raise UsageError("--stale renews a proof as a whole: without --case, --no-specimens and --json")
    cases = selected_cases(names_in(case_ids, "--case"))
    asked = [mutant for mutant in mutants() if mutant.case in {case.id for case in cases}]
    known = (read_results(REFERENCE).proof if stale else None) or NOTHING_KNOWN
    console = console_for(to_errors=json_file == "-")
    if stale:
        show_possible(REFERENCE / PROOF)
        print(f"older than its sources: {', '.join(cases_to_prove(known)) or 'nothing'}", file=sys.stderr)
    with console.status("") as status:
        trials = renewed_trials(asked, known, status)
        findings = (
            []
            if no_specimens
            else examine(
                cases=cases, progress=lambda name: status.update(f"specimen {name}"), known=known.findings
            )
        )
    untested = untested_cases(asked) if len(cases) == len(CASES) else []
    alarm_runs, case_alarms = standing_runs()
    proof = Proof(
        suite_state().suite,
        tuple(trials),
        tuple(untested),
        tuple(findings),
        tuple(alarm_runs),
        tuple(case_alarms),
    )
    _print(proof, console)
    write_to(json_file, as_json(proof))
    if stale:
        write_whole(REFERENCE / PROOF, as_json(proof))
    return FAILED if proof.survivors or untested else 0


def renewed_trials(asked: Sequence[Mutant], known: Proof, status: Status) -> list[Trial]:
    """Try the mutants that are asked for, unless their trials still stand; return the trials of all of them."""
    tried = [mutant for mutant in stale_mutants(known.trials) if mutant in asked]
    count = itertools.count(1)
    anew = try_all(tried, lambda _: status.update(f"{next(count)} of {len(tried)} mutants"))
    by_title = {trial.title: trial for trial in [*known.trials, *anew]}
    return [by_title[mutant.title] for mutant in asked]


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
