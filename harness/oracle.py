"""What a conforming server answers, worked out anew from the specification: nothing here comes from the servers."""

import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Final

GREETING: Final = b"<welcome: starting in sum mode>\n"
"""What a client is greeted with, before it has said anything."""

NO_ANSWER: Final = b"ERROR. No answer from upstream\n"
"""What a relay answers to a list where its upstream has no answer."""

_ITEM = rb"[ \t]*[+-]?[0-9]+[ \t]*"
_LIST = re.compile(_ITEM + rb"(?:," + _ITEM + rb")*")
_LONGEST = 4096
_SUM, _PRODUCT = b"Sum", b"Product"
_GOODBYE = b"connection closed\r\n"
_NOT_UNDERSTOOD = b"ERROR. Enter only integers separated by commas\n"

_LONGEST_NUMBER = 4300
sys.set_int_max_str_digits(_LONGEST_NUMBER)  # CPython's own limit, set here lest an environment changes it


def oracle(sent: bytes) -> bytes:
    """Return all that a client receives that sends these bytes, ends its input, and reads to the end.

    Whatever a client has received at any earlier moment is a prefix of this.
    """
    return b"".join(replies(sent))


def replies(sent: bytes) -> Iterator[bytes]:
    """Return the same, greeting and replies one by one, for whoever does not need all of them."""
    yield GREETING
    word = _SUM
    for match in re.finditer(rb"[^\n]*\n|[^\n]+", sent):
        reply, word = _answer(match[0], word)
        yield reply
        if reply == _GOODBYE:
            break


@lru_cache(maxsize=1024)  # whoever floods says the same again and again
def _answer(line: bytes, word: bytes) -> tuple[bytes, bytes]:
    """Return the reply to a line, and the word for the mode that is on after it."""
    text = line.removesuffix(b"\n").removesuffix(b"\r")
    command = text.rstrip(b" \t")
    if len(text) > _LONGEST:
        return _NOT_UNDERSTOOD, word
    if command == b"quit":
        return _GOODBYE, word
    if command == b"sum":
        return b"<switching to sum mode>\r\n", _SUM
    if command == b"product":
        return b"<switching to product mode>\r\n", _PRODUCT
    if _LIST.fullmatch(text):
        numbers = [int(item.strip(b" \t")) for item in text.split(b",")]
        result = sum(numbers) if word == _SUM else prod(numbers)
        return word + b" of input numbers: '" + str(result).encode() + b"'\r\n", word
    return _NOT_UNDERSTOOD, word
