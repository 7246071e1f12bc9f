"""F: where lines begin and end."""

from itertools import product
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import ERROR, SEVEN, THREE, TO_SUM
from harness.conformance.target import Target
from harness.conformance.violations import Violation
from harness.oracle import GREETING, oracle

CASES: Final = Cases()
case = CASES.case

LONGEST: Final = b"0" * 4095 + b"7"
MEMORY_LIMIT_BYTES: Final = 8 * 1024 * 1024

FILLED: Final = (
    (b"1,2", b" ", b""), (b"", b"\t", b"1,2"), (b"-", b"0", b"7"), (b"1", b"0", b",2"), (b"sum", b" ", b""), (b"product", b"\t", b""),
    (b"quit", b" ", b""), (b"x", b"\xff", b""), (b"", b" ", b""), (b"", b"\r", b""), (b"1", b"\x00", b""),
)  # fmt: skip
"""Lines of every kind, as long as one likes: how each begins, what fills it, how it ends."""
LENGTHS: Final = (4095, 4096, 4097)


@case("1.1")
def f01_greeting(target: Target) -> None:
    """The greeting, byte for byte, before any input."""
    with target.connect() as peer:
        peer.expect(b"<welcome: starting in sum mode>\n")
        peer.fence()


@case("2.1")
def f02_lf(target: Target) -> None:
    """A line ends at LF."""
    target.answers(b"1,2\n", THREE)


@case("2.1")
def f03_cr_lf(target: Target) -> None:
    """One CR right before LF belongs to the ending."""
    target.answers(b"1,2\r\n", THREE)


@case("2.1")
def f04_cr_is_data(target: Target) -> None:
    """A CR anywhere else is data."""
    target.answers(b"1\r2\n1,2\r\r\n\r1\n", ERROR, ERROR, ERROR)


@case("2.1")
def f05_mixed_endings(target: Target) -> None:
    """LF and CR LF may be mixed."""
    target.answers(b"1,2\r\n1,2\n\r\n\n1,2\r\n", THREE, THREE, ERROR, ERROR, THREE)


@case("2.3")
def f06_many_lines_in_a_segment(target: Target) -> None:
    """Many lines in one segment are all answered, without further input."""
    with target.greeted() as peer:
        peer.exchange(b"1,2\n" * 50, THREE * 50)
        peer.fence()


@case("2.3")
def f07_byte_by_byte(target: Target) -> None:
    """A line may come a byte at a time."""
    with target.greeted() as peer:
        for byte in b"1,2\r\nproduct\n3,4\n":
            peer.send(bytes([byte]))
            peer.await_reading()
        peer.expect(THREE + b"<switching to product mode>\r\nProduct of input numbers: '12'\r\n")
        peer.fence(b"Product")


@case("2.3")
def f08_split_anywhere(target: Target) -> None:
    """Two lines may be cut into two segments anywhere, between CR and LF as well."""
    text = b"1,2\r\n-30,20\r\n"
    with target.greeted() as peer:
        for cut in range(1, len(text)):
            peer.send(text[:cut])
            peer.await_reading()
            peer.exchange(text[cut:], THREE, b"Sum of input numbers: '-10'\r\n")
        peer.fence()


@case("2.6")
def f09_last_line_without_lf(target: Target) -> None:
    """At the end of input a last line without LF is answered, then the server closes."""
    for last, reply in ((b"1,2", THREE), (b"1,2\r", THREE), (b"\r", ERROR), (b"x", ERROR)):
        with target.greeted() as peer:
            peer.send(b"3,4\n" + last)
            peer.half_close()
            peer.expect(SEVEN + reply)
            peer.expect_end()


@case("2.6")
def f10_immediate_half_close(target: Target) -> None:
    """A client that ends its input at once is closed, and the server's CPU is quiet."""
    with target.connect() as peer:
        peer.half_close()
        peer.greeted()
        peer.expect_end()
        if target.launched is not None:
            target.is_quiet()


@case("2.3, 2.6")
def f11_pipelined_then_half_close(target: Target) -> None:
    """1,000 lines and the end of input: 1,000 replies and the end."""
    with target.greeted() as peer:
        peer.send(b"".join(b"%d,%d\n" % (i, -1) for i in range(1000)))
        peer.half_close()
        peer.expect(b"".join(b"Sum of input numbers: '%d'\r\n" % (i - 1) for i in range(1000)))
        peer.expect_end()


@case("2.4")
def f12_longest_line(target: Target) -> None:
    """A line of exactly 4,096 bytes is answered, whatever its ending."""
    target.answers(LONGEST + b"\n" + LONGEST + b"\r\n", SEVEN, SEVEN)


@case("2.5")
def f13_line_too_long(target: Target) -> None:
    """A line of 4,097 bytes gets one ERROR, as soon as that is certain, and nothing more for the rest of it."""
    with target.greeted() as peer:
        peer.exchange(LONGEST + b"7", ERROR)
        peer.send(b"1,2")
        peer.await_reading()
        peer.exchange(b"\n1,2\n", THREE)
        peer.send(LONGEST + b"\r")  # the CR may belong to the ending
        peer.await_reading()
        peer.exchange(b"\n", SEVEN)
        peer.exchange(LONGEST + b"\r7\n" + LONGEST + b"7\r\n", ERROR, ERROR)
        peer.fence()


@case("2.5, 6.5")
def f14_ten_mebibytes_without_lf(target: Target) -> None:
    """10 MiB without LF get one ERROR and take no memory; the line after them is answered."""
    with target.greeted() as peer:
        peer.fence()
        before = target.resident_bytes() if target.launched is not None else 0
        for _ in range(160):
            peer.send(b"1" * 65536)
        peer.expect(ERROR)
        peer.exchange(b"\n1,2\n", THREE)
        if target.launched is not None and (grown := target.resident_bytes() - before) > MEMORY_LIMIT_BYTES:
            raise Violation(f"the server's memory grew by {grown:,} bytes")
        peer.fence()


@case("3.3")
def f15_nul(target: Target) -> None:
    """NUL is data."""
    target.answers(b"\x00\n1,\x002\n1,2\x00\n", ERROR, ERROR, ERROR)


@case("3.3")
def f16_invalid_utf8(target: Target) -> None:
    """Invalid UTF-8 gets ERROR, and the connection goes on."""
    target.answers(b"\xff\xfe\n\xc3\x28\n1,\x802\n\xed\xa0\x80\n", ERROR * 4)


@case("2.2")
def f17_other_separators(target: Target) -> None:
    """VT, FF, FS, NEL and U+2028 split no line."""
    separators = b"\x0b \x0c \x1c \x1d \x1e \x85 \xc2\x85 \xe2\x80\xa8 \xe2\x80\xa9".split(b" ")
    target.answers(b"".join(b"1,2%s3,4\n" % separator for separator in separators), ERROR * len(separators))


@case("3.3")
def f18_telnet_commands(target: Target) -> None:
    """Telnet's IAC bytes are data."""
    target.answers(b"\xff\xfd\x03\n\xff\xf4\xff\xfd\x061,2\n", ERROR, ERROR)


@case("3.2")
def f19_empty_lines(target: Target) -> None:
    """Empty and blank lines get ERROR."""
    target.answers(b"\n\r\n \n\t\t\r\n", ERROR * 4)


@case("2.5, 2.6")
def f20_too_long_at_the_end(target: Target) -> None:
    """The end of input answers nothing more for a line that was too long already."""
    with target.greeted() as peer:
        peer.send(LONGEST * 2)
        peer.half_close()
        peer.expect(ERROR)
        peer.expect_end()


@case("2.4, 2.5, 2.6")
def f21_every_kind_at_the_limit(target: Target) -> None:
    """A line of every kind may have 4,096 bytes and no more, blanks counted, with every ending and at the end of input."""
    lines = [
        head + filler * (length - len(head) - len(tail)) + tail
        for (head, filler, tail), length in product(FILLED, LENGTHS)
    ]
    with target.greeted() as peer:
        for line, ending in product(lines, (b"\n", b"\r\n")):
            if not line.startswith(b"quit"):
                peer.exchange(b"sum\n" + line + ending, answered(b"sum\n" + line + ending))
        peer.exchange(b"sum\n", TO_SUM)
        peer.fence()
    for line, ending in product(lines, (b"", b"\r")):
        with target.greeted() as peer:
            peer.send(line + ending)
            peer.half_close()
            peer.expect(answered(line + ending))
            peer.expect_end()


def answered(sent: bytes) -> bytes:
    """Return what answers the first that a client sends."""
    return oracle(sent).removeprefix(GREETING)
