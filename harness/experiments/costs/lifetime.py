"""What it costs to start and to stop."""

import os
import select
import signal
import time
from typing import Final

from harness.errors import MeasureError
from harness.experiments.costs.clients import Farewell, connected_clients
from harness.experiments.costs.connections import ACTIVE
from harness.experiments.costs.serving import serves_many, serving
from harness.launch.candidates import Candidate
from harness.launch.process import Launched
from harness.record import Lifetime

LAUNCHES: Final = 5
LOADED_S: Final = 0.3
STOP_LIMIT_S: Final = 30.0


def lifetime(candidate: Candidate) -> Lifetime:
    """Launch and stop a server several times, at rest and under load."""
    clients = ACTIVE if serves_many(candidate) else 1
    startups, stops, loaded_stops, codes = [], [], [], []
    heard = Farewell()
    for loaded in (False, True) * LAUNCHES:
        with serving(candidate, clients) as launched:
            startups.append(launched.startup_s)
            if loaded:
                took_s, farewell = stopped_under_load(launched, clients)
                loaded_stops.append(took_s)
                heard = Farewell(heard.checked + farewell.checked, heard.wrong + farewell.wrong)
            else:
                stops.append(time_to_end(launched, tell_to_stop(launched)))
            codes.append(launched.process.returncode)
    return Lifetime(
        tuple(startups), tuple(stops), tuple(loaded_stops), clients, heard.checked, heard.wrong, tuple(codes)
    )


def stopped_under_load(launched: Launched, count: int) -> tuple[float, Farewell]:
    """Stop a server that is being loaded; return how long it took to end, and what its clients heard."""
    told: list[float] = []
    with connected_clients(launched.address, count) as clients:
        heard = clients.ask_to_the_end(LOADED_S, lambda: told.append(tell_to_stop(launched)))
    if not told:
        raise MeasureError("all clients were closed on before the server was told to stop")
    return time_to_end(launched, told[0]), heard


def tell_to_stop(launched: Launched) -> float:
    """Send SIGTERM, and return when that was."""
    launched.process.send_signal(signal.SIGTERM)
    return time.monotonic()


def time_to_end(launched: Launched, told_s: float) -> float:
    """Wait for a process that was told to stop; return how long it took. The kernel says when, nobody has to ask."""
    descriptor = os.pidfd_open(launched.process.pid)
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        if not ended.poll(STOP_LIMIT_S * 1000):
            raise MeasureError(f"still running {STOP_LIMIT_S:g} s after it was to stop")
        took_s = time.monotonic() - told_s
    finally:
        os.close(descriptor)
    launched.process.wait()
    return took_s
