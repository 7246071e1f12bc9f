"""How clients in the background behave, kind by kind."""

from dataclasses import dataclass
from typing import Final

from harness.plan import COSTLY, FLOOD, IDLE, SLOW_READERS, TRICKLE

CHUNK_BYTES: Final = 64 * 1024
ENDLESS: Final = 1 << 40
"""So many lines ahead is as many as the server lets one say."""
LIST: Final = b"334,998,350\n"
LONG_PRODUCT: Final = b"%s,%s\n" % (b"7" * 2047, b"9" * 2047)
"""Among the dearest lines that there are: two numbers of 2,047 digits, read, multiplied and written."""


@dataclass(frozen=True)
class Manner:
    """How the clients of a kind behave.

    Attributes:
        lines: what each of them says, over and over.
        prologue: what it says before anything else; it is answered before the measurement.
        ahead: how many lines it says before the first of them is answered.
        says_bytes, says_every_s: so much at a time; every so often, or, if that is 0, whenever it can.
        hears_bytes, hears_every_s: likewise.
        receive_buffer_bytes: SO_RCVBUF; None leaves it to the kernel.
        rushes: what all say at once in the beginning keeps the server busy for a while, and is not what they are there for.
    """

    lines: tuple[bytes, ...] = (LIST,)
    prologue: bytes = b""
    ahead: int = 1
    says_bytes: int = CHUNK_BYTES
    says_every_s: float = 0.0
    hears_bytes: int = CHUNK_BYTES
    hears_every_s: float = 0.0
    receive_buffer_bytes: int | None = None
    rushes: bool = False


MANNERS: Final = {
    IDLE: Manner(ahead=0),
    # Empty lines, since no others get so much reply for so little of the server's time: each asks for some 100 KB, and
    # reads 20 KB a second. All together are answered 90,000 lines a second, some twentieth of what a server can do.
    SLOW_READERS: Manner(
        lines=(LIST, *[b"\n"] * 63),
        ahead=2048,
        hears_bytes=4096,
        hears_every_s=0.2,
        receive_buffer_bytes=4096,
        rushes=True,
    ),
    TRICKLE: Manner(ahead=2, says_bytes=1, says_every_s=0.05),
    COSTLY: Manner(lines=(LONG_PRODUCT,), prologue=b"product\n"),
    FLOOD: Manner(ahead=ENDLESS),
}
