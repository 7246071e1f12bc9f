"""Does a request cost in short slices what it costs in a continuous window? What a slice cuts off would be missing from it."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console

from harness.analyse.blocks import counted, launches_of
from harness.analyse.samples.metrics import cpu_us_per_request
from harness.analyse.statistics.inference import LogRatio, paired
from harness.experiments.selftest.check import CheckResult, judged
from harness.launch.selection import ours
from harness.plan import Plan
from harness.record import Figure, Sample
from harness.study.campaign import campaign

SERVERS: Final = ("threaded", "select_generators", "asyncio_streams")
"""One of each sort: what is cut off would differ most between threads, which stall for long, and loops, which do not."""
WORKLOADS: Final = ("clients_64", "clients_500")
"""Slices are short with few clients, and long with many."""
BLOCKS: Final = 8
SEED: Final = 14
CONFIDENCE: Final = 0.999
"""A check is a failure only if so wide an interval excludes that there is no difference."""


def slicing(console: Console) -> CheckResult:
    """Measure servers in blocks, each in slices and in a window, and compare what a request costs."""
    blocks = dict.fromkeys(WORKLOADS, BLOCKS)
    plan = Plan(SERVERS, WORKLOADS, {}, blocks, warmup_s=0.3, duration_s=1.0, seed=SEED)
    with campaign([ours(server) for server in SERVERS], plan, console) as measuring:
        measuring.measure_blocks(plan.blocks)
    return slices_against_windows(measuring.samples)


def slices_against_windows(samples: Sequence[Sample]) -> CheckResult:
    """Judge what was measured of each server in slices, against its continuous windows in the same blocks."""
    measured = sorted({(sample.cell.server, sample.cell.workload) for sample in samples})
    found = {f"{server}_{workload}": bias(samples, server, workload) for server, workload in measured}
    known = {name: ratio for name, ratio in found.items() if ratio is not None}
    if not known or len(known) < len(found):
        return judged(False, "too few valid launches", {"launches": len(samples)})
    figures: dict[str, Figure] = {}
    for name, ratio in known.items():
        low, high = ratio.interval()
        figures |= {f"{name}_ratio": ratio.ratio, f"{name}_ci_low": low, f"{name}_ci_high": high}
    good = all(low <= 1 <= high for low, high in (ratio.interval(CONFIDENCE) for ratio in known.values()))
    return judged(good, f"a request costs in slices, against continuous windows: {in_words(known)}", figures)


def bias(samples: Sequence[Sample], server: str, workload: str) -> LogRatio | None:
    """Estimate what a request costs a server in a workload's slices, as a ratio to what it costs in its windows."""
    differences = [
        math.log(in_slices / in_window)
        for launch in counted(launches_of(samples))
        if (launch.sample.cell.server, launch.sample.cell.workload) == (server, workload)
        and (in_slices := cpu_us_per_request(launch.sample))
        and (in_window := window_cpu_us(launch.sample))
    ]
    return paired(differences)


def window_cpu_us(sample: Sample) -> float | None:
    """CPU time of a server for one request in its continuous window."""
    answered, cpu_ns = sample.window.answered, sample.server.cpu_ns
    return cpu_ns / 1e3 / answered if answered and cpu_ns else None


def in_words(ratios: Mapping[str, LogRatio]) -> str:
    """Say how far each ratio lies from 1."""
    return ", ".join(
        f"{name} {ratio.ratio - 1:+.0%} ({ratio.interval()[0] - 1:+.0%} to {ratio.interval()[1] - 1:+.0%})"
        for name, ratio in ratios.items()
    )
