"""From samples to figures, verdicts, rankings and causes; pure."""
