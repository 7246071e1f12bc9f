"""Bytes as a person reads and types them."""

from collections.abc import Sequence
from typing import Final

SHOWN_BYTES: Final = 160


def shell_line(segments: Sequence[bytes], endpoint: str) -> str:
    """Return a shell line that sends segments to `HOST PORT`."""
    prints = [f"printf '{octal(segment)}'" for segment in segments]
    sender = prints[0] if len(prints) == 1 else "(" + "; sleep 0.1; ".join(prints) + ")"
    return f"{sender} | nc {endpoint}"


def shown(data: bytes | bytearray) -> str:
    """Print bytes, the middle of long ones left out."""
    if len(data) <= SHOWN_BYTES:
        return repr(bytes(data))
    half = SHOWN_BYTES // 2
    return f"{bytes(data[:half])!r} … {len(data) - 2 * half:,} bytes … {bytes(data[-half:])!r}"


def octal(data: bytes) -> str:
    """Write bytes for printf."""
    return "".join(
        chr(byte)
        if 32 <= byte < 127 and byte not in b"'\\%"
        else {10: "\\n", 13: "\\r", 9: "\\t"}.get(byte, f"\\{byte:03o}")
        for byte in data
    )
