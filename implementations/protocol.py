"""The calculator protocol, sans I/O: bytes in, bytes out; no socket, no clock, no lock.

What a line is and what it is answered stands here, once, for all servers. What a server does about
waiting, stopping and slow readers is its concurrency model, and stands in the model's own file.
`PROTOCOL.md` is the specification; numbers in brackets are its clauses.
"""

import re
from collections import deque
from math import prod
from typing import Final, NamedTuple

MAX_LINE_BYTES: Final = 4096
"""The longest line, its ending not counted [2.4]."""

GREETING: Final = b"<welcome: starting in sum mode>\n"
TO_SUM: Final = b"<switching to sum mode>\r\n"
TO_PRODUCT: Final = b"<switching to product mode>\r\n"
GOODBYE: Final = b"connection closed\r\n"
ERROR: Final = b"ERROR. Enter only integers separated by commas\n"
NO_ANSWER: Final = b"ERROR. No answer from upstream\n"
"""What a relay answers where the upstream has none [9.5]."""

_LIST_BYTES: Final = b"0123456789+-, \t"
_LIST: Final = re.compile(rb"[ \t]*[+-]?[0-9]+[ \t]*(,[ \t]*[+-]?[0-9]+[ \t]*)*")


class Question(NamedTuple):
    """What a relay asks another calculator: a client's list, without its ending, in the mode of this client."""

    product_mode: bool
    line: bytes


class Connection:
    """One client's side of the conversation: feed it what arrived, send what it returns.

    Attributes:
        greeting: what the client gets when its service begins [1.1].
        lines_completed: how many lines have ended so far, answered or not; an idle clock
            restarts when this has grown [6.2].
        closed: the conversation is over (after `quit`, or at the end of input): send the
            last replies, then hang up.
        question: what a relay has to ask before anything further can be answered; who calculates has none.
    """

    greeting: Final = GREETING
    question: Question | None = None

    def __init__(self) -> None:
        """Begin in sum mode [3.6]."""
        self.lines_completed = 0
        self.closed = False
        self._product_mode = False
        self._unfinished = b""
        self._discarding = False

    def receive_data(self, data: bytes) -> bytes:
        """Take in a chunk of input, cut anywhere; `b""` means the end of input.

        Any bytes are legal input and no exception is ever raised for them.

        Returns:
            The replies to all lines that this chunk completed, in order; `b""` if none.
        """
        if self.closed:
            return b""
        if not data:
            return self._end_of_input()
        if self._discarding:
            _, newline, data = data.partition(b"\n")
            if not newline:
                return b""
            self._discarding = False
            self.lines_completed += 1
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        replies = []
        for line in lines:
            replies.append(self.answer(line))
            if self.closed:
                break
        else:
            if _is_certainly_too_long(self._unfinished):
                replies.append(ERROR)
                self._unfinished = b""
                self._discarding = True
        self.lines_completed += len(lines)
        return b"".join(replies)

    def receive_answer(self, answer: bytes) -> bytes:
        """Take in the answer to the question; return it, and the replies to what follows, up to the next question."""
        self.question = None
        return answer

    def answer(self, line: bytes) -> bytes:
        """Answer one complete line, given without its LF [3]."""
        line = line.removesuffix(b"\r")
        if len(line) > MAX_LINE_BYTES:
            return ERROR
        # The integers first: nearly every line is a list. int() alone would accept `1_0` or U+0663.
        if not line.translate(None, _LIST_BYTES):
            numbers = map(int, line.split(b","))
            try:
                if self._product_mode:
                    return b"Product of input numbers: '%d'\r\n" % prod(numbers)
                return b"Sum of input numbers: '%d'\r\n" % sum(numbers)
            except ValueError:
                return ERROR
        match line.rstrip(b" \t"):
            case b"sum":
                self._product_mode = False
                return TO_SUM
            case b"product":
                self._product_mode = True
                return TO_PRODUCT
            case b"quit":
                self.closed = True
                return GOODBYE
            case _:
                return ERROR

    def _end_of_input(self) -> bytes:
        reply = self.answer(self._unfinished) if self._unfinished else b""
        self.closed = True
        return reply


class Relay(Connection):
    """A connection that calculates nothing: each list becomes a question, and all else waits until that is answered [9]."""

    def __init__(self) -> None:
        """Begin with nothing to ask."""
        super().__init__()
        self._pieces: deque[bytes] = deque()

    def receive_data(self, data: bytes) -> bytes:
        """Take in a chunk, but answer only what comes before its first list: ask `question`, and the rest follows."""
        self._pieces.extend(data.splitlines(keepends=True) or [b""])
        return self._go_on()

    def receive_answer(self, answer: bytes) -> bytes:
        """Go on behind the question."""
        return super().receive_answer(answer) + self._go_on()

    def answer(self, line: bytes) -> bytes:
        """Make a question of a list, which has no reply yet."""
        text = line.removesuffix(b"\r")
        if len(text) > MAX_LINE_BYTES or not _LIST.fullmatch(text):
            return super().answer(line)
        self.question = Question(self._product_mode, text)
        return b""

    def _go_on(self) -> bytes:
        replies = []
        while self._pieces and not self.question:  # no piece holds more than one line
            replies.append(super().receive_data(self._pieces.popleft()))
        return b"".join(replies)


def _is_certainly_too_long(unfinished: bytes) -> bool:
    """Tell whether no ending could make this a legal line: one CR at its end may yet belong to the ending."""
    return len(unfinished) > MAX_LINE_BYTES + unfinished.endswith(b"\r")
