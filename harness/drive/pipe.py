"""What a process of the load tells whoever has started it: events, a line of JSON each."""

import sys

import msgspec


def tell(event: str, **details: object) -> None:
    """Write one event."""
    sys.stdout.buffer.write(msgspec.json.encode({"event": event} | details) + b"\n")
    sys.stdout.buffer.flush()
