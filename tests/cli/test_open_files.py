"""What a process may not have open is refused before anything is started."""

import pytest
from click.testing import CliRunner

from harness.cli import open_files
from harness.cli.compare import compare
from harness.cli.limits import limits
from harness.cli.load import load
from harness.cli.open_files import OTHER_FILES, check_open_files
from harness.errors import UsageError

MOST = 1024


@pytest.fixture(autouse=True)
def few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "most_files", lambda: MOST)


def test_others_are_counted_that_are_open_besides() -> None:
    check_open_files(MOST - OTHER_FILES, "so many")
    with pytest.raises(UsageError, match="so many are too many: a process may have 1,024 files open here"):
        check_open_files(MOST - OTHER_FILES + 1, "so many")


@pytest.mark.parametrize(
    ("command", "words", "what"),
    [
        (load, ["threaded", "--clients", "1000"], "1,000 clients"),
        (load, ["threaded", "--clients", "500", "--wait", "5ms", "--pool", "500"], "500 clients and a pool of 500"),
        (limits, ["threaded", "--connections", "1000"], "1,000 connections"),
        (compare, ["threaded", "--server", "b=b {port}", "--clients", "1000"], "1,000 clients"),
    ],
)  # fmt: skip
def test_each_command_refuses_what_it_cannot_open(command: object, words: list[str], what: str) -> None:
    refused = CliRunner().invoke(command, words, standalone_mode=False)  # type: ignore[arg-type] # it is one
    assert isinstance(refused.exception, UsageError)
    assert str(refused.exception).startswith(f"{what} are too many")
