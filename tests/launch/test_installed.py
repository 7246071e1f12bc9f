"""Interpreters by version: where they are looked for, and which of them is taken."""

from pathlib import Path

import pytest

from harness.errors import InterpreterError, UsageError
from harness.launch.installed import chosen
from harness.launch.selection import selected
from tests.launch.pretended import pretend


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is installed."""
    for variable in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"/usr/bin:/bin:{tmp_path}/shims:{tmp_path}/bin")
    return tmp_path


def test_a_version_is_looked_for_on_path_then_of_pyenv_then_of_uv_the_newest_first(home: Path) -> None:
    found = [
        pretend(home / ".local/share/uv/python/cpython-9.1.3-linux/bin/python", version="9.1.3"),
        pretend(home / ".pyenv/versions/9.1.9/bin/python", version="9.1.9"),
        pretend(home / ".pyenv/versions/9.1.10/bin/python", version="9.1.10"),
        pretend(home / "bin/python9.1", version="9.1.1"),
    ]
    assert chosen("9.1").path == found[-1]
    assert (chosen("9.1.9").path, chosen("9.1.10").path, chosen("9.1.3").path) == (
        found[1],
        found[2],
        found[0],
    )
    Path(found[-1]).unlink()
    assert chosen("9.1").path == found[2]


def test_a_version_is_that_of_one_build(home: Path) -> None:
    locked = pretend(home / ".pyenv/versions/9.2.0/bin/python", version="9.2.0")
    unlocked = pretend(home / ".pyenv/versions/9.2.0t/bin/python", version="9.2.0", free_threaded=True)
    pypy = pretend(home / ".pyenv/versions/pypy9.2-7/bin/python", version="9.2.0", name="PyPy")
    assert [chosen(text).path for text in ("9.2", "9.2t", "pypy9.2")] == [locked, unlocked, pypy]
    assert chosen("9.2t").label == "9.2t"
    assert [each.label for each in selected(["threaded"], pythons=["9.2", "9.2t"])] == [
        "threaded@9.2",
        "threaded@9.2t",
    ]


def test_what_stands_behind_a_name_may_be_a_way_of_measuring_as_in_a_label(home: Path) -> None:
    pretend(home / "bin/python9.4", version="9.4.0")
    for name in ("threaded@9.4+free+fresh", "threaded+fresh+free@9.4"):
        (candidate,) = selected([name])
        assert candidate.label == "threaded@9.4+free+fresh"
        assert candidate.plain.name == "threaded@9.4"


def test_a_shim_of_pyenv_is_not_taken_for_an_interpreter(home: Path) -> None:
    pretend(home / "shims/python9.3", version="9.3.0")
    with pytest.raises(InterpreterError, match=r"no Python 9\.3 is found"):
        chosen("9.3")


@pytest.mark.parametrize("old", ["3.10", "2.7", "pypy3.10", "3.10.13"])
def test_a_version_that_is_too_old_is_not_even_looked_for(old: str) -> None:
    with pytest.raises(InterpreterError, match=rf"{old}: our servers need Python 3.11 or later"):
        chosen(old)


def test_one_interpreter_under_two_names_is_refused(home: Path) -> None:
    path = pretend(home / "bin/python9.5", version="9.5.1")
    with pytest.raises(UsageError, match=r"--python 9\.5 and --python 9\.5\.1 are the same interpreter"):
        selected(["threaded"], pythons=["9.5", "9.5.1"])
    with pytest.raises(UsageError, match="are the same interpreter"):
        selected(["threaded"], pythons=["9.5", path])
