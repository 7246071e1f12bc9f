"""Environments: one for each interpreter that was added, and what could not be had for it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.cli.python import python_command
from harness.conformance.catalogue import CASES
from harness.conformance.judge import judge
from harness.errors import InterpreterError, LaunchError, UsageError
from harness.launch.environments import LOCK, add, added, requirements
from harness.launch.facts import LIBRARIES, facts, libraries_of
from harness.launch.installed import chosen
from harness.launch.interpreters import interpreter
from harness.launch.process import launch
from harness.launch.selection import ours
from harness.record import PROJECT, Verdict
from tests.launch.pretended import pretend, pretend_to_install


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pinned(lock: Path) -> Mapping[str, str]:
    return {each.partition("==")[0]: each for each in requirements(lock.read_text(encoding="utf-8"))}


def test_what_servers_need_is_locked_as_it_is_for_the_harness() -> None:
    mine, whole = pinned(LOCK), pinned(PROJECT / "requirements.lock")
    assert set(LIBRARIES) <= mine.keys() <= whole.keys()
    for name, requirement in mine.items():
        assert requirement.count("--hash=sha256:") >= 1
        assert requirement.split()[0] == whole[name].split()[0]


def test_an_interpreter_that_was_added_is_chosen_by_its_name_its_path_or_its_version(tmp_path: Path) -> None:
    base = pretend_to_install(tmp_path / "python", "gevent", version="9.6.2")
    made = add(interpreter(base), "mine")
    assert added() == (made,)
    assert made.refused == {"gevent": "No matching distribution found for gevent"}
    assert Path(made.python).is_relative_to(tmp_path / "cache")
    assert {chosen(text).path for text in ("mine", base, "9.6", made.python)} == {made.python}
    assert [chosen(text).label for text in ("mine", base, "9.6")] == ["mine", "cpython9.6", "9.6"]


def test_a_server_whose_library_cannot_be_had_is_not_applicable_for_that_reason(tmp_path: Path) -> None:
    base = pretend_to_install(tmp_path / "python", "gevent", version="9.7.0", imports="exit 1")
    add(interpreter(base), "mine")
    candidate = ours("gevent_greenlets@mine")
    assert candidate.refusal == "No matching distribution found for gevent"
    assert facts([candidate])[0].refusal == candidate.refusal
    assert libraries_of(chosen("mine"))["gevent"] == candidate.refusal
    told: list[object] = []
    judgements = judge(candidate, CASES[:3], told.append)
    assert told == judgements
    assert {(each.verdict, each.detail) for each in judgements} == {
        (Verdict.NOT_APPLICABLE, candidate.refusal)
    }
    with pytest.raises(LaunchError, match="gevent_greenlets@mine cannot run: No matching"), launch(candidate):
        pass


def test_a_name_belongs_to_one_interpreter_and_its_environment_is_made_anew(tmp_path: Path) -> None:
    one, other = (interpreter(pretend_to_install(tmp_path / name, "trio", version="9.8.0")) for name in "ab")
    add(one, "mine")
    add(chosen("mine"), "mine")
    with pytest.raises(UsageError, match="another name with --as"):
        add(other, "mine")
    with pytest.raises(UsageError, match="begins with a letter"):
        add(other, "../mine")
    assert [each.base for each in added()] == [one.path]


def test_an_interpreter_that_makes_no_environment_says_so_and_leaves_none(tmp_path: Path) -> None:
    path = pretend(
        tmp_path / "python", version="9.9.0", before='[ "$2" = venv ] && echo "no ensurepip" && exit 1'
    )
    with pytest.raises(InterpreterError, match="makes no environment: no ensurepip"):
        add(interpreter(path), "mine")
    assert added() == ()


def test_what_is_gone_or_cannot_be_read_is_no_environment(tmp_path: Path, cache: Path) -> None:
    base = pretend_to_install(tmp_path / "python", "trio", version="9.8.1")
    made = add(interpreter(base), "mine")
    (note,) = cache.rglob("added.json")
    Path(base).rename(f"{base}_away")
    assert added() == ()
    Path(f"{base}_away").rename(base)
    assert added() == (made,)
    note.write_text("{")
    assert added() == ()


def test_they_are_added_and_listed_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = pretend_to_install(tmp_path / "python", "uvloop", version="9.8.2")
    python_command.main(["list"], standalone_mode=False)
    assert "none was added" in capsys.readouterr().err
    python_command.main(["add", base], standalone_mode=False)
    python_command.main(["list", "--json"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "9.8.2" in said
    assert "No matching distribution found for uvloop" in said
    assert '"profile_guided": false' in said
