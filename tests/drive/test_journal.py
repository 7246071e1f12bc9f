"""The rows of requests: kept by the generator, read again when it has ended."""

from pathlib import Path

import numpy as np

from harness.drive.journal import read_times


def test_the_generators_times_are_read_as_columns(tmp_path: Path) -> None:
    np.arange(12, dtype=np.int64).tofile(tmp_path / "one")
    np.arange(12, 18, dtype=np.int64).tofile(tmp_path / "two")
    (times,) = read_times([tmp_path / "one", tmp_path / "two"], [[2, 1]])
    assert list(times.intended_ns) == [0, 6, 12]
    assert list(times.count) == [4, 10, 16]
    assert list(times.where(times.count > 5).sent_ns) == [8, 14]


def test_two_generators_clients_stay_apart(tmp_path: Path) -> None:
    for place, name in enumerate(("one", "two")):
        np.array([[place, 0, 0, 0, 1, 7]], dtype=np.int64).tofile(tmp_path / name)
    (times,) = read_times([tmp_path / "one", tmp_path / "two"], [[1, 1]])
    assert len(set(times.client)) == 2


def test_the_rows_of_a_turn_are_those_of_all_generators(tmp_path: Path) -> None:
    for name, first in (("one", 0), ("two", 100)):
        np.array([[first + n, 0, 0, 0, 1, 0] for n in range(4)], dtype=np.int64).tofile(tmp_path / name)
    turns = read_times([tmp_path / "one", tmp_path / "two"], [[1, 3], [0, 0], [3, 1]])
    assert [sorted(turn.intended_ns.tolist()) for turn in turns] == [[0, 100, 101, 102], [], [1, 2, 3, 103]]
