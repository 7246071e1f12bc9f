"""What is said of a finished report: what decides, in a few lines, and where the files are."""

from pathlib import Path

from harness.record import shown
from harness.report.blocks import plain
from harness.report.files import write_report


def report_and_tell(folder: Path) -> list[str]:
    """Make the report of a run's folder; return the lines."""
    written = write_report(folder)
    lines = [f"{place}. {plain(sentence)}" for place, sentence in enumerate(written.deciding, 1)]
    title = "Report" if written.complete else "Incomplete report"
    return [*lines, f"{title}: {shown(written.report)}", f"To ask it: {shown(written.page)}"]
