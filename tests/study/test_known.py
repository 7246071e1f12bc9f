"""What an earlier run has proved: copied if nothing has changed that a verdict may depend on, and only then."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conformance.catalogue import CASES
from harness.record import CONFORMANCE, MANIFEST, Judgement, Manifest, Results, Verdict, as_json
from harness.study.known import known_verdicts
from tests.makers import changed

STATE = {"conformance.json a": "1", "conformance.json b": "2"}


@pytest.fixture
def now(make_results: Callable[..., Results]) -> Manifest:
    """Return a manifest of the servers a and b, whose sources are known."""
    manifest = make_results().manifest
    facts = tuple(changed(manifest.servers[0], label=label, file="implementations/x.py") for label in "ab")
    return changed(manifest, servers=facts, states=STATE, started="2026-02-01 00:00")


def verdicts(server: str, verdict: Verdict = Verdict.PASS) -> list[Judgement]:
    return [Judgement(server, case.id, case.title, case.level, verdict, "") for case in CASES]


def keep(folder: Path, manifest: Manifest, found: list[Judgement]) -> None:
    folder.mkdir()
    (folder / MANIFEST).write_text(as_json(manifest))
    (folder / CONFORMANCE).write_text(as_json(found))


def test_the_newest_run_of_the_same_state_has_the_word(now: Manifest, tmp_path: Path) -> None:
    keep(tmp_path / "old", changed(now, started="2026-01-01 00:00"), [*verdicts("a"), *verdicts("b")])
    keep(tmp_path / "new", changed(now, started="2026-01-02 00:00"), verdicts("a"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / CONFORMANCE).write_text("{")
    found = known_verdicts(now, tmp_path)
    assert {server: each.folder for server, each in found.items()} == {"a": "new", "b": "old"}
    assert found["b"].verdicts == tuple(verdicts("b"))


@pytest.mark.parametrize(
    "change",
    [
        lambda now: changed(now, states=dict.fromkeys(STATE, "3")),
        lambda now: changed(now, environment=changed(now.environment, python="CPython 9")),
        lambda now: changed(now, environment=changed(now.environment, kernel="Linux 9")),
        lambda now: changed(now, servers=tuple(changed(each, file="") for each in now.servers)),
        lambda now: changed(now, servers=tuple(changed(each, factors={"loop": "x"}) for each in now.servers)),
    ],
)
def test_what_has_changed_is_judged_again(
    now: Manifest, tmp_path: Path, change: Callable[[Manifest], Manifest]
) -> None:
    keep(tmp_path / "run", now, [*verdicts("a"), *verdicts("b")])
    assert known_verdicts(now, tmp_path).keys() == {"a", "b"}
    assert known_verdicts(change(now), tmp_path) == {}


def test_who_failed_or_was_judged_in_part_is_judged_again(now: Manifest, tmp_path: Path) -> None:
    keep(tmp_path / "run", now, [*verdicts("a", Verdict.FAIL), *verdicts("b")[1:]])
    assert known_verdicts(now, tmp_path) == {}
