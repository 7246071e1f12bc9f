"""What the clients say, and what must be answered."""

import math
from collections.abc import Sequence
from typing import Final

from harness.oracle import GREETING, oracle

CYCLE: Final = 61
OWN_CYCLE: Final = 7
MOST_CLIENTS: Final = 100_000
"""So many can have lines of their own."""


def own_lines(client: int) -> list[bytes]:
    """Return lists that no other client asks, so that a question tells whose it is; all of one length, as their sums are."""
    first, second = divmod(client, 500)
    return [b"%d,%d,%d\n" % (400 + first, 500 + second, 100 + 11 * n) for n in range(OWN_CYCLE)]


class Script:
    """What the clients say, over and over, and what must be answered: lines and replies of one length each."""

    def __init__(self, line: str | None, pipeline: int, own: Sequence[bytes] = ()) -> None:
        """Work out the replies beforehand.

        Args:
            line: what every request is; None for a cycle of lists, at which each client begins at another place, so
                that a reply that went to the wrong client, was lost or came twice is noticed.
            pipeline: how many requests are sent at once at most.
            own: a cycle of lines to take instead.
        """
        if own:
            lines = [*own]
        elif line is None:
            # Three numbers of three digits whose sum has four: all lines, and all replies, are of one length.
            lines = [b"%d,%d,%d\n" % (334 + 7 * n, 998 - 5 * n, 350 + 10 * n) for n in range(CYCLE)]
        else:
            lines = [line.encode() + b"\n"]
        replies = [oracle(text).removeprefix(GREETING) for text in lines]
        self.pipeline = pipeline
        self.request_bytes = len(lines[0])
        self.reply_bytes = len(replies[0])
        self.cycle = len(lines)
        self.cycle_bytes = self.cycle * self.reply_bytes
        self.receive_bytes = max(64, pipeline * self.reply_bytes + 1)
        enough_requests = math.ceil(1 + pipeline / self.cycle)
        enough_replies = math.ceil(1 + self.receive_bytes / self.cycle_bytes)
        self.requests = b"".join(lines) * enough_requests
        self.replies = b"".join(replies) * enough_replies
        self.full_asks = [self.ask(first, pipeline) for first in range(self.cycle)]

    def ask(self, first: int, count: int) -> tuple[bytes, bytes, int, int]:
        """Return so many requests from one of the lines on, their replies, where these begin, and the line after."""
        at = first * self.reply_bytes
        return (
            self.requests[first * self.request_bytes : (first + count) * self.request_bytes],
            self.replies[at : at + count * self.reply_bytes],
            at,
            (first + count) % self.cycle,
        )
