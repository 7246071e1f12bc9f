"""The load generator: N clients in a closed or an open loop, or coming and going, in a process of its own.

Every reply is compared with the oracle's bytes; for every request the times at which it was intended, could be sent,
was sent and was answered are kept. It computes no percentile.

Run as `python -m harness.drive.generator`. It reads an `LoadOrder` as one line of JSON from standard input, connects its clients,
writes `{"event": "connected"}` and waits for a line, so that the idle server can be looked at; the line holds the time
at which to start, by the monotonic clock in ns, so that several generators start together. It writes "started", works,
and writes progress; then it writes an `LoadOutcome` and waits for another line, so that the server's threads can be looked
at before their clients leave. The times go to the file that the order names.
"""

import gc
import sys
import time
from array import array
from contextlib import suppress
from pathlib import Path
from select import epoll
from typing import Final

import msgspec

from harness.drive.client import Client, ConnectError, connected
from harness.drive.journal import Journal
from harness.drive.loops.churn import ChurnLoop
from harness.drive.loops.closed import ClosedLoop
from harness.drive.loops.loop import Loop
from harness.drive.loops.open import OpenLoop
from harness.drive.orders import LoadOrder
from harness.drive.pipe import tell
from harness.drive.schedule import intended_ns, phases_of, share_of
from harness.drive.script import Script
from harness.machine.resources import allow_files, most_files
from harness.plan import CLOSED

EXPECTED_RATE: Final = 400_000
LONGEST_PREALLOCATION_S: Final = 10.0
TIMER_SLACK: Final = Path("/proc/self/timerslack_ns")


def connected_loop(order: LoadOrder) -> Loop:
    """Prepare all that can be prepared, and connect all clients; ConnectError says why that failed."""
    script = Script(order.load.line, order.load.pipeline)
    poller = epoll()  # before the clients, since select() takes no descriptor above 1023
    if order.load.arrivals == CLOSED:
        total_s = min(order.load.warmup_s + order.load.duration_s, LONGEST_PREALLOCATION_S)
        journal = Journal(int(total_s * EXPECTED_RATE) + order.clients * order.load.pipeline)
        if order.load.churn:
            return ChurnLoop(order, poller, script, journal)
        return ClosedLoop(order, poller, connected_clients(order, script, journal), journal)
    times = intended_ns(phases_of(order.load), order.load.arrivals, order.load.seed)
    intended = array("q", share_of(times, order.generator, order.generators).tobytes())
    journal = Journal(len(intended))
    return OpenLoop(order, poller, connected_clients(order, script, journal), journal, intended)


def connected_clients(order: LoadOrder, script: Script, journal: Journal) -> list[Client]:
    """Connect all clients and take their greetings."""
    clients: list[Client] = []
    for number in range(order.clients):
        try:
            connection = connected(order.host, order.port)
        except (OSError, ConnectError) as error:
            for client in clients:
                client.socket.close()
            raise ConnectError(f"client {number + 1} of {order.clients} cannot connect: {error}") from None
        clients.append(Client(number, connection, script, journal))
    return clients


def main() -> None:
    """Take an order from standard input, carry it out, and tell the outcome."""
    line = sys.stdin.readline()
    if not line:
        return  # the server did not start
    order = msgspec.json.decode(line, type=LoadOrder)
    allow_files(most_files())
    with suppress(OSError):
        TIMER_SLACK.write_text("1", encoding="ascii")  # else the kernel may wake it 50 µs late, to save power
    started = time.monotonic()
    try:
        loop = connected_loop(order)
    except ConnectError as error:
        tell("failed", reason=str(error))
        return
    tell("connected", connect_s=time.monotonic() - started)
    start = sys.stdin.readline()
    if not start:
        return  # nobody is there any more
    tell("started")
    gc.collect()
    gc.freeze()
    gc.disable()
    outcome = loop.run(int(start), show_progress if order.generator == 0 else lambda *_: None)
    loop.journal.save(order.times_file)
    tell("done", outcome=outcome)
    sys.stdin.readline()


def show_progress(elapsed_ns: int, sent: int) -> None:
    """Tell how far it is; one of several generators does."""
    tell("progress", elapsed_s=elapsed_ns / 1e9, sent=sent)


if __name__ == "__main__":
    main()
