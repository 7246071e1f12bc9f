"""The pages of a report: which there are, and in which order each says what."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from harness.analyse.analysis import Analysis
from harness.report.blocks import Blocks, Heading, Page, points
from harness.report.sections.answer import first_screen
from harness.report.sections.capacity import connections_page
from harness.report.sections.causes import causes_page
from harness.report.sections.choice import choice_section
from harness.report.sections.code import servers_page
from harness.report.sections.conformance import conformance_page
from harness.report.sections.costs import costs_page
from harness.report.sections.effects import effects_page
from harness.report.sections.faults import faults_page
from harness.report.sections.interpreters import interpreters_page
from harness.report.sections.method import heading, method_page
from harness.report.sections.pairs import pairs_page
from harness.report.sections.predictions import predictions_page
from harness.report.sections.proof import proof_page
from harness.report.sections.questions import questions_section
from harness.report.sections.relays import relays_page
from harness.report.sections.views import views_section
from harness.report.sections.workloads import workloads_page

REPORT: Final = "report.md"
PAIRS: Final = "pairs.md"
WORKLOAD_TABLES: Final = "workloads.md"
RELAY_TABLES: Final = "relays.md"
CASES: Final = "cases.md"
PREDICTIONS: Final = "predictions.md"
INTERPRETERS: Final = "interpreters.md"


def pages(analysis: Analysis, drawn: Collection[str]) -> tuple[Page, ...]:
    """Return all pages, the report itself first.

    Args:
        analysis: of a run.
        drawn: the names of the figures that there are.
    """
    beside = tuple(Page(name, tuple(blocks)) for name, blocks in _beside(analysis, drawn) if blocks)
    return (Page(REPORT, tuple(_report(analysis, drawn, beside))), *beside)


def _report(analysis: Analysis, drawn: Collection[str], beside: Sequence[Page]) -> Blocks:
    return [
        *heading(analysis),
        *first_screen(analysis),
        *choice_section(analysis.advice),
        *views_section(analysis, drawn),
        *questions_section(analysis),
        Heading("All of it"),
        *points(f"[{page.title}]({page.name})" for page in beside),
    ]


def _beside(analysis: Analysis, drawn: Collection[str]) -> Iterator[tuple[str, Blocks]]:
    """Yield the other pages, by their names; one of which the run tells nothing is empty."""
    results = analysis.results
    yield WORKLOAD_TABLES, workloads_page(analysis, drawn)
    yield PAIRS, pairs_page(analysis)
    yield RELAY_TABLES, relays_page(analysis, drawn)
    yield PREDICTIONS, predictions_page(analysis)
    yield "costs.md", costs_page(analysis)
    yield "causes.md", causes_page(analysis)
    yield INTERPRETERS, interpreters_page(analysis)
    yield "effects.md", effects_page(results.effects, analysis.causes)
    yield CASES, conformance_page(results)
    yield "proof.md", proof_page(results.proof)
    yield "faults.md", faults_page(results)
    yield "connections.md", connections_page(results)
    yield "servers.md", servers_page(results.manifest.servers)
    yield "method.md", method_page(analysis)
