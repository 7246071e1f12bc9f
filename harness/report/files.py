"""The files of a report: written, or held against what the results give now."""

from dataclasses import dataclass
from pathlib import Path

from harness.analyse.analysis import Analysis, analyse
from harness.record import PROJECT, REFERENCE, SUMMARY, as_json, read_results, write_whole
from harness.report.page.page import PAGE, page
from harness.report.pages import REPORT
from harness.report.render import FIGURES, render
from harness.report.sections.answer import deciding
from harness.report.summary import summary_of


@dataclass(frozen=True)
class WrittenReport:
    """A report that has been written.

    Attributes:
        report, page: where it is, as text and as the page that one asks.
        complete: all of the run's plan was measured.
        deciding: the sentences that decide between the models.
    """

    report: Path
    page: Path
    complete: bool
    deciding: tuple[str, ...]


def files_of(folder: Path, analysis: Analysis) -> dict[Path, str]:
    """Return the files of a report and their contents.

    The reference run's report stands at the top of the project, any other in its run's folder; the page and the summary lie
    with the run.
    """
    if folder.resolve() == REFERENCE:
        rendered = render(analysis, f"{REFERENCE.relative_to(PROJECT)}/{FIGURES}")
        top = PROJECT
    else:
        rendered = render(analysis)
        top = folder
    files = {(top if name == REPORT else folder) / name: text for name, text in rendered.items()}
    return files | {folder / SUMMARY: as_json(summary_of(analysis)), folder / PAGE: page(analysis)}


def write_report(folder: Path) -> WrittenReport:
    """Make a report from a run's folder alone."""
    analysis = analyse(read_results(folder))
    files = files_of(folder, analysis)
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, text)
    return WrittenReport(
        next(path for path in files if path.name == REPORT),
        folder / PAGE,
        analysis.results.manifest.progress.complete,
        tuple(deciding(analysis)),
    )


def stale_files(folder: Path) -> list[Path]:
    """Return the files of a report that are not what the results give now."""
    files = files_of(folder, analyse(read_results(folder)))
    return [path for path, text in files.items() if not path.exists() or path.read_bytes() != text.encode()]
