"""Clients in the background of a measured load, all in one process.

Every reply to them is compared with the oracle's bytes, too. They are kept cheap, since they share the generator's core:
what they say is worked out beforehand, and nobody is looked at without need.

Run as `python -m harness.drive.background`. It reads a `BackgroundOrder` as one line of JSON from standard input, connects its
clients, writes `{"event": "connected"}` with their number, and why there are no more of them, and waits for a line. Then its
clients behave in their kind's manner, which it tells as soon as the first rush is over, until a further line comes. Each says to its end what it has begun, or, if it has
said nothing, one line; when all is answered it writes a `BackgroundRequests` and waits for a last line.
"""

import gc
import sys

import msgspec

from harness.drive.background.guests import Party, connected
from harness.drive.orders import BackgroundOrder
from harness.drive.pipe import failures_told, tell
from harness.machine.resources import allow_files, most_files


def main() -> None:
    """Take an order from standard input, carry it out, and tell the outcome."""
    line = sys.stdin.readline()
    if not line:
        return  # the server did not start
    order = msgspec.json.decode(line, type=BackgroundOrder)
    allow_files(most_files())
    sockets, refused = connected(order)
    tell("connected", clients=len(sockets), refused=refused)
    if not sys.stdin.readline():
        return  # nobody is there any more
    party = Party(order, sockets)
    gc.collect()
    gc.freeze()
    gc.disable()
    party.begin()
    party.settle()
    tell("started")
    party.go_on_until(sys.stdin.fileno())
    sys.stdin.readline()
    tell("done", outcome=party.conclude())
    sys.stdin.readline()


if __name__ == "__main__":
    with failures_told():
        main()
