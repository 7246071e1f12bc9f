"""What is said of how many connections each server holds."""

from harness.record import ConnectionLimit, Results


def connections_section(results: Results) -> list[str]:
    """Show where each server ends; nothing if that was not tried."""
    if not results.limits:
        return []
    wanted = max(limit.wanted for limit in results.limits)
    return [
        "## How many connections",
        "",
        f"Each server was asked to hold {wanted:,} connections at once. They were opened until one was not greeted; then "
        "each that was open was asked once, and its reply compared with the oracle's.",
        "",
        "| server | declares | held at once | of them answered rightly | within s | why no more |",
        "|---|---:|---:|---:|---:|---|",
        *(_row(limit, results) for limit in results.limits),
        "",
    ]


def _row(limit: ConnectionLimit, results: Results) -> str:
    most = {facts.label: facts.most_clients for facts in results.manifest.servers}.get(limit.server)
    declared = "any number" if most is None else f"{most:,}"
    why = "; ".join(filter(None, (limit.refused, limit.error))) or "–"
    return f"| `{limit.server}` | {declared} | {limit.held:,} | {limit.answered:,} | {limit.answered_s:.1f} | {why} |"
