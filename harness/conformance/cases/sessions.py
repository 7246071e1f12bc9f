"""S: modes, quit, and what belongs to one connection."""

import time
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final

from harness.conformance.case import STRICT, Cases
from harness.conformance.cases.replies import ERROR, GOODBYE, TO_PRODUCT, TO_SUM
from harness.conformance.peer import SMALL_BUFFER_BYTES, Peer
from harness.conformance.target import Target
from harness.oracle import GREETING, oracle

CASES: Final = Cases()
case = CASES.case

LONGEST_LINE_BYTES: Final = 4096
LONG_LINE_BYTES: Final = 3000
"""Less than the last reply has, so that this one meets the kernel's limit for some number of lines."""
WAITING_LINES: Final = 12
"""Their replies are more than the kernel takes for a client that does not read, if the server limits what is unsent."""
TIME_TO_ANSWER_S: Final = 0.05


MODES: Final = (b"sum\n", b"product\n")
KINDS: Final = (
    b"1,2\n", b"7\n", b"-3,4,-5\n", b"+5,-0\n", b" 6\t, 7 \r\n", b"0,9\n", b"%d,-2\n" % 10**40, b"2,3,5,7,11,13\n",
    b"\n", b"x\n", b"1,,2\n", b"1 2\n", b"\xff\n", b"SUM\n", b"products\n", b"sum \t\n", b"product\n", b"9" * 5000 + b"\n",
)  # fmt: skip
"""Lines of every kind but `quit`: lists of each length and sign that matters, what is none, and the commands."""
GOODBYES: Final = (b"quit\n", b"quit \t\n")
CUT: Final = (b"2,4\n", b"-3,5\r\n", b"x\n", b"\n", b"sum\n", b"product\n", b"9" * 5000 + b"\n")
"""Lines of which the last tenth, at least their LF, comes later."""


@case("3.6")
def s01_product_mode(target: Target) -> None:
    """`product` switches to product mode."""
    target.answers(b"product\n2,4\n", TO_PRODUCT, b"Product of input numbers: '8'\r\n", mode=b"Product")


@case("3.6")
def s02_sum_mode(target: Target) -> None:
    """`sum` switches back to sum mode."""
    target.answers(b"product\nsum\n2,4\n", TO_PRODUCT, TO_SUM, b"Sum of input numbers: '6'\r\n")


@case("3.6")
def s03_sum_in_sum_mode(target: Target) -> None:
    """Switching to sum mode in sum mode is answered all the same."""
    target.answers(b"sum\nsum\n", TO_SUM, TO_SUM)


@case("3.6")
def s04_product_in_product_mode(target: Target) -> None:
    """Switching to product mode in product mode is answered all the same."""
    target.answers(b"product\nproduct\n", TO_PRODUCT, TO_PRODUCT, mode=b"Product")


@case("3.7, 4.1")
def s05_quit(target: Target) -> None:
    """`quit` gets the goodbye, then the server closes; trailing blanks and CR LF do not matter."""
    for line in (b"quit\n", b"quit\r\n", b"quit \t \r\n"):
        with target.greeted() as peer:
            peer.exchange(line, GOODBYE)
            peer.expect_end()


@case("3.7")
def s06_lines_after_quit(target: Target) -> None:
    """After `quit` nothing more is answered, be it lines, half a line or one that is too long."""
    for rest in (b"3,4\nproduct\nquit\n", b"3,4", b"9" * 5000, b"9" * 5000 + b"\n1\n"):
        with target.greeted() as peer:
            peer.exchange(b"1,2\nquit\n" + rest, b"Sum of input numbers: '3'\r\n", GOODBYE)
            peer.expect_end()


@case("3.1")
def s07_near_misses(target: Target) -> None:
    """Commands are exact and in lower case."""
    lines = b" quit\nQUIT\nQuit\nquit now\nquit,\nquits\n sum\nSUM\nsum 1,2\n\tproduct\nProduct\nprod\nsum product\nexit\n"
    target.answers(lines, ERROR * lines.count(b"\n"))


@case("3.6")
def s08_new_connection(target: Target) -> None:
    """A new connection starts in sum mode, whatever the one before it did."""
    with target.greeted() as peer:
        peer.exchange(b"product\nquit\n", TO_PRODUCT, GOODBYE)
        peer.expect_end()
    target.answers(b"2,4\n", b"Sum of input numbers: '6'\r\n")


@case("3.6")
def s09_modes_are_isolated(target: Target) -> None:
    """Each of two interleaved clients has its own mode and its own unfinished line."""
    with target.greeted() as one, target.connect() as other:
        if target.serves_several:
            other.greeted()
        one.exchange(b"product\n2,", TO_PRODUCT)
        other.send(b"2,4\n3,")
        one.exchange(b"5\n2,4\n", b"Product of input numbers: '10'\r\nProduct of input numbers: '8'\r\n")
        one.exchange(b"quit\n", GOODBYE)
        one.expect_end()
        one.close()
        if not target.serves_several:
            other.greeted()
        other.exchange(b"4\n", b"Sum of input numbers: '6'\r\nSum of input numbers: '7'\r\n")
        other.fence()


@case("6.6")
def s10_vanished_client(target: Target) -> None:
    """A client that closes without `quit`, inside a line, harms nobody."""
    for left_behind in (b"", b"1,2", b"1,2\n3"):
        with target.greeted() as peer:
            peer.send(left_behind)
    target.answers(b"1,2\n", b"Sum of input numbers: '3'\r\n")


@case("4.1", level=STRICT)
def s11_goodbye_survives_unread_input(target: Target) -> None:
    """The goodbye arrives even if input is left unread."""
    for _ in range(5):
        with target.greeted() as peer:
            peer.exchange(b"quit\n" + b"1,2\n" * 50_000, GOODBYE)
            peer.half_close()
            peer.expect_end()
            peer.expect_delivery()


@case("2.3")
def s12_ten_thousand_lines(target: Target) -> None:
    """10,000 lines on one connection are answered one by one."""
    with target.greeted() as peer:
        for first in range(0, 10_000, 100):
            lines = b"".join(b"%d,%d\n" % (number, number * number) for number in range(first, first + 100))
            greeting = len(oracle(b""))
            peer.exchange(lines, oracle(lines)[greeting:])
        peer.fence()


@case("2.6, 6.6")
def s13_half_close_of_a_slow_reader(target: Target) -> None:
    """A client that ends its input while replies wait for it gets them all, however much waits; nothing is logged."""
    last = b"2" * LONGEST_LINE_BYTES
    for lines in range(WAITING_LINES):
        sent = (b"1" * LONG_LINE_BYTES + b"\n") * lines + last
        with target.connect(SMALL_BUFFER_BYTES) as slow:
            slow.greeted().send(sent)
            slow.half_close()
            time.sleep(TIME_TO_ANSWER_S)  # to be slow is what this client is for
            slow.expect(oracle(sent)[len(GREETING) :])
            slow.expect_end()


@case("3.2, 3.6, 3.7")
def s14_every_kind_of_line_after_every_kind(target: Target) -> None:
    """Every kind of line is answered the same after every kind of line, in both modes."""
    with target.greeted() as peer:
        for mode, first in product(MODES, KINDS):
            lines = [mode + first + second for second in KINDS]
            peer.exchange(b"".join(lines), *map(answered, lines))
        peer.exchange(b"sum\n", TO_SUM)
        peer.fence()


@case("2.5, 2.6, 3.7")
def s15_every_kind_of_line_at_the_end(target: Target) -> None:
    """Every kind of line is answered in both modes if it is the last one, with its LF, without, or after a CR."""
    for mode, kind, end in product(MODES, (*KINDS, *GOODBYES), (b"\n", b"", b"\r")):
        with target.greeted() as peer:
            peer.send(mode + kind.removesuffix(b"\n") + end)
            peer.half_close()
            peer.expect(answered(mode + kind.removesuffix(b"\n") + end))
            peer.expect_end()


def answered(lines: bytes) -> bytes:
    """Return what answers lines of which the first chooses the mode."""
    return oracle(lines).removeprefix(GREETING)


@case("3.6, 6.6")
def s16_lines_in_turns(target: Target) -> None:
    """Two clients whose lines of every kind come by halves, in turns, know nothing of each other's."""
    pairs = list(product(CUT, repeat=2))
    with target.greeted() as one, target.connect() as other:
        steps = by_halves(one, [b"product\n" + first for first, _ in pairs])
        others_steps = by_halves(other, [b"sum\n" + second for _, second in pairs])
        if target.serves_several:
            other.greeted()
            for _ in zip(steps, others_steps, strict=True):
                pass
        else:
            for _ in steps:
                pass
            one.close()
            other.greeted()
            for _ in others_steps:
                pass


def by_halves(peer: Peer, texts: Iterable[bytes]) -> Iterator[None]:
    """Send each text but for its end; send that, and expect the answer: a step each."""
    for text in texts:
        cut = len(text) - max(1, len(text) // 10)
        peer.send(text[:cut])
        peer.await_reading()
        yield
        peer.exchange(text[cut:], answered(text))
        yield
