"""What is known of the servers besides their figures: the size of their code, and the factors besides the model."""

from collections.abc import Sequence

from harness.record import ServerFacts
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words


def servers_page(servers: Sequence[ServerFacts]) -> Blocks:
    """Tell of the servers' code, and of what has a share in their figures besides their model; nothing if nothing is known."""
    found = [*code_section(servers), *factors_section(servers)]
    return [Heading("The servers", 1), *found] if found else []


def code_section(servers: Sequence[ServerFacts]) -> Blocks:
    """Count the lines of each of our servers, and where its code branches."""
    ours = [facts for facts in servers if facts.file]
    if not ours:
        return []
    counted = any(facts.code_branches for facts in ours)
    return [
        Heading("Size of the code"),
        Text(
            "Lines of code without blank lines, comments and docstrings; what all share (`protocol.py`, `server.py`) "
            "does not count."
        ),
        grid(
            (*words("server", "model"), *numbers("lines", *(["branches"] if counted else []))),
            (
                (
                    f"`{facts.label}`",
                    facts.model,
                    str(facts.code_lines),
                    *([str(facts.code_branches)] if counted else []),
                )
                for facts in ours
            ),
        ),
    ]


def factors_section(servers: Sequence[ServerFacts]) -> Blocks:
    """List what besides its model has a share in a server's figures; nothing if that was not recorded."""
    names = list(dict.fromkeys(name for facts in servers if facts.file for name in facts.factors))
    if not names:
        return []
    return [
        Heading("Factors besides the model"),
        Text("Socket options are those that a library sets by itself; what all share is in `server.py`."),
        grid(
            words("server", *names),
            ((f"`{facts.label}`", *(facts.factors.get(name, "") for name in names)) for facts in servers),
        ),
    ]
