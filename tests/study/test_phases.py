"""What a run does besides measuring: what is kept of it, and what is said."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.launch.selection import ours
from harness.record import (
    Arm,
    ConnectionLimit,
    EffectResult,
    Judgement,
    SelfCheck,
    ServerCosts,
    Verdict,
    as_json,
)
from harness.study import phases
from harness.study.parts import Part
from harness.study.phases import (
    CONNECTIONS,
    FAULTS,
    GATE,
    KNOWN_EFFECTS,
    THE_INSTRUMENT,
    WHAT_IT_COSTS,
    Phase,
    run_apart,
    run_phase,
)

FAULTY = Path(__file__).parents[1] / "servers" / "faulty.py"


def said_of(phase: Phase, servers: Sequence[Candidate], folder: Path, *options: str) -> str:
    said = io.StringIO()
    run_phase(phase, servers, folder, Console(file=said, width=200), *options)
    return said.getvalue()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Sequence[str]]]:
    """Return a way to say what a command would write; what is asked for is noted."""

    def set_up(text: str, *remarks: str) -> list[Sequence[str]]:
        asked: list[Sequence[str]] = []

        def run_apart(words: Sequence[str]) -> tuple[str, list[str]]:
            asked.append(words)
            return text, list(remarks)

        monkeypatch.setattr(phases, "run_apart", run_apart)
        return asked

    return set_up


def test_a_phase_is_carried_out_once(tmp_path: Path, written: Callable[..., list[Sequence[str]]]) -> None:
    text = as_json([ConnectionLimit("threaded", 10, None, "", 10, 10, "", 0.5, 0.5)])
    asked = written(text)
    assert "Connections held at once: threaded 10" in said_of(CONNECTIONS, [ours("threaded")], tmp_path)
    assert said_of(CONNECTIONS, [ours("threaded")], tmp_path) == ""
    assert asked == [["limits", "threaded", "--json"]]
    assert (tmp_path / CONNECTIONS.file).read_text() == text


def test_what_costs_are_not_known_is_said(
    tmp_path: Path, written: Callable[..., list[Sequence[str]]], make_costs: Callable[..., ServerCosts]
) -> None:
    asked = written(as_json([make_costs("blocking")]), "no costs of trio_nursery: no reply within 30 s")
    said = said_of(WHAT_IT_COSTS, [ours("blocking"), ours("trio_nursery")], tmp_path, "--scale", "0.5")
    assert asked == [["costs", "blocking", "trio_nursery", "--scale", "0.5", "--json"]]
    assert said == "Costs of 1 servers\n  no costs of trio_nursery: no reply within 30 s\n"


def test_effects_are_counted_that_are_named_only_where_they_are(
    tmp_path: Path, written: Callable[..., list[Sequence[str]]]
) -> None:
    arms = Arm("with", {"x_us": 5000.0}), Arm("without", {"x_us": 5.0})
    effects = [
        EffectResult("e", "It waits", "x_us", "µs", *arms, *named, "because", "source", "command")
        for named in ((True, False), (True, True), (False, False))
    ]
    asked = written(as_json(effects))
    assert said_of(KNOWN_EFFECTS, [ours("blocking")], tmp_path) == "Known effects: 1 of 3 seen\n"
    assert asked == [["effect", "--json"]]


def test_failures_are_named(tmp_path: Path, written: Callable[..., list[Sequence[str]]]) -> None:
    verdicts = [
        Judgement("a", "F01", "", "MUST", Verdict.PASS, ""),
        Judgement("b", "F01", "", "MUST", Verdict.FAIL, "sent b'1'"),
    ]
    asked = written(as_json(verdicts))
    said = said_of(GATE, [ours("blocking")], tmp_path)
    assert asked == [["conform", "blocking", "--json"]], "the gate is all of the suite"
    assert said == "Conformance: 1 cases on 2 servers, 1 failures\n  FAIL F01 b: sent b'1'\n"
    checks = [
        SelfCheck("pacing", "", "passed", "on time", {}),
        SelfCheck("hog", "", "failed", "not noticed", {}),
    ]
    written(as_json(checks))
    said = said_of(THE_INSTRUMENT, [], tmp_path)
    assert said == "Self-test: 2 checks, 1 failed\n  hog: not noticed\n"


def test_faults_are_kept_as_the_command_writes_them(tmp_path: Path) -> None:
    options = ("--scale", "0.02", "--fault", "pause")
    assert (
        said_of(FAULTS, [ours("blocking")], tmp_path, *options)
        == "Torture: 1 faults on 1 servers, none not survived\n"
    )


def test_a_command_that_cannot_be_run_ends_a_phase_with_its_reason(
    tmp_path: Path, faulty: Callable[..., Candidate]
) -> None:
    with pytest.raises(LaunchError, match="cannot start, for a reason"):
        said_of(FAULTS, [faulty("does_not_start")], tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_older_is_asked_for_again_and_takes_its_old_place(
    tmp_path: Path, written: Callable[..., list[Sequence[str]]]
) -> None:
    found = [ConnectionLimit(name, 10, None, "", 10, 10, "", 0.5, 0.5) for name in ("blocking", "threaded")]
    (tmp_path / CONNECTIONS.file).write_text(as_json(found))
    anew = ConnectionLimit("blocking", 10, None, "", 9, 9, "no more", 0.5, 0.5)
    asked = written(as_json([anew]))
    stale = [Part(CONNECTIONS.file, "blocking"), Part("costs.json", "threaded")]
    console = Console(file=io.StringIO())
    made = run_phase(CONNECTIONS, [ours("blocking"), ours("threaded")], tmp_path, console, stale=stale)
    assert made == {Part(CONNECTIONS.file, "blocking")}
    assert asked == [["limits", "blocking", "--json"]]
    failing_the_gate = run_phase(CONNECTIONS, [ours("threaded")], tmp_path, console, stale=stale)
    assert failing_the_gate == set()
    assert len(asked) == 1
    assert (tmp_path / CONNECTIONS.file).read_bytes().split() == as_json([anew, found[1]]).encode().split()


def test_what_cannot_be_made_anew_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = as_json([ConnectionLimit("blocking", 10, None, "", 10, 10, "", 0.5, 0.5)])
    (tmp_path / CONNECTIONS.file).write_text(text)

    def run_apart(_: Sequence[str]) -> tuple[str, list[str]]:
        raise LaunchError("interrupted")

    monkeypatch.setattr(phases, "run_apart", run_apart)
    stale = [Part(CONNECTIONS.file, "blocking")]
    with pytest.raises(LaunchError):
        run_phase(CONNECTIONS, [ours("blocking")], tmp_path, Console(), stale=stale)
    assert (tmp_path / CONNECTIONS.file).read_text() == text


def test_a_phase_finds_what_the_caller_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").symlink_to(FAULTY)
    monkeypatch.chdir(tmp_path)
    server = f"mine={sys.executable} mine {{port}} none"
    written, _ = run_apart(["conform", "--server", server, "--case", "F01", "--json"])
    assert [each["verdict"] for each in json.loads(written)] == ["PASS"]
