"""What a conforming server answers, worked out anew from the specification: nothing here comes from the servers."""

import re
from collections.abc import Iterator
from math import prod
from typing import Final

GREETING: Final = b"<welcome: starting in sum mode>\n"
"""What a client is greeted with, before it has said anything."""

_ITEM = rb"[ \t]*[+-]?[0-9]+[ \t]*"
_LIST = re.compile(_ITEM + rb"(?:," + _ITEM + rb")*")
_LONGEST = 4096
_NOT_UNDERSTOOD = b"ERROR. Enter only integers separated by commas\n"


def oracle(sent: bytes) -> bytes:
    """Return all that a client receives that sends these bytes, ends its input, and reads to the end.

    Whatever a client has received at any earlier moment is a prefix of this.
    """
    return b"".join(replies(sent))


def replies(sent: bytes) -> Iterator[bytes]:
    """Return the same, greeting and replies one by one, for whoever does not need all of them."""
    yield GREETING
    word = b"Sum"
    for match in re.finditer(rb"[^\n]*\n|[^\n]+", sent):
        line = match[0]
        text = re.sub(rb"\r?\n?\Z", b"", line, count=1)
        command = text.rstrip(b" \t")
        if len(text) > _LONGEST:
            yield _NOT_UNDERSTOOD
        elif command == b"quit":
            yield b"connection closed\r\n"
            break
        elif command == b"sum":
            word = b"Sum"
            yield b"<switching to sum mode>\r\n"
        elif command == b"product":
            word = b"Product"
            yield b"<switching to product mode>\r\n"
        elif _LIST.fullmatch(text):
            numbers = [int(item.strip(b" \t")) for item in text.split(b",")]
            result = sum(numbers) if word == b"Sum" else prod(numbers)
            yield word + b" of input numbers: '" + str(result).encode() + b"'\r\n"
        else:
            yield _NOT_UNDERSTOOD
