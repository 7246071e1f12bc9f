"""How far two clocks are apart: NTP's four times, the best of many exchanges. Pure: it reads no clock.

A message leaves here at one time and arrives there at another; its answer likewise. If both take as long, the offset follows
exactly; however unlike they are, it is known to half of what both took together, so that the quickest exchange tells most
(Mills 1991).
"""

from collections.abc import Iterable

from harness.plan import Record

Exchange = tuple[int, int, int, int]
"""Sent by our clock, received and answered by theirs, heard by ours; in ns."""


class ClockOffset(Record, frozen=True):
    """How far their clock is ahead of ours, and by how much that may be wrong."""

    offset_ns: int
    error_ns: int


def offset_of(exchange: Exchange) -> ClockOffset:
    """Return what one exchange tells."""
    sent_ns, received_ns, answered_ns, heard_ns = exchange
    on_the_way_ns = (heard_ns - sent_ns) - (answered_ns - received_ns)
    offset_ns = (received_ns - sent_ns + answered_ns - heard_ns) // 2
    return ClockOffset(offset_ns, on_the_way_ns // 2 + 1)


def best_of(exchanges: Iterable[Exchange]) -> ClockOffset:
    """Return what the quickest exchange tells."""
    return min(map(offset_of, exchanges), key=lambda found: found.error_ns)


def moved_ns(before: ClockOffset, after: ClockOffset) -> int:
    """Return by how much their clock has certainly moved against ours: what the errors of both looks do not explain."""
    apart_ns = abs(after.offset_ns - before.offset_ns)
    return max(0, apart_ns - before.error_ns - after.error_ns)
