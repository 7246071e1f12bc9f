"""Checks that take a second or two: the ceiling, a known delay, the count of requests, and a hogged core."""

import json
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from harness.analyse.samples.metrics import throughput_rps
from harness.analyse.samples.quantiles import quantile_ns
from harness.analyse.samples.validity import invalidity, limited_by, littles_law_holds
from harness.conformance.smoke import SHORT_CHECK
from harness.experiments.selftest.check import CheckOutcome, CheckResult, judged
from harness.experiments.selftest.null_server import null
from harness.launch.selection import ours
from harness.machine.resources import cores_for
from harness.machine.spinning import spinning
from harness.plan import CORE, Load
from harness.record import Figure, Histogram, bucket_bounds
from harness.study.cell import measure, visitors_of

FASTEST: Final = "select_generators"
"""Of our servers; what the ceiling must be above, since a server that is faster than the generator is not measured."""
HEADROOM: Final = 1.1
TRIES: Final = 2
DELAY_MS: Final = 5.0
QUEUED_CLIENTS: Final = 8
DELAY_TOLERANCE: Final = 0.1
"""A sleeping process is woken late, never early; a histogram knows a mean to within 1 %."""


def load(clients: int, pipeline: int = 1, duration_s: float = 1.0) -> Load:
    """Return a closed loop."""
    return Load(clients=clients, pipeline=pipeline, duration_s=duration_s)


def ceiling(console: Console) -> CheckResult:
    """Measure a server that does next to nothing, and the fastest of ours, under each workload."""
    figures: dict[str, Figure] = {}
    too_low = []
    for workload in CORE:
        console.print(f"  ceiling of {workload.name}", highlight=False)
        order = load(workload.load.clients, workload.load.pipeline)
        nulls = [measure(null("null"), order) for _ in range(TRIES)]
        fastest = [measure(ours(FASTEST), order) for _ in range(TRIES)]
        best = max(nulls, key=throughput_rps)
        most, of_ours = throughput_rps(best), max(map(throughput_rps, fastest))
        figures[f"{workload.name}_rps"] = round(most)
        figures[f"{workload.name}_limited_by"] = limited_by(best)
        figures[f"{workload.name}_{FASTEST}_rps"] = round(of_ours)
        if workload.load.clients > 1 and most < HEADROOM * of_ours:
            too_low.append(workload.name)
    shown = ", ".join(f"{workload.name} {figures[f'{workload.name}_rps']:,}" for workload in CORE)
    if too_low:
        return judged(False, f"too low for {', '.join(too_low)}: {shown} requests/s", figures)
    return judged(True, f"{shown} requests/s", figures)


def fixed_delay(_: Console) -> CheckResult:
    """Delay each reply by D: one client waits D, and each of eight that are served in turn waits 8 D on average.

    Of one client it is the median, which a busy machine disturbs the least; of several it must be the mean, since only
    that is known whatever the order in which they are served.
    """
    alone = measure(null("delayed", delay_ms=DELAY_MS), load(1, duration_s=3.0))
    queued = measure(null("delayed", delay_ms=DELAY_MS), load(QUEUED_CLIENTS, duration_s=3.0))
    median_ns = quantile_ns(alone.times.response.histogram, 0.5)
    found_ms = (
        None if median_ns is None else median_ns / 1e6,
        mean_ns(queued.times.response.histogram) / 1e6,
    )
    truths_ms = (DELAY_MS, QUEUED_CLIENTS * DELAY_MS)
    if found_ms[0] is None:
        return judged(False, "a client that waits 5 ms each time was answered too seldom", {})
    good = all(
        0.98 * truth <= found <= (1 + DELAY_TOLERANCE) * truth
        for truth, found in zip(truths_ms, (found_ms[0], found_ms[1]), strict=True)
    )
    line = (
        f"one client {found_ms[0]:.2f} ms (median) of {truths_ms[0]:g}, each of {QUEUED_CLIENTS} clients "
        f"{found_ms[1]:.2f} ms (mean) of {truths_ms[1]:g}"
    )
    return judged(good, line, {"one_client_p50_ms": found_ms[0], "eight_clients_mean_ms": found_ms[1]})


def conservation(_: Console) -> CheckResult:
    """Compare what the generator says that it sent with what the server has counted, and the times with Little's law."""
    figures: dict[str, Figure] = {}
    good = True
    for pipeline in (1, 16):
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "lines.json"
            sample = measure(null("counting", count_file=str(file)), load(64, pipeline))
            checked, *visited = json.loads(file.read_text(encoding="utf-8"))
            counted = visited[visitors_of(null("counting"), sample.load) :]
        in_flight = sample.times.response_sum_ns / (sample.window.length_s * 1e9)
        figures |= {
            f"pipeline_{pipeline}_sent": sample.requests.sent,
            f"pipeline_{pipeline}_counted_by_server": sum(counted),
            f"pipeline_{pipeline}_throughput_times_mean_response": round(in_flight, 2),
        }
        good &= sample.requests.sent == sample.requests.ok == sum(counted) and checked == SHORT_CHECK.count(
            b"\n"
        )
        good &= littles_law_holds(sample)
    line = (
        f"{figures['pipeline_1_sent']:,} and {figures['pipeline_16_sent']:,} sent, "
        f"{figures['pipeline_1_counted_by_server']:,} and {figures['pipeline_16_counted_by_server']:,} counted; "
        f"throughput × response is {figures['pipeline_1_throughput_times_mean_response']} of 64 and "
        f"{figures['pipeline_16_throughput_times_mean_response']} of 1024"
    )
    return judged(good, line, figures)


def hogged_core(_: Console) -> CheckResult:
    """Let another process take half of the generator's core, and of the server's: such launches must be invalid."""
    pair = cores_for()
    if not pair.pinned:
        return CheckResult(CheckOutcome.NOT_POSSIBLE, "server and generator have no core each")
    figures: dict[str, Figure] = {}
    unnoticed = []
    for side, cores in (("generator", pair.generators), ("server", pair.server)):
        with spinning(cores):
            sample = measure(ours(FASTEST), load(64))
        reasons = invalidity(sample)
        figures[f"{side}_core_hogged_reasons"] = "; ".join(reasons)
        figures[f"{side}_core_hogged_rps"] = round(throughput_rps(sample))
        if not reasons:
            unnoticed.append(side)
    if unnoticed:
        return judged(
            False, f"a hog on the core of the {' and of the '.join(unnoticed)} went unnoticed", figures
        )
    kinds = sorted(
        {
            reason.partition(":")[0]
            for text in figures.values()
            if isinstance(text, str)
            for reason in text.split("; ")
        }
    )
    return judged(True, f"launches beside a hog are invalid: {', '.join(kinds)}", figures)


def mean_ns(values: Histogram) -> float:
    """Return the mean of a histogram, each value taken for the middle of its bucket."""
    total = sum(values.values())
    return sum(count * (sum(bucket_bounds(bucket)) - 1) / 2 for bucket, count in values.items()) / max(
        1, total
    )
