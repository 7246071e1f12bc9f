"""From a run's results to report.md, its figures and report.html. Pure: the same results give the same bytes."""
