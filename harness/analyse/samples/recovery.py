"""When a server had recovered from an overload."""

from collections.abc import Sequence


def recovered_after_s(slices_ns: Sequence[int], length_s: float, limit_ns: float) -> float | None:
    """Return when the response was beyond a limit for the last time.

    Args:
        slices_ns: the response in equal slices of a time after an overload.
        length_s: how long that time was.
        limit_ns: what is recovered from.

    Returns:
        Seconds to the end of the last slice beyond the limit; 0 if there is none; None if it is the last of all.
    """
    beyond = [place for place, response_ns in enumerate(slices_ns) if response_ns > limit_ns]
    if not slices_ns or (beyond and beyond[-1] == len(slices_ns) - 1):
        return None
    return (beyond[-1] + 1) * length_s / len(slices_ns) if beyond else 0.0
