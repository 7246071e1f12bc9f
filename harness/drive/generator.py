"""The load generator: N clients in a closed or an open loop, or coming and going, in a process of its own.

Every reply is compared with the oracle's bytes; for every request the times at which it was intended, could be sent,
was sent and was answered are kept. It computes no percentile.

Run as `python -m harness.drive.generator`. It reads a `LoadOrder` as one line of JSON from standard input, connects its
clients, writes `{"event": "connected"}` and waits, so that the idle server can be looked at. Then it reads `Turn`s, a line
each: it writes "started", works, writes progress, and in the end a `LoadOutcome`; the times go to the file that the order
names. At the line "leave" its clients leave, and it is ready for another order. Between turns it sleeps.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from select import epoll
from socket import socket
from typing import Final

import msgspec

from harness.drive.client import Client, ConnectError, connected
from harness.drive.journal import Journal
from harness.drive.loops.churn import ChurnLoop
from harness.drive.loops.closed import ClosedLoop
from harness.drive.loops.loop import Loop
from harness.drive.loops.open import OpenLoop
from harness.drive.orders import LEAVE, LoadOrder, Turn
from harness.drive.pipe import failures_told, tell
from harness.drive.schedule import phases_of
from harness.drive.script import Script
from harness.machine.resources import allow_files, most_files
from harness.plan import CLOSED

EXPECTED_RATE: Final = 400_000
LONGEST_PREALLOCATION_S: Final = 10.0
MORE_THAN_EXPECTED: Final = 1.2
"""Random arrivals may be more than their mean."""
TIMER_SLACK: Final = Path("/proc/self/timerslack_ns")


def connected_loop(order: LoadOrder) -> Loop:
    """Prepare all that can be prepared, and connect all clients; ConnectError says why that failed."""
    load = order.load
    script = Script(load.line, load.pipeline)
    poller = epoll()  # before the clients, since select() takes no descriptor above 1023
    if load.arrivals != CLOSED:
        steps = phases_of(load)
        journal = Journal(int(MORE_THAN_EXPECTED * sum(step.rate * step.duration_s for step in steps)))
        return OpenLoop(order, poller, connected_clients(order, repeat(script), journal), journal)
    total_s = min(load.warmup_s + load.duration_s, LONGEST_PREALLOCATION_S)
    journal = Journal(int(total_s * EXPECTED_RATE) + order.clients * load.pipeline)
    if load.churn:
        return ChurnLoop(order, poller, script, journal)
    return ClosedLoop(order, poller, connected_clients(order, repeat(script), journal), journal)


def connected_clients(
    order: LoadOrder,
    scripts: Iterable[Script],
    journal: Journal,
    await_input: Callable[[socket], None] = lambda _: None,
) -> list[Client]:
    """Connect all clients and take their greetings; see `client.connected`."""
    clients: list[Client] = []
    for number, script in zip(range(order.clients), scripts, strict=False):
        try:
            connection = connected(order.host, order.port, await_input)
        except (OSError, ConnectError) as error:
            for client in clients:
                client.socket.close()
            raise ConnectError(f"client {number + 1} of {order.clients} cannot connect: {error}") from None
        clients.append(Client(number, connection, script, journal))
    return clients


def main() -> None:
    """Take orders from standard input, and carry them out."""
    get_ready()
    lines = iter(sys.stdin.readline, "")
    for line in lines:
        carry_out(msgspec.json.decode(line, type=LoadOrder), lines, connected_loop)


def get_ready() -> None:
    """Ask for all that a generator needs of the system."""
    allow_files(most_files())
    with suppress(OSError):
        TIMER_SLACK.write_text("1", encoding="ascii")  # else the kernel may wake it 50 µs late, to save power


def carry_out(order: LoadOrder, lines: Iterator[str], connect: Callable[[LoadOrder], Loop]) -> None:
    """Let the clients of an order come, take their turns, and leave.

    Args:
        order: whom they load.
        lines: of the turns.
        connect: prepares a loop; ConnectError says why that failed.
    """
    started = time.monotonic()
    try:
        loop = connect(order)
    except ConnectError as error:
        tell("failed", reason=str(error))
        return
    tell("connected", connect_s=time.monotonic() - started)
    gc.collect()
    gc.freeze()
    gc.disable()
    for line in lines:
        if line.strip() == LEAVE:
            break
        turn = msgspec.json.decode(line, type=Turn)
        tell("started")
        outcome = loop.run(turn, show_progress if order.generator == 0 else lambda *_: None)
        loop.keep(order.times_file)
        tell("done", outcome=outcome)
    loop.leave()
    gc.unfreeze()
    gc.enable()
    tell("left")


def show_progress(elapsed_ns: int, sent: int) -> None:
    """Tell how far it is; one of several generators does."""
    tell("progress", elapsed_s=elapsed_ns / 1e9, sent=sent)


if __name__ == "__main__":
    with failures_told():
        main()
