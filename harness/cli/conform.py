"""`harness conform`: the matrix of servers and promises."""

import os
from collections.abc import Sequence

import click
from rich.markup import escape

from harness.cli.exit_codes import COULD_NOT_RUN, FAILED
from harness.cli.lists import names_in
from harness.cli.matrix import print_matrix, to_json, to_junit
from harness.cli.options import (
    OutputFile,
    connect_option,
    json_option,
    loop_option,
    pythons_option,
    server_options,
    write_to,
)
from harness.cli.terminal import console_for
from harness.cli.troubles import Troubles
from harness.conformance.catalogue import selected_cases
from harness.conformance.judge import judge
from harness.errors import UsageError
from harness.launch.selection import selected
from harness.record import Judgement, Verdict


@click.command()
@click.argument("names", nargs=-1)
@server_options
@loop_option
@connect_option
@pythons_option
@click.option(
    "--case", "case_ids", multiple=True, metavar="ID,...", help="Only these cases, or groups, by letter."
)
@json_option("the verdicts")
@click.option(
    "--junit",
    "junit_file",
    metavar="FILE",
    type=OutputFile(),
    help="Write them as JUnit XML; - for standard output.",
)
def conform(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    loops: Sequence[str],
    connect: str | None,
    pythons: Sequence[str],
    case_ids: Sequence[str],
    json_file: str | None,
    junit_file: str | None,
) -> int:
    """Say which promises of the protocol servers keep: NAMES of ours, or any by --server or --connect.

    It fails if a promise is not kept, or a server does not start; the others are judged all the same.
    """
    candidates = selected(names, servers, declarations, connect, pythons, loops)
    cases = selected_cases(names_in(case_ids, "--case"))
    if json_file is not None and junit_file is not None and same_file(json_file, junit_file):
        raise UsageError(f"--json and --junit cannot both be written to {json_file}")
    console = console_for(to_errors="-" in {json_file, junit_file})
    judgements: list[Judgement] = []
    troubles = Troubles()
    with console.status("") as status:
        for candidate in candidates:
            done: list[Judgement] = []

            def note(
                judgement: Judgement, label: str = candidate.label, done: list[Judgement] = done
            ) -> None:
                done.append(judgement)
                status.update(f"{escape(label)}: {len(done)} of {len(cases)} cases")

            with troubles.noted(candidate.label):
                judgements += judge(candidate, cases, note)
    left_out = troubles.told(judgements)
    print_matrix(judgements, console)
    write_to(json_file, to_json(judgements))
    write_to(junit_file, to_junit(judgements))
    if any(judgement.verdict is Verdict.HARNESS for judgement in judgements):
        return COULD_NOT_RUN
    return FAILED if left_out or any(judgement.verdict.failed for judgement in judgements) else 0


def same_file(one: str, other: str) -> bool:
    """Tell whether two names, of which each may be a link, are those of one file."""
    return os.path.realpath(one) == os.path.realpath(other)
