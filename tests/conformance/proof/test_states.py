"""A change of one case makes its proof void, and no other's."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.conformance.catalogue import CASES
from harness.conformance.proof.states import evidence, state_of, suite_state
from harness.record import PROJECT, together

Edited = Callable[[str, str, str], set[str]]


@pytest.fixture
def stale_after(tmp_path: Path) -> Edited:
    """Return what tells which cases' proof is void after a change of one of the suite's files."""

    def change(file: str, old: str, new: str) -> set[str]:
        root = tmp_path / "changed"
        shutil.copytree(PROJECT / "harness", root / "harness", ignore=shutil.ignore_patterns("__pycache__"))
        path = root / "harness" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return {case.id for case in CASES if state_of(case) != state_of(case, root)}

    return change


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("conformance/cases/arithmetic.py", "range(1, 41)", "range(1, 42)", {"A17"}),
        (
            "conformance/cases/sessions.py",
            "MODES: Final = (b",
            "MODES: Final = (b'' + b",
            {"S14", "S15", "L24"},
        ),
        ("conformance/cases/stopping.py", "def await_refusal(", "# why\ndef await_refusal(", set()),
        ("conformance/cases/stopping.py", "time.sleep(0.01)", "time.sleep(0.02)", None),
        ("conformance/catalogue.py", "All cases, in order", "All cases", set()),
        ("plan/design.py", "MOST_ATTEMPTS: Final = 3", "MOST_ATTEMPTS: Final = 4", set()),
        ("conformance/peer.py", "def greeted(self)", "def greeted(self, *_)", {case.id for case in CASES}),
    ],
)
def test_what_a_change_makes_void(
    stale_after: Edited, file: str, old: str, new: str, stale: set[str] | None
) -> None:
    found = stale_after(file, old, new)
    if stale is None:
        assert {"L04", "L06"} <= found
        assert all(case.startswith(("L", "R")) for case in found)  # relays are stopped, too
    else:
        assert found == stale


def test_every_case_has_a_state_of_its_own() -> None:
    states = suite_state().cases
    assert states.keys() == {case.id for case in CASES}
    assert len(set(states.values())) == len(CASES)
    assert together("a", "b") != together("ab")


def test_evidence_names_our_files_as_they_are_in_the_project() -> None:
    said = f'File "{PROJECT}/harness/oracle.py", line 1; /etc/hosts'
    assert evidence(said) == 'File "harness/oracle.py", line 1; /etc/hosts'
