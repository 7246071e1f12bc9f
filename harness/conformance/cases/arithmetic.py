"""A: which lines are lists, and what they come to."""

from collections.abc import Iterable
from itertools import cycle, product
from math import prod
from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import ERROR, GOODBYE, TO_PRODUCT, TO_SUM, products, sums
from harness.conformance.target import Target
from harness.oracle import oracle, replies

CASES: Final = Cases()
case = CASES.case

TEXTS: Final = (b"12,3", b"sum", b"product", b"quit")
STRAY: Final = b"\r \t\x0b\x00"
"""What programs take away at the ends of a line, rightly or wrongly."""
BLANKS: Final = (b"", b" ", b"\t", b" \t ")
AROUND_POWERS: Final = tuple(sorted({2**power + more for power in range(12) for more in (-1, 0, 1)} - {0}))
LONGEST_LINE_BYTES: Final = 4096
LINES_AT_ONCE: Final = 256


@case("3.2")
def a01_list(target: Target) -> None:
    """A list of integers is added up."""
    target.answers(b"1,2\n4,9\n1,2,3,4,5,6,7,8,9,10\n", sums(3, 13, 55))


@case("3.2")
def a02_single_item(target: Target) -> None:
    """A single integer is a list."""
    target.answers(b"7\n0\nproduct\n7\n", sums(7, 0), TO_PRODUCT, products(7), mode=b"Product")


@case("3.2")
def a03_negatives(target: Target) -> None:
    """Integers may be negative."""
    target.answers(
        b"-1\n-3,-4,5\nproduct\n5,-9,10\n", sums(-1, -2), TO_PRODUCT, products(-450), mode=b"Product"
    )


@case("3.2")
def a04_zeros(target: Target) -> None:
    """`-0` and `007` are integers."""
    target.answers(b"-0\n007\n000,-000\n" + b"0" * 100 + b"1\n", sums(0, 7, 0, 1))


@case("3.2")
def a05_plus(target: Target) -> None:
    """`+5` is an integer; a sign alone, or two, are not."""
    target.answers(b"+5\n+5,-5,+0\n+\n-\n+-5\n++5\n5+\n5-5\n", sums(5, 0), ERROR * 6)


@case("3.1, 3.2")
def a06_blanks(target: Target) -> None:
    """Spaces and tabs may stand around an item, not within it."""
    target.answers(b" 1 ,\t2\t\n\t 3,4 \t \r\n1 2\n- 1\n1, ,2\n", sums(3, 7), ERROR * 3)


@case("3.2")
def a07_underscores(target: Target) -> None:
    """`1_0` is no integer."""
    target.answers(b"1_0\n1_000,1\n", ERROR * 2)


@case("3.2")
def a08_other_digits(target: Target) -> None:
    """Digits that are not ASCII are no digits."""
    digits = [digit.encode() for digit in ("\u0663", "\uff11", "\u0969", "\u00b2", "\u2167")]
    target.answers(b"".join(b"%s\n1,%s\n" % (digit, digit) for digit in digits), ERROR * 2 * len(digits))


@case("3.2")
def a09_other_blanks(target: Target) -> None:
    """White space that is neither space nor tab makes an item no integer."""
    blanks = (b"\x0b", b"\x0c", b"\x1f", b"\xa0", b"\xc2\xa0", b"\xe2\x80\x83", b"\xef\xbb\xbf")
    lines = b"".join(b"%s1,2\n1,%s2\n1,2%s\n" % (blank, blank, blank) for blank in blanks)
    target.answers(lines, ERROR * 3 * len(blanks))


@case("3.2")
def a10_empty_items(target: Target) -> None:
    """Every comma has an integer on both sides."""
    target.answers(b"1,\n,1\n1,,2\n,\n,,\n", ERROR * 5)


@case("3.2")
def a11_other_notations(target: Target) -> None:
    """Floats, exponents, other bases and double signs are no integers."""
    lines = b"1.0\n1.\n1e3\n0x1\n0b1\n0o7\n--1\n1L\n1;2\n1/2\nNone\nTrue\ninf\nnan\n()\n[1]\n1 # one\n"
    target.answers(lines, ERROR * lines.count(b"\n"))


@case("3.2")
def a12_product_with_zero(target: Target) -> None:
    """A product with zero is zero, without a sign."""
    target.answers(b"product\n0,-3\n-0\n5,0\n", TO_PRODUCT, products(0, 0, 0), mode=b"Product")


@case("3.4")
def a13_beyond_machine_words(target: Target) -> None:
    """Integers are exact around 2^63 and 2^64, and at 100 digits."""
    bases = (2**31, 2**32, 2**53, 2**63, 2**64, 10**100)
    numbers = [number for base in bases for number in (base - 1, base, -base - 1)]
    target.answers(
        b"".join(b"%d,1\n" % number for number in numbers)
        + b"product\n"
        + b"".join(b"%d,-1\n" % number for number in numbers),
        sums(*(number + 1 for number in numbers)),
        TO_PRODUCT,
        products(*(-number for number in numbers)),
        mode=b"Product",
    )


@case("2.4, 3.4")
def a14_longest_integer(target: Target) -> None:
    """An integer of 4,096 digits is answered digit for digit."""
    digits = b"9" * 4096
    target.answers(digits + b"\n", b"Sum of input numbers: '" + digits + b"'\r\n")


@case("2.4, 3.4")
def a15_largest_product(target: Target) -> None:
    """The largest product that fits a line is answered digit for digit."""
    half = 10**2046 + 7
    nines = b",".join([b"9"] * 2048)
    target.answers(
        b"product\n%d,%d\n%s\n" % (half, half, nines), TO_PRODUCT, products(half**2, 9**2048), mode=b"Product"
    )


@case("3.5")
def a16_error_changes_nothing(target: Target) -> None:
    """ERROR leaves the mode and the connection as they are."""
    target.answers(
        b"x\n1,2\nproduct\nx\n3,4\n", ERROR, sums(3), TO_PRODUCT, ERROR, products(12), mode=b"Product"
    )


@case("3.2")
def a17_every_length_and_every_sign(target: Target) -> None:
    """Lists of every length up to 40, of every sign, are added up and multiplied."""
    signs = ((1,), (-1,), (1, -1), (-1, 1))
    lists = [
        [sign * number for sign, number in zip(cycle(pattern), range(2, 2 + length), strict=False)]
        for length in range(1, 41)
        for pattern in signs
    ]
    lines = b"".join(b"%s\n" % b",".join(b"%d" % number for number in numbers) for numbers in lists)
    with target.greeted() as peer:
        peer.exchange(lines, sums(*map(sum, lists)))
        peer.exchange(b"product\n" + lines, TO_PRODUCT, products(*map(prod, lists)))


@case("2.2, 3.1, 3.2, 3.3")
def a18_every_byte_everywhere(target: Target) -> None:
    """Every byte, anywhere in a list or a command, is what the specification makes of it; so are several around it."""
    inserted = [
        text[:place] + bytes([byte]) + text[place:]
        for text in TEXTS
        for place in range(len(text) + 1)
        for byte in range(256)
        if byte != ord("\n")
    ]
    around = [
        line
        for text in TEXTS
        for several in (bytes(each) for count in (2, 3) for each in product(STRAY, repeat=count))
        for line in (several + text, text + several)
    ]
    check_lines(target, (*inserted, *around))


@case("3.2")
def a19_every_form_of_an_item(target: Target) -> None:
    """An item may have blanks before and behind it, a sign and leading zeros, wherever it stands, in both modes."""
    forms = product(BLANKS, (b"", b"+", b"-"), (b"0", b"7", b"007", b"10"), BLANKS)
    lines = [
        line
        for item in map(b"".join, forms)
        for line in (item, item + b",5", b"-5," + item, b"5,%s,2" % item)
    ]
    check_lines(target, (b"sum", *lines, b"product", *lines))


@case("2.4, 3.4")
def a20_every_size(target: Target) -> None:
    """Integers of up to 4,095 digits, and lists of up to 2,048 integers, of either sign, in both modes."""
    digits = [sign + b"9" * count for count in (*AROUND_POWERS, 4095) for sign in (b"", b"-")]
    lists = [b",".join([one] * count) for count in AROUND_POWERS for one in (b"1", b"-1")]
    lines = [line for line in (*digits, *lists) if len(line) <= LONGEST_LINE_BYTES]
    check_lines(target, (b"sum", *lines, b"product", *lines))


def check_lines(target: Target, lines: Iterable[bytes]) -> None:
    """Send lines, some of them at once, and compare what answers each with the oracle; `quit` is left out."""
    kept = [line + b"\n" for line in lines if not oracle(line).endswith(GOODBYE)]
    _, *expected = replies(b"".join(kept))
    with target.greeted() as peer:
        for start in range(0, len(kept), LINES_AT_ONCE):
            end = start + LINES_AT_ONCE
            peer.exchange(b"".join(kept[start:end]), *expected[start:end])
        peer.exchange(b"sum\n", TO_SUM)
        peer.fence()
