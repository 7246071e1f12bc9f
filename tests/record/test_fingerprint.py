"""Fingerprints: a result stands as long as what it reaches is as it was, and no longer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.record.fingerprint import fingerprint, reached_from

SOURCES = {
    "harness/__init__.py": "",
    "harness/case.py": "from harness.kept import Verdict\nfrom harness import peer\nimport json\n",
    "harness/peer.py": "def send():\n    import harness.wire\n",
    "harness/wire.py": "PORT = 1\n",
    "harness/kept/__init__.py": "from harness.kept.verdict import Verdict\nfrom harness.kept.costs import Costs\n",
    "harness/kept/verdict.py": "class Verdict: ...\n",
    "harness/kept/costs.py": "class Costs: ...\n",
    "harness/report.py": "from harness.kept import Costs\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of small projects, each with other texts in some of its files."""
    made = iter(range(100))

    def make(**changes: str) -> Path:
        root = tmp_path / str(next(made))
        for name, text in (SOURCES | {f"harness/{file}.py": text for file, text in changes.items()}).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return root

    return make


def test_what_is_reached_is_found_through_packages_and_functions(project: Callable[..., Path]) -> None:
    assert reached_from("harness.case", root=project()) == {
        "harness.case", "harness.peer", "harness.wire", "harness.kept.verdict"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({"wire": "PORT = 2\n"}, False),
        ({"case": SOURCES["harness/case.py"] + "X = 1\n"}, False),
        ({"wire": "# why\nPORT   =   1\n"}, True),
        ({"report": "X = 1\n"}, True),
        ({"kept/costs": "class Costs:\n    x: int\n"}, True),
    ],
)
def test_only_what_is_reached_counts(
    project: Callable[..., Path], changes: dict[str, str], *, stands: bool
) -> None:
    before, after = project(), project(**changes)
    found = fingerprint("harness.case", root=after) == fingerprint("harness.case", root=before)
    assert found == stands


def test_a_module_that_is_not_there_is_no_module(project: Callable[..., Path]) -> None:
    with pytest.raises(FileNotFoundError):
        fingerprint("harness.nowhere", root=project())


def test_the_suite_is_all_cases_and_nothing_of_the_load_or_the_report() -> None:
    suite = reached_from("harness.conformance.judge")
    assert {"harness.oracle", "harness.conformance.cases.framing", "harness.launch.process"} <= suite
    assert not [
        name for name in suite if name.startswith(("harness.drive", "harness.report", "harness.study"))
    ]
    assert "harness.record.costs" not in suite
