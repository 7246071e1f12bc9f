"""An encounter as a person tries it again: a line for the shell where it is short, else Python literals."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from harness.conformance.fuzz.inputs import Conversation, Encounter, Ending
from harness.conformance.shell import shell_line

WIDTH: Final = 96
RUN: Final = re.compile(rb"(?s)(..?)\1{15,}")
"""What is repeated: a byte or two."""
PIECE_COLUMNS: Final = 72


def reproducer(encounter: Encounter, endpoint: str) -> str:
    """Say how to do the same to a server at `HOST PORT`; no line is longer than WIDTH."""
    if len(encounter) == 1 and encounter[0].ending is Ending.FINISH and encounter[0].segments:
        line = shell_line(encounter[0].segments, endpoint)
        if len(line) <= WIDTH:
            return line
    return "\n".join(
        f"client {number}: waits {conversation.pace}; {conversation.ending.value}\n{_literal(conversation)}"
        for number, conversation in enumerate(encounter, 1)
    )


def _literal(conversation: Conversation) -> str:
    """Write its segments as a list, one on a line or more."""
    if not conversation.segments:
        return "  []"
    lines = [line for segment in conversation.segments for line in _filled([*_pieces(segment)])]
    return "\n".join(["  [", *(f"    {line}" for line in lines), "  ]"])


def _filled(pieces: Sequence[str]) -> Iterator[str]:
    line = pieces[0]
    for piece in pieces[1:]:
        if len(line) + len(piece) + len("     + ,") > WIDTH:
            yield line
            line = f"+ {piece}"
        else:
            line += f" + {piece}"
    yield f"{line},"


def _pieces(data: bytes) -> Iterator[str]:
    """Cut bytes into literals, long runs of the same written as products."""
    start = 0
    for run in RUN.finditer(data):
        yield from _plain(data[start : run.start()])
        yield f"{run[1]!r} * {len(run[0]) // len(run[1])}"
        start = run.end()
    yield from _plain(data[start:])


def _plain(data: bytes) -> Iterator[str]:
    while data:
        length = len(data)
        while len(repr(data[:length])) > PIECE_COLUMNS:
            length //= 2
        yield repr(data[:length])
        data = data[length:]
