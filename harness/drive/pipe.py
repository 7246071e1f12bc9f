"""What a process of the load tells whoever has started it: events, a line of JSON each."""

import json


def tell(event: str, **details: object) -> None:
    """Write one event."""
    print(json.dumps({"event": event} | details), flush=True)
