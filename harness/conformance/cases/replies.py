"""What servers answer, as the cases write it: byte for byte, from the specification."""

from typing import Final

ERROR: Final = b"ERROR. Enter only integers separated by commas\n"
TO_SUM: Final = b"<switching to sum mode>\r\n"
TO_PRODUCT: Final = b"<switching to product mode>\r\n"
GOODBYE: Final = b"connection closed\r\n"


def sums(*totals: int) -> bytes:
    """Return the replies in sum mode."""
    return b"".join(b"Sum of input numbers: '%d'\r\n" % total for total in totals)


def products(*totals: int) -> bytes:
    """Return the replies in product mode."""
    return b"".join(b"Product of input numbers: '%d'\r\n" % total for total in totals)


THREE: Final = sums(3)
SEVEN: Final = sums(7)
