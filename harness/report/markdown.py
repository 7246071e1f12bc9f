"""The whole report, and the files beside it that are too long for it."""

from typing import Final

from harness.analyse.analysis import Analysis
from harness.plan import by_name
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
from harness.report.sections.predictions import predictions_section, predictions_text
from harness.report.sections.proof import proof_section
from harness.report.sections.relays import relays_section, relays_text
from harness.report.sections.workloads import workload_section, workloads_text

REPORT: Final = "report.md"
FIGURES: Final = "figures"
PAIRS: Final = "pairs.md"
WORKLOAD_TABLES: Final = "workloads.md"
RELAY_TABLES: Final = "relays.md"
CASES: Final = "cases.md"
PREDICTIONS: Final = "predictions.md"
SHOWN: Final = {
    "throughput.svg": "Requests per second, by workload and server",
    "cpu.svg": "CPU time per request, by workload and server",
    "latency.svg": "Response time against percentile, by workload and server",
    "clients.svg": "CPU time and tail of the responses against clients",
    "beside.svg": "Tail of the responses beside other clients",
}


def render(analysis: Analysis, figures_at: str = FIGURES) -> dict[str, str]:
    """Return the files of a report, by their names: the text, what is too long for it, and the figures in a folder.

    Args:
        analysis: of a run.
        figures_at: where the figures are, seen from the report; the other files are beside their folder.
    """
    # Loading matplotlib takes longer than most commands.
    from harness.report.figures.maps import relay_maps  # noqa: PLC0415
    from harness.report.figures.panels import figures  # noqa: PLC0415

    results, one_core = analysis.results, analysis.one_core
    maps = relay_maps(analysis.relays.maps, [facts.label for facts in one_core.servers])
    drawn = figures(one_core) | maps
    beside = figures_at.removesuffix(FIGURES)
    core = [by_name(name) for name in one_core.tables if by_name(name).core]
    text = "\n".join(
        [
            *heading(analysis),
            *short_answer(analysis),
            *choice_section(analysis.advice),
            *what_was_measured(results.manifest, beside + PAIRS),
            *(
                line
                for name, title in SHOWN.items()
                if name in drawn
                for line in (f"![{title}]({figures_at}/{name})", "")
            ),
            *(line for workload in core for line in workload_section(workload, one_core, analysis)),
            *other_workloads(analysis, beside + WORKLOAD_TABLES),
            *relays_section(analysis, maps, figures_at, beside + RELAY_TABLES),
            *predictions_section(analysis, beside + PREDICTIONS),
            *all_cores_section(analysis.all_cores),
            *costs_section(analysis),
            *causes_section(analysis),
            *instrument_section(analysis),
            *conformance_section(results, beside + CASES),
            *proof_section(results.proof),
            *faults_section(results),
            *connections_section(results),
            *code_section(results.manifest.servers),
            *factors_section(results.manifest.servers),
            *limits(analysis),
            *reproduce(results.manifest),
        ]
    )
    return {
        REPORT: text.rstrip() + "\n",
        PAIRS: pairs_text(analysis),
        WORKLOAD_TABLES: workloads_text(analysis),
        CASES: cases_text(results),
        **({RELAY_TABLES: relays_text(analysis)} if analysis.relays.workloads else {}),
        **(
            {PREDICTIONS: predictions_text(found)} if (found := analysis.predictions) and found.judged else {}
        ),
    } | {f"{FIGURES}/{name}": svg for name, svg in drawn.items()}
