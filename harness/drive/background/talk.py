"""What such a client says without end, and what is answered."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from harness.drive.background.manners import Manner
from harness.oracle import replies


class Talk:
    """What is said without end, and what is answered: where lines and replies end, and what stands where."""

    def __init__(self, manner: Manner) -> None:
        """Work out one round of lines and its replies."""
        _, *answers = replies(manner.prologue + b"".join(manner.lines))
        answers = answers[manner.prologue.count(b"\n") :]
        self._lines = _Cycle(manner.lines, manner.says_bytes)
        self._replies = _Cycle(answers, manner.hears_bytes)

    def request(self, said: int, until: int, most: int) -> bytes:
        """Return what comes after so many bytes, up to a place, and not more than so much."""
        return self._lines.piece(said, min(most, until - said))

    def is_reply(self, heard: int, data: bytes) -> bool:
        """Tell whether this is what must come after so many bytes of replies."""
        return data == self._replies.piece(heard, len(data))

    def lines_begun(self, said: int) -> int:
        """Count the lines of which something has been said."""
        return self.lines_said(said) + (self.said_with(self.lines_said(said)) < said)

    def lines_said(self, said: int) -> int:
        """Count the lines that have been said to their end."""
        return self._lines.whole(said)

    def said_with(self, lines: int) -> int:
        """Return how many bytes so many lines are."""
        return self._lines.end_of(lines)

    def lines_answered(self, heard: int) -> int:
        """Count the replies that have come to their end."""
        return self._replies.whole(heard)

    def heard_with(self, lines: int) -> int:
        """Return how many bytes the replies to so many lines are."""
        return self._replies.end_of(lines)


class _Cycle:
    """Pieces of bytes, one after the other and then again."""

    def __init__(self, pieces: Sequence[bytes], most: int) -> None:
        self._ends = [0, *accumulate(map(len, pieces))]
        self._bytes = self._ends[-1]
        self._pieces = len(pieces)
        self._text = b"".join(pieces) * (2 + most // self._bytes)

    def piece(self, at: int, length: int) -> bytes:
        """Return what stands there."""
        within = at % self._bytes
        return self._text[within : within + length]

    def whole(self, length: int) -> int:
        """Count the pieces that lie within so many bytes."""
        rounds, within = divmod(length, self._bytes)
        return rounds * self._pieces + bisect_right(self._ends, within) - 1

    def end_of(self, pieces: int) -> int:
        """Return how many bytes so many pieces are."""
        rounds, more = divmod(pieces, self._pieces)
        return rounds * self._bytes + self._ends[more]
