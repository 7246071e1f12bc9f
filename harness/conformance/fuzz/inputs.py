"""What clients may send, for generated tests: lines, streams of lines, cuts of a stream into segments, conversations."""

import re
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from hypothesis import strategies as st

MOST_LINES: Final = 10
MOST_CUTS: Final = 10
MOST_AT_ONCE: Final = 3
MOST_STREAM_BYTES: Final = 24 * 1024
"""Small enough that the kernel holds it all for a server that does not read: no client ever waits to send."""

COMMANDS: Final = (b"sum", b"product", b"quit")
NEAR_MISSES: Final = (
    b"", b" ", b"\t", b"\r", b" sum", b"SUM", b"sum,1", b"su\rm", b"sums", b"pro duct", b"Product", b"quit now",
    b" quit", b"QUIT", b"quit\0", b"quit\r", b"sum\x0b", b"1,", b",1", b"1,,2", b",", b"1 2", b"1;2", b"1_0", b"--1", b"+-1",
    b"+", b"-", b"1-", b"- 1", b"0x1", b"1.0", b"1e3", b"nan", b"1\r,2", b"1\x0b,2", b"1\x0c", b"\x1c1", b"1\xc2\x85,2",
    b"1\xe2\x80\xa8", b"\xc2\xa01", b"\xd9\xa3", b"\xef\xbc\x91", b"\xc2\xb2", b"\xff\xfb\x01", b"\xef\xbb\xbf1", b"1\0", b"\xff",
)  # fmt: skip
ENDINGS: Final = (b"\n", b"\r\n", b"\r\r\n", b"\n\n", b" \n", b"\t\r\n", b"\r", b"")
LONG_LINE_BYTES: Final = (4095, 4096, 4097, 4098, 4099, 8193)
FILLERS: Final = (b"0", b"9", b"1,", b" ", b"\r", b"x", b"-", b"\xff")


class Pace(StrEnum):
    """What a client waits for after each segment."""

    NOTHING = "for nothing"
    READING = "until the server has read it"
    ANSWERS = "for the answers to all complete lines"


class Ending(Enum):
    """What a client does when it has sent everything."""

    FINISH = "ends its input, and reads to the end"
    RESET = "vanishes"
    CLOSE = "closes, whatever is on its way"


@dataclass(frozen=True)
class Conversation:
    """What one client does.

    Attributes:
        segments: what it sends, cut as it sends it; none is empty.
        pace: what it waits for in between.
        ending: how it leaves.
    """

    segments: tuple[bytes, ...]
    pace: Pace = Pace.NOTHING
    ending: Ending = Ending.FINISH


Encounter = tuple[Conversation, ...]
"""Clients that are there at once, in the order in which they come; they take turns to send a segment."""


integers = st.one_of(
    st.integers(-9, 9), st.integers(-(2**65), 2**65), st.integers(10**98, 10**100), st.integers(-(10**20), -1)
).map(lambda number: b"%d" % number)
blanks = st.sampled_from((b"", b"", b"", b" ", b"\t", b" \t "))
items = st.builds(
    lambda *parts: b"".join(parts),
    blanks,
    st.sampled_from((b"", b"", b"", b"+", b"00", b"-0")),
    integers,
    blanks,
).map(lambda item: item.replace(b"+-", b"+").replace(b"0-", b"0"))
number_lists = st.lists(items, min_size=1, max_size=6).map(b",".join)
commands = st.sampled_from(COMMANDS)
near_misses = st.sampled_from(NEAR_MISSES)
junk = st.binary(max_size=12)
spoilt_lists = st.builds(
    lambda listed, place, byte: listed[:place] + byte + listed[place:],
    number_lists, st.integers(0, 30), st.sampled_from((b"_", b".", b"\r", b"\0", b" ", b",", b"\x0b", b"\n")),
)  # fmt: skip
long_lines = st.builds(
    lambda filler, length, tail: (filler * length)[: length - len(tail)] + tail,
    st.sampled_from(FILLERS), st.sampled_from(LONG_LINE_BYTES), st.sampled_from((b"", b"7", b"\r", b" ", b",7")),
)  # fmt: skip

# Lists come first since examples shrink towards what comes first, and twice since most lines should make sense.
lines = st.one_of(
    number_lists,
    st.sampled_from(COMMANDS[:2]),
    near_misses,
    spoilt_lists,
    number_lists,
    junk,
    commands,
    long_lines,
)
endings = st.one_of(st.just(b"\n"), st.just(b"\r\n"), st.sampled_from(ENDINGS))
streams = st.lists(st.tuples(lines, endings).map(b"".join), max_size=MOST_LINES).map(
    lambda ended: b"".join(ended)[:MOST_STREAM_BYTES]
)


@st.composite
def cut(draw: st.DrawFn, wholes: st.SearchStrategy[bytes] = streams) -> tuple[bytes, ...]:
    """Cut a stream into segments: anywhere, and above all around the ends of lines."""
    whole = draw(wholes)
    if len(whole) < 2:
        return (whole,) if whole else ()
    around_ends = [
        place
        for end in re.finditer(rb"[\r\n]", whole)
        for place in (end.start(), end.end())
        if 0 < place < len(whole)
    ]
    places = st.integers(1, len(whole) - 1)
    if around_ends:
        places = st.one_of(places, st.sampled_from(around_ends))
    cuts = sorted(draw(st.sets(places, max_size=MOST_CUTS)))
    return tuple(whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True))


conversations = st.builds(
    Conversation,
    cut(),
    st.sampled_from(Pace),
    st.sampled_from((Ending.FINISH, Ending.FINISH, Ending.FINISH, Ending.RESET, Ending.CLOSE)),
)
encounters: st.SearchStrategy[Encounter] = st.lists(conversations, min_size=1, max_size=MOST_AT_ONCE).map(
    tuple
)
