"""The catalogue of cases: ids, titles, and the clauses of the specification that they stand for."""

import re

import pytest

from harness.conformance.catalogue import CASES, selected_cases
from harness.errors import UsageError
from harness.record import GROUP_TITLES, PROJECT
from implementations.catalogue import CAPABILITIES


def test_every_clause_is_cited_and_every_citation_exists() -> None:
    text = (PROJECT / "implementations/PROTOCOL.md").read_text(encoding="utf-8")
    clauses = set(re.findall(r"^(\d\.\d+)\. ", text, re.MULTILINE))
    cited = {clause.strip() for case in CASES for clause in case.clause.split(",")}
    assert cited <= clauses
    # No case: the default options, and false words of the kernel (which tests/implementations puts into its mouth).
    assert clauses - cited <= {"5.1", "6.9"}


def test_cases_have_ids_of_their_group_and_titles() -> None:
    assert {case.id[0] for case in CASES} == GROUP_TITLES.keys()
    for letter in GROUP_TITLES:
        mine = [case.id for case in CASES if case.id[0] == letter]
        assert mine == [f"{letter}{n:02}" for n in range(1, len(mine) + 1)]
    assert all(case.title and not case.title.endswith(".") for case in CASES)
    assert all((case.check_absence is None) == (case.capability is None) for case in CASES)
    assert all(case.capability in CAPABILITIES for case in CASES if case.capability)


def test_cases_are_selected_by_id_or_by_letter() -> None:
    assert [case.id for case in selected_cases([" f13", "A02"])] == ["F13", "A02"]
    assert {case.id[0] for case in selected_cases(["l"])} == {"L"}
    assert selected_cases([]) == CASES
    with pytest.raises(UsageError, match="no case is called 'Z1'"):
        selected_cases(["z1"])
    with pytest.raises(UsageError, match=r"no case is called 'A1'; there are F01 to F\d+, A01 to A\d+, "):
        selected_cases(["a1"])


def test_the_readme_counts_the_cases() -> None:
    assert 100 < len(CASES) < 200
    assert "passed over a hundred byte-exact cases" in (PROJECT / "README.md").read_text(encoding="utf-8")
