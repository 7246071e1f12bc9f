"""One connection to the upstream, sans I/O: what is sent for a question, and when its answer is there.

Such a connection is shared by many clients, one after the other, and the upstream keeps a mode for it. So a session knows
that mode, and switches it together with the question that needs another. Numbers in brackets are clauses of `PROTOCOL.md`.
"""

import re
from typing import Final

from implementations.protocol import GREETING, TO_PRODUCT, TO_SUM, Question

MAX_ANSWER_BYTES: Final = 8192
"""The longest answer, its ending counted: whoever says more, says something else [9.5]."""

_SWITCHES: Final = {False: (b"sum\n", TO_SUM), True: (b"product\n", TO_PRODUCT)}
_ANSWERS: Final = {
    False: re.compile(rb"Sum of input numbers: '-?[0-9]+'\r\n"),
    True: re.compile(rb"Product of input numbers: '-?[0-9]+'\r\n"),
}


class NoAnswerError(ConnectionError):
    """What the upstream said is not the answer; this connection has no further use."""


class Session:
    """The conversation with the upstream over one connection: one question at a time.

    Attributes:
        reusable: the last question was answered, and nothing else was said: another one may follow.
    """

    def __init__(self) -> None:
        """Begin with an upstream that has still to greet."""
        self.reusable = False
        self._asked = False
        self._product_mode = False
        self._due = GREETING
        self._received = b""

    def ask(self, question: Question) -> bytes:
        """Return what to send, at once: the question, behind a switch if it needs the other mode [9.2]."""
        self.reusable, self._asked = False, True
        switch = b""
        if question.product_mode != self._product_mode:
            self._product_mode = question.product_mode
            switch, reply = _SWITCHES[question.product_mode]
            self._due += reply
        return switch + question.line + b"\n"

    def receive_data(self, data: bytes) -> bytes:
        """Take in what has come, cut anywhere; `b""` means that the upstream has hung up.

        Returns:
            The answer, as soon as it is complete; until then `b""`.

        Raises:
            NoAnswerError: there will be none.
        """
        if not data:
            raise NoAnswerError("it hung up")
        self._received += data
        due = self._due
        if not due.startswith(self._received[: len(due)]):
            raise NoAnswerError("it does not keep to the protocol")
        line, newline, beyond = self._received[len(due) :].partition(b"\n")
        if line + newline and not self._asked:
            raise NoAnswerError("it answers what nobody has asked")
        answer = line + newline
        if len(answer) + (not newline) > MAX_ANSWER_BYTES:
            raise NoAnswerError("its answer is too long")
        if not newline:
            return b""
        if not _ANSWERS[self._product_mode].fullmatch(answer):
            raise NoAnswerError("it answers something else")
        self._due = self._received = b""
        self.reusable, self._asked = not beyond, False
        return answer
