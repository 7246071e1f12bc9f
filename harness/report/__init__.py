"""From a run's results to report.md and its figures. Pure: the same results give the same bytes."""
