"""What is said of how many connections each server holds."""

from harness.record import ConnectionLimit, Results
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words


def connections_page(results: Results) -> Blocks:
    """Show where each server ends; nothing if that was not tried."""
    if not results.limits:
        return []
    wanted = max(limit.wanted for limit in results.limits)
    return [
        Heading("How many connections", 1),
        Text(
            f"Each server was asked to hold {wanted:,} connections at once. They were opened until one was not greeted; then "
            "each that was open was asked once, and its reply compared with the oracle's. Server and clients had all cores."
        ),
        grid(
            (
                *words("server"),
                *numbers("declares", "held at once", "of them answered rightly", "within s"),
                *words("why no more"),
            ),
            (_row(limit, results) for limit in results.limits),
        ),
    ]


def _row(limit: ConnectionLimit, results: Results) -> tuple[str, ...]:
    most = {facts.label: facts.most_clients for facts in results.manifest.servers}.get(limit.server)
    return (
        f"`{limit.server}`",
        "any number" if most is None else f"{most:,}",
        f"{limit.held:,}",
        f"{limit.answered:,}",
        f"{limit.answered_s:.1f}",
        "; ".join(filter(None, (limit.refused, limit.error))) or "–",
    )
