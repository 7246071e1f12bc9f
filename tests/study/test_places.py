"""How many clients a server holds that does not say: found out by filling it, once."""

import json
from collections.abc import Sequence

import pytest

from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.plan import FREE, Plan
from harness.study import places
from harness.study.places import places_found

MINE = Candidate("mine", ("./mine", "{port}"))
ROOMY = Candidate("roomy", ("./roomy", "{port}"), frozenset({"concurrent", "many_clients"}))
BLOCKING = Candidate("one", ("./one", "{port}"), frozenset())


def plan(*workloads: str) -> Plan:
    return Plan(("mine", "roomy"), workloads, {}, dict.fromkeys(workloads, 1), 0.1, 1.0, 1)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands that were run; mine holds 300 clients, and roomy as many as are wanted."""
    commands: list[list[str]] = []

    def run_apart(words: Sequence[str]) -> tuple[str, list[str]]:
        commands.append(list(words))
        held = {"mine": 300, "roomy": int(words[words.index("--connections") + 1])}
        return json.dumps([{"server": name, "held": count} for name, count in held.items()]), []

    monkeypatch.setattr(places, "run_apart", run_apart)
    return commands


def test_who_does_not_say_is_filled_once(asked: list[list[str]]) -> None:
    both = [MINE, MINE.measured(FREE), ROOMY, BLOCKING, ours("threaded")]
    found = places_found(both, plan("clients_64", "clients_500"))
    assert found == {"mine": 300, "mine+free": 300}
    (command,) = asked
    assert command[command.index("--connections") + 1] == "500"
    assert "threaded" not in command
    assert not any(word.startswith("one=") for word in command), "it serves one client at a time"


def test_few_clients_are_no_question(asked: list[list[str]]) -> None:
    assert places_found([MINE], plan("clients_64", "ping_pong")) == {}
    assert asked == []
