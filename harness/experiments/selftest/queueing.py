"""Checks of an open loop in real time: how late it sends, and a queue of which theory knows the waits."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace
from rich.console import Console

from harness.analyse.samples.metrics import throughput_rps
from harness.analyse.samples.quantiles import quantile_ns
from harness.drive.loops.loop import clock
from harness.drive.schedule import RateStep, intended_ns
from harness.experiments.selftest.basics import load
from harness.experiments.selftest.check import CheckOutcome, CheckResult, judged
from harness.experiments.selftest.null_server import null
from harness.machine.resources import cores_for, pinned
from harness.plan import CONSTANT, POISSON, Load
from harness.study.cell import measure

CLIENTS: Final = 64
PACED_RATE: Final = 5000.0
PACED_S: Final = 2.0
PACING_LIMIT_US: Final = 100.0
TRIES: Final = 3
"""The limit is one of an idle machine: of so many tries the best counts."""

DELAY_MS: Final = 2.0
UTILISATION: Final = 0.6
QUEUED_S: Final = 6.0
SEED: Final = 1930
TOLERANCE: Final = 0.1


def open_loop(rate: float, arrivals: str, duration_s: float) -> Load:
    """Return an open loop, its warm-up at the same rate."""
    return replace(load(CLIENTS, duration_s=duration_s), arrivals=arrivals, rate=rate, seed=SEED)


def pacing(_: Console) -> CheckResult:
    """Send 5,000 requests a second, evenly spaced, and look at how late they were.

    If that is too late, a loop that only waits for the same times tells whose fault it is: the machine's, if it is late, too.
    """
    order = open_loop(PACED_RATE, CONSTANT, PACED_S)
    lags_ns = [quantile_ns(measure(null("null"), order).times.lag.histogram, 0.99) for _ in range(TRIES)]
    known_us = [lag_ns / 1e3 for lag_ns in lags_ns if lag_ns is not None]
    if not known_us:
        return judged(False, "too few requests were sent to speak of their lag", {})
    with pinned(cores_for().generators):
        bare_us = [lateness_us(PACED_RATE, PACED_S) for _ in range(TRIES)]
    figures = {
        "lag_p99_us": min(known_us),
        "lag_p99_us_worst_try": max(known_us),
        "bare_p99_us": min(bare_us),
    }
    line = (
        f"99 % of {PACED_RATE:,.0f} requests/s were sent within {min(known_us):.0f} µs (worst try {max(known_us):.0f} µs); who only "
        f"waits for these times is on time to within {min(bare_us):.0f} µs"
    )
    if min(known_us) > PACING_LIMIT_US and min(bare_us) > PACING_LIMIT_US:
        return CheckResult(CheckOutcome.NOT_POSSIBLE, f"this machine wakes late: {line}", figures)
    return judged(min(known_us) <= PACING_LIMIT_US, line, figures)


def lateness_us(rate: float, duration_s: float) -> float:
    """Wait for evenly spaced times as the generator does, and return how late 99 % of them were noticed at most."""
    begun_ns = clock()
    late_ns = []
    for number in range(1, int(rate * duration_s)):
        intended_ns = begun_ns + int(number * 1e9 / rate)
        while (now_ns := clock()) < intended_ns:
            pass
        late_ns.append(now_ns - intended_ns)
    return sorted(late_ns)[int(0.99 * len(late_ns))] / 1e3


def queue(_: Console) -> CheckResult:
    """Let Poisson arrivals queue at a server of known service time, and hold the responses against Lindley's recursion."""
    service_s = 1 / throughput_rps(measure(null("delayed", delay_ms=DELAY_MS), load(8, duration_s=2.0)))
    order = open_loop(UTILISATION / service_s, POISSON, QUEUED_S)
    sample = measure(null("delayed", delay_ms=DELAY_MS), order)
    phases = (RateStep(order.rate, order.warmup_s), RateStep(order.rate, order.duration_s))
    arrivals_s = [at_ns / 1e9 for at_ns in intended_ns(phases, POISSON, SEED)]
    responses_s = [
        wait_s + service_s
        for at_s, wait_s in zip(arrivals_s, waits(arrivals_s, service_s), strict=True)
        if at_s >= order.warmup_s
    ]
    expected_ms = 1e3 * sum(responses_s) / len(responses_s)
    found_ms = sample.times.response_sum_ns / 1e6 / max(1, sample.window.offered - sample.times.censored)
    theory_ms = 1e3 * (service_s + UTILISATION * service_s / (2 * (1 - UTILISATION)))
    figures = {
        "service_ms": service_s * 1e3,
        "utilisation": UTILISATION,
        "mean_response_ms": found_ms,
        "expected_of_this_schedule_ms": expected_ms,
        "expected_of_any_schedule_ms": theory_ms,
    }
    line = (
        f"at {UTILISATION:.0%} of a {service_s * 1e3:.2f} ms server's time, responses of {found_ms:.2f} ms on average; this "
        f"schedule gives {expected_ms:.2f} ms, M/D/1 {theory_ms:.2f} ms"
    )
    return judged(abs(found_ms - expected_ms) <= TOLERANCE * expected_ms, line, figures)


def waits(arrivals_s: Sequence[float], service_s: float) -> list[float]:
    """Return how long each arrival waits at one server that takes the same time for each (Lindley 1952)."""
    found, free_at_s = [], 0.0
    for at_s in arrivals_s:
        found.append(max(0.0, free_at_s - at_s))
        free_at_s = max(free_at_s, at_s) + service_s
    return found
