"""`harness export`: a run's figures for other programs."""

from pathlib import Path
from typing import Final

import click

from harness.analyse.analysis import Analysis, analyse
from harness.cli.options import OutputFile, write_to
from harness.errors import UsageError
from harness.plan import ALL_CORES, ONE_CORE
from harness.record import REFERENCE, as_json, read_results, shown, write_whole
from harness.report.export import as_csv, as_hgrm
from harness.report.summary import summary_of

CSV: Final = "csv"
JSON: Final = "json"
HGRM: Final = "hgrm"


@click.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice((CSV, JSON, HGRM)),
    required=True,
    help="csv, json: all figures of all tables; hgrm: all percentiles of the responses.",
)
@click.option(
    "--out",
    metavar="PATH",
    default="-",
    help="The file to write, or - for standard output; for hgrm a folder, with a file for each server and workload.",
)
@click.pass_context
def export(context: click.Context, folder: Path | None, form: str, out: str) -> None:
    """Write the figures of a run; without DIR, of the reference run."""
    results = read_results(folder or REFERENCE)
    if form == HGRM:
        if out == "-":
            raise UsageError("hgrm is many files: --out FOLDER says where to")
        Path(out).mkdir(parents=True, exist_ok=True)
        write_percentiles(analyse(results), Path(out))
        print(shown(Path(out)))
        return
    file = OutputFile().convert(out, None, context)
    summary = summary_of(analyse(results))
    write_to(file, as_csv(summary) if form == CSV else as_json(summary))


def write_percentiles(analysis: Analysis, folder: Path) -> None:
    """Write a file for each server under each workload, into a folder that is there."""
    for regime, found in ((ONE_CORE, analysis.one_core), (ALL_CORES, analysis.all_cores)):
        for name, table in found.tables.items():
            for row in table.rows:
                if row.responses:
                    of_regime = "" if regime == ONE_CORE else ".all-cores"
                    file = f"{name}.{row.server}{of_regime}.hgrm".replace("/", "_")
                    write_whole(folder / file, as_hgrm(row.responses))
