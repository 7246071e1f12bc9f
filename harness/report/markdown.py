"""The whole report, and the files beside it that are too long for it."""

from typing import Final

from msgspec.structs import replace

from harness.analyse.blocks import of_regime
from harness.analyse.tables import Table, tabulate
from harness.plan import ALL_CORES, ONE_CORE, WORKLOADS, by_name
from harness.record import Results
from harness.report.figures.panels import figures
from harness.report.sections.answer import short_answer
from harness.report.sections.capacity import connections_section
from harness.report.sections.causes import causes_section
from harness.report.sections.choice import choice_section
from harness.report.sections.code import code_section, factors_section
from harness.report.sections.conformance import cases_text, conformance_section
from harness.report.sections.costs import costs_section
from harness.report.sections.faults import faults_section
from harness.report.sections.instrument import instrument_section
from harness.report.sections.method import heading, limits, reproduce, what_was_measured
from harness.report.sections.overview import all_cores_section, other_workloads
from harness.report.sections.pairs import pairs_text
from harness.report.sections.proof import proof_section
from harness.report.sections.workloads import workload_section, workloads_text

REPORT: Final = "report.md"
FIGURES: Final = "figures"
PAIRS: Final = "pairs.md"
WORKLOAD_TABLES: Final = "workloads.md"
CASES: Final = "cases.md"
SHOWN: Final = {
    "throughput.svg": "Requests per second, by workload and server",
    "cpu.svg": "CPU time per request, by workload and server",
    "latency.svg": "Response time against percentile, by workload and server",
    "clients.svg": "CPU time and tail of the responses against clients",
    "beside.svg": "Tail of the responses beside other clients",
}


def render(results: Results, figures_at: str = FIGURES) -> dict[str, str]:
    """Return the files of a report, by their names: the text, what is too long for it, and the figures in a folder.

    Args:
        results: a run.
        figures_at: where the figures are, seen from the report; the other files are beside their folder.
    """
    on_one_core, on_all_cores = only(results, ONE_CORE), only(results, ALL_CORES)
    tables, others = tables_of(on_one_core, ONE_CORE), tables_of(on_all_cores, ALL_CORES)
    drawn = figures(on_one_core, tables)
    beside = figures_at.removesuffix(FIGURES)
    text = "\n".join(
        [
            *heading(results),
            *short_answer(results, tables),
            *choice_section(results),
            *what_was_measured(results.manifest, beside + PAIRS),
            *(
                line
                for name, title in SHOWN.items()
                if name in drawn
                for line in (f"![{title}]({figures_at}/{name})", "")
            ),
            *(
                line
                for name, table in tables.items()
                if by_name(name).core
                for line in workload_section(by_name(name), table, on_one_core)
            ),
            *other_workloads(on_one_core, tables, beside + WORKLOAD_TABLES),
            *all_cores_section(on_all_cores, others),
            *costs_section(results),
            *causes_section(results),
            *instrument_section(results),
            *conformance_section(results, beside + CASES),
            *proof_section(results.proof),
            *faults_section(results),
            *connections_section(results),
            *code_section(results.manifest.servers),
            *factors_section(results.manifest.servers),
            *limits(results),
            *reproduce(results.manifest),
        ]
    )
    return {
        REPORT: text.rstrip() + "\n",
        PAIRS: pairs_text([tables, others]),
        WORKLOAD_TABLES: workloads_text(on_one_core, tables, on_all_cores, others),
        CASES: cases_text(results),
    } | {f"{FIGURES}/{name}": svg for name, svg in drawn.items()}


def only(results: Results, regime: str) -> Results:
    """Return what a run says of the servers of one regime."""
    servers = tuple(facts for facts in results.manifest.servers if facts.regime == regime)
    manifest = replace(results.manifest, servers=servers)
    return replace(results, manifest=manifest, samples=tuple(of_regime(results.samples, regime)))


def tables_of(results: Results, regime: str) -> dict[str, Table]:
    """Work out the tables of one regime by workload; none if it has no servers."""
    if not results.manifest.servers:
        return {}
    return {
        workload.name: tabulate(results.samples, workload.name, regime)
        for workload in WORKLOADS
        if workload.name in results.manifest.design.workloads
    }
