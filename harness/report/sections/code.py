"""What is known of the servers besides their figures: the size of their code, and the factors besides the model."""

from collections.abc import Sequence

from harness.record import ServerFacts


def code_section(servers: Sequence[ServerFacts]) -> list[str]:
    """Count the lines of each of our servers, and where its code branches."""
    ours = [facts for facts in servers if facts.file]
    if not ours:
        return []
    counted = any(facts.code_branches for facts in ours)
    return [
        "## Size of the code",
        "",
        "Lines of code without blank lines, comments and docstrings; what all share (`protocol.py`, `server.py`) "
        "does not count.",
        "",
        f"| server | model | lines |{' branches |' if counted else ''}",
        f"|---|---|---:|{'---:|' if counted else ''}",
        *(
            f"| `{facts.label}` | {facts.model} | {facts.code_lines} |"
            + (f" {facts.code_branches} |" if counted else "")
            for facts in ours
        ),
        "",
    ]


def factors_section(servers: Sequence[ServerFacts]) -> list[str]:
    """List what besides its model has a share in a server's figures; nothing if that was not recorded."""
    names = list(dict.fromkeys(name for facts in servers if facts.file for name in facts.factors))
    if not names:
        return []
    return [
        "## Factors besides the model",
        "",
        "Socket options are those that a library sets by itself; what all share is in `server.py`.",
        "",
        f"| server | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
        *(
            f"| `{facts.label}` | {' | '.join(facts.factors.get(name, '') for name in names)} |"
            for facts in servers
        ),
        "",
    ]
