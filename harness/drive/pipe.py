"""What a process of the load tells whoever has started it: events, a line of JSON each."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec


def tell(event: str, **details: object) -> None:
    """Write one event."""
    sys.stdout.buffer.write(msgspec.json.encode({"event": event} | details) + b"\n")
    sys.stdout.buffer.flush()


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell what the system refuses, such as memory or room for a file, as a failure, unless nobody listens any more."""
    try:
        yield
    except (OSError, MemoryError) as error:
        with suppress(BrokenPipeError):
            tell("failed", reason=str(error) or "there is not enough memory")
