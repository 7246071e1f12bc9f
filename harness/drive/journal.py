"""The rows of all requests: kept by the generator, read again when it has ended."""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.record.buckets import Times

COLUMNS: Final = 6
COUNT: Final = 4
ROW: Final = struct.Struct(f"{COLUMNS}q")
"""Of requests sent together and answered together: intended, ready, sent, received (ns), how many, and whose they are."""
QUESTION: Final = struct.Struct("4q")
"""Of a question to an upstream: when it was asked, was due, and was answered (ns), and whose request it is."""


class Journal:
    """The rows of all requests, or of all questions, in memory that was allocated and touched beforehand.

    So no page fault and no reallocation falls into the measurement, unless it is unusually long.
    """

    def __init__(self, capacity: int, row: struct.Struct = ROW) -> None:
        """Allocate room for so many rows; there may be more."""
        self.capacity = capacity
        self._row_bytes = row.size
        self._rows = io.BytesIO(bytes(capacity * row.size))
        self._rows.write(b"\0")  # until it is written to, it shares the bytes it was given
        self._rows.seek(0)
        self.write: Final = self._rows.write

    @property
    def used(self) -> int:
        """Count the rows."""
        return self._rows.tell() // self._row_bytes

    def requests(self) -> int:
        """Count the requests in all rows."""
        rows = np.frombuffer(self._rows.getbuffer(), dtype=np.int64, count=self.used * COLUMNS)
        return int(rows[COUNT::COLUMNS].sum())

    def move_to(self, path: str) -> None:
        """Append the rows to a file, one after the other, and begin anew."""
        with Path(path).open("ab") as file:
            file.write(self._rows.getbuffer()[: self._rows.tell()])
        self._rows.seek(0)


@dataclass(frozen=True)
class Columns:
    """The generator's rows: four times of requests sent together and answered together, how many, and whose they are."""

    intended_ns: Times
    ready_ns: Times
    sent_ns: Times
    received_ns: Times
    count: Times
    client: Times

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Columns":
        """Return the chosen rows."""
        return Columns(*(getattr(self, each.name)[chosen] for each in fields(self)))


@dataclass(frozen=True)
class QuestionColumns:
    """The rows of questions to an upstream: three times of each, and whose request it is."""

    asked_ns: Times
    due_ns: Times
    answered_ns: Times
    client: Times

    def where(self, chosen: npt.NDArray[np.bool_]) -> "QuestionColumns":
        """Return the chosen rows."""
        return QuestionColumns(*(getattr(self, each.name)[chosen] for each in fields(self)))


def read_questions(path: Path, records: Sequence[int]) -> list[QuestionColumns]:
    """Read the rows of questions, of each turn as many as are said."""
    rows = np.fromfile(path, dtype=np.int64).reshape(-1, len(fields(QuestionColumns)))
    return [QuestionColumns(*of_turn.T) for of_turn in np.split(rows, np.cumsum(records)[:-1])]


def read_times(paths: Sequence[Path], records: Sequence[Sequence[int]]) -> list[Columns]:
    """Read the rows of one generator, or of several, whose clients are then numbered all together.

    Args:
        paths: of the generators' files.
        records: for each turn, how many rows each generator has of it.

    Returns:
        The rows of each turn.
    """
    each = [np.fromfile(path, dtype=np.int64).reshape(-1, len(fields(Columns))) for path in paths]
    for place, rows in enumerate(each):
        rows[:, -1] = rows[:, -1] * len(each) + place
    ends = np.cumsum(np.array(records).reshape(-1, len(each)), axis=0)
    by_turn = zip(*(np.split(rows, ends[:-1, place]) for place, rows in enumerate(each)), strict=True)
    return [Columns(*np.concatenate(of_turn).T) for of_turn in by_turn]
