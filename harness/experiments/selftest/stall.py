"""The stall oracle: a server is stopped for a while, and an open loop must see what that did to everybody.

A server of service time D gets requests at the rate r, evenly spaced, so that its utilisation is r D. It is stopped for S of
T seconds. Who comes at the time u of the stall waits S - u, and for the backlog before him; the backlog is drained in S/(1 - rD)
from its beginning. So a response is longer than x with the probability (S - x)/((1 - rD) T), for x from D to S. Seen from
the time of sending, the same stall is about one slow request for each connection: what a closed loop would report.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from harness.analyse.samples.metrics import throughput_rps
from harness.experiments.selftest.basics import load
from harness.experiments.selftest.check import CheckResult, judged
from harness.experiments.selftest.null_server import NULL_SERVER, null
from harness.machine.processes import child_running
from harness.plan import CONSTANT
from harness.record import Figure, Histogram, bucket_bounds
from harness.study.cell import measure

CLIENTS: Final = 16
DELAY_MS: Final = 1.0
RATE: Final = 300.0
STALL_S: Final = 1.0
STALL_AFTER_S: Final = 1.0
WINDOW_S: Final = 6.0
SHARES: Final = (0.2, 0.5, 0.8)
"""Of the stall: the response times at which the distribution is held against the formula."""
TOLERANCE: Final = 0.1
SLOW: Final = 0.25
"""A service time of this share of the stall is an outlier."""


def expected_share(longer_than_s: float, stall_s: float, utilisation: float, window_s: float) -> float:
    """Return the share of responses that a stall makes longer than so many seconds."""
    return max(0.0, stall_s - longer_than_s) / ((1 - utilisation) * window_s)


@dataclass
class Stall:
    """Stops the null server that this process started, once, and lets it go on; a progress function.

    Attributes:
        after_s: since the start of the load.
        lasted_s: how long it really was; 0 until it is over.
    """

    after_s: float
    lasted_s: float = 0.0
    begun: bool = False

    def __call__(self, elapsed_s: float, _: int) -> None:
        """Begin when it is time."""
        if elapsed_s >= self.after_s and not self.begun:
            self.begun = True
            threading.Thread(target=self._stall).start()

    def _stall(self) -> None:
        with suppress(ProcessLookupError):  # it died: the requests tell
            if (pid := child_running(NULL_SERVER)) is not None:
                os.kill(pid, signal.SIGSTOP)
                stopped_s = time.monotonic()
                time.sleep(STALL_S)
                os.kill(pid, signal.SIGCONT)
                self.lasted_s = time.monotonic() - stopped_s


def stall(_: Console) -> CheckResult:
    """Stop a server for a second and hold the responses against the formula."""
    service_s = 1 / throughput_rps(measure(null("delayed", delay_ms=DELAY_MS), load(CLIENTS)))
    interruption = Stall(after_s=load(CLIENTS).warmup_s + STALL_AFTER_S)
    order = replace(load(CLIENTS, duration_s=WINDOW_S), arrivals=CONSTANT, rate=RATE)
    sample = measure(null("stalled", delay_ms=DELAY_MS), order, interruption)
    figures: dict[str, Figure] = {"stall_s": interruption.lasted_s, "utilisation": RATE * service_s}
    good = interruption.lasted_s > 0
    told = []
    for share in SHARES:
        limit_s = share * interruption.lasted_s
        expected = expected_share(limit_s, interruption.lasted_s, RATE * service_s, sample.window.length_s)
        found = longer_than(sample.times.response.histogram, limit_s) / max(1, sample.window.offered)
        figures |= {f"longer_than_{share:g}_expected": expected, f"longer_than_{share:g}_found": found}
        good &= abs(found - expected) <= TOLERANCE * expected
        told.append(f"{found:.1%} ({expected:.1%}) above {limit_s:.1f} s")
    outliers = longer_than(sample.times.service.histogram, SLOW * STALL_S)
    figures |= {"service_outliers": outliers, "connections": CLIENTS}
    good &= CLIENTS / 2 <= outliers <= 2 * CLIENTS
    line = f"responses {', '.join(told)}, as found (and expected); {outliers} slow services on {CLIENTS} connections"
    return judged(good, line, figures)


def longer_than(values: Histogram, limit_s: float) -> int:
    """Count the values above a limit, to within a bucket."""
    return sum(count for bucket, count in values.items() if bucket_bounds(bucket)[0] >= limit_s * 1e9)
