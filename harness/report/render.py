"""A report as files: its pages as Markdown, and its figures."""

from typing import Final

from harness.analyse.analysis import Analysis
from harness.report.markdown import markdown
from harness.report.pages import REPORT, pages

FIGURES: Final = "figures"


def render(analysis: Analysis, figures_at: str = FIGURES) -> dict[str, str]:
    """Return the files of a report, by their names: pages, and the figures in a folder.

    Args:
        analysis: of a run.
        figures_at: where the figures are, seen from the report; the other pages are beside their folder.
    """
    drawn = figures(analysis)
    beside = figures_at.removesuffix(FIGURES)
    texts = {
        page.name: markdown(page, beside, figures_at) if page.name == REPORT else markdown(page, "", FIGURES)
        for page in pages(analysis, drawn)
    }
    return texts | {f"{FIGURES}/{name}": svg for name, svg in drawn.items()}


def figures(analysis: Analysis) -> dict[str, str]:
    """Return the figures of a report by their names."""
    # Loading matplotlib takes longer than most commands.
    from harness.report.figures.all import figures_of  # noqa: PLC0415

    return figures_of(analysis)
