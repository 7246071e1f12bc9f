"""Folders and logs: whose they are while a run writes to them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness.errors import ResultsError, UsageError
from harness.record import held, held_log, take


def test_a_folder_is_taken_only_if_it_is_new_or_empty(tmp_path: Path) -> None:
    take(tmp_path / "new" / "run")
    take(tmp_path / "new" / "run")
    (tmp_path / "new" / "run" / "notes").write_text("somebody's")
    with pytest.raises(UsageError, match="is not empty"):
        take(tmp_path / "new" / "run")
    with pytest.raises(UsageError, match=r"cannot write to .*: Not a directory"):
        take(tmp_path / "new" / "run" / "notes" / "run")


@pytest.mark.parametrize("hold", [held, held_log])
def test_of_two_runs_in_one_place_the_second_is_refused(
    tmp_path: Path, hold: Callable[[Path], AbstractContextManager[None]]
) -> None:
    place = tmp_path
    if hold is held_log:
        place = tmp_path / "log.jsonl"
    with hold(place), pytest.raises(UsageError, match="in use"), hold(place):
        pass
    with hold(place):
        assert {each.name for each in tmp_path.iterdir()} <= {"log.jsonl"}


def test_what_cannot_be_held_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="nowhere holds no results"), held(tmp_path / "nowhere"):
        pass
    with (
        pytest.raises(UsageError, match=r"cannot write to .*nowhere/log"),
        held_log(tmp_path / "nowhere/log"),
    ):
        pass
