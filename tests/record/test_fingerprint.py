"""Fingerprints: a result stands as long as what it reaches is as it was, and no longer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.record.fingerprint import fingerprint, fingerprint_of, reached_from

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


CASES = {
    "cases/__init__": "",
    "cases/one": """
from harness.cases.steps import twice as again
from harness.peer import send
LIMIT: int = 3
def first(): return again(LIMIT)
def second(): return send()
""",
    "cases/steps": "def twice(n): return 2 * n\ndef thrice(n): return 3 * n\n",
}


@pytest.mark.parametrize(
    ("file", "old", "new", "void"),
    [
        ("cases/one", "again(LIMIT)", "again(LIMIT + 1)", {"first"}),
        ("cases/one", "LIMIT: int = 3", "LIMIT: int = 4", {"first"}),
        ("cases/one", "return send()", "return send() or 1", {"second"}),
        ("cases/steps", "2 * n", "n + n", {"first"}),
        ("cases/steps", "3 * n", "n + n + n", set()),
    ],
)
def test_a_function_stands_on_the_names_that_it_uses(
    project: Callable[..., Path], file: str, old: str, new: str, void: set[str]
) -> None:
    before, after = project(**CASES), project(**CASES | {file: CASES[file].replace(old, new)})
    assert void == {
        name
        for name in ("first", "second")
        if fingerprint_of("harness.cases.one", name, "harness.cases", root=before)
        != fingerprint_of("harness.cases.one", name, "harness.cases", root=after)
    }


def test_a_name_from_elsewhere_stands_for_all_that_its_module_reaches(project: Callable[..., Path]) -> None:
    before, after = project(**CASES), project(**CASES, wire="PORT = 2\n")
    found = [
        fingerprint_of("harness.cases.one", name, "harness.cases", root=root)
        for name in ("first", "second")
        for root in (before, after)
    ]
    assert found[0] == found[1]
    assert found[2] != found[3]


def test_what_is_left_out_is_not_looked_at(project: Callable[..., Path]) -> None:
    assert reached_from("harness.case", root=project(), without={"harness.peer"}) == {
        "harness.case", "harness.kept.verdict"
    }  # fmt: skip


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
