"""`harness python`: what is told of the interpreters that were added."""

import json

import pytest
from click.testing import CliRunner

from harness.cli import python
from harness.errors import InterpreterError
from harness.launch.environments import AddedPython


@pytest.fixture
def two_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two interpreters have been added, of which the first does not run any more."""

    def facts(environment: AddedPython) -> dict[str, object]:
        if environment.name == "gone":
            raise InterpreterError("/usr/bin/gone does not run: Exec format error")
        return {"name": environment.name}

    monkeypatch.setattr(
        python, "added", lambda: tuple(AddedPython(name, "/x", {}) for name in ("gone", "good"))
    )
    monkeypatch.setattr(python, "_facts", facts)


@pytest.mark.usefixtures("two_added")
def test_an_interpreter_that_does_not_run_any_more_hides_no_other() -> None:
    done = CliRunner().invoke(python.list_command, ["--json"])
    assert done.exit_code == 0
    broken, good = json.loads(done.output)
    assert broken == {
        "name": "gone",
        "path": "/x",
        "trouble": "/usr/bin/gone does not run: Exec format error",
    }
    assert good == {"name": "good"}


def test_why_it_does_not_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    python._tell({"name": "gone", "path": "/x", "trouble": "/x does not run"})
    assert capsys.readouterr().out == "gone: /x does not run\n"
