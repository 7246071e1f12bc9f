"""Folders and logs: whose they are while a run writes to them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest

from harness.errors import ResultsError, UsageError
from harness.record import folders, held, held_log, new_folder, take


def test_a_folder_is_taken_only_if_it_is_new_or_empty(tmp_path: Path) -> None:
    take(tmp_path / "new" / "run")
    take(tmp_path / "new" / "run")
    (tmp_path / "new" / "run" / "notes").write_text("somebody's")
    with pytest.raises(UsageError, match="is not empty"):
        take(tmp_path / "new" / "run")
    with pytest.raises(UsageError, match=r"cannot write to .*: Not a directory"):
        take(tmp_path / "new" / "run" / "notes" / "run")


class Stopped(datetime):
    """A clock that stands still, as one seems to that is set back."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 3, 1, 9, 30, 15, tzinfo=tz)


def test_runs_that_begin_in_the_same_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "datetime", Stopped)
    made = [new_folder(tmp_path / "results") for _ in range(3)]
    assert [each.name for each in made] == [f"2026-03-01T09-30-15{end}" for end in ("", "-2", "-3")]
    for each in made:
        take(each)


def test_that_no_folder_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UsageError, match=r"cannot write to .*results: Not a directory"):
        new_folder(tmp_path / "results")


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
