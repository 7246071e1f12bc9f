"""Checks of what can be told apart: equal servers, and servers that do a known amount more.

How the truth of "+6 %" is established: the work is an empty loop in the null server, so many turns for each request, and
its cost is linear in the number of turns. One more server in the same blocks does about 100 % more. Its measured
ratio R says what its turns cost, and n of its N turns cost n/N of R - 1. An error of 5 % in that is 0.3 points of "+6 %".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, variance
from typing import Final

from rich.console import Console

from harness.analyse.blocks import by_block, counted, launches_of
from harness.analyse.comparisons import WORSE, Comparison, compared, log_ratio
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import ALPHA, CONFIDENCE, LogRatio, clopper_pearson
from harness.analyse.statistics.power import coverage, false_verdicts, power, resolvable
from harness.errors import ResultsError
from harness.experiments.selftest.basics import load
from harness.experiments.selftest.check import CheckOutcome, CheckResult, judged
from harness.experiments.selftest.null_server import null
from harness.plan import Plan
from harness.record import RESULTS, Figure, Sample, read_results
from harness.study.campaign import campaign
from harness.study.cell import measure

CPU: Final = metric("cpu_us_per_request")
CLIENTS: Final = 64
WORKLOAD: Final = f"clients_{CLIENTS}"
BLOCKS: Final = 12
WINDOW_S: Final = 1.0
WARMUP_S: Final = 0.3
EFFECTS: Final = {"plus_5": 0.05, "plus_6": 0.06, "plus_10": 0.10}
DOUBLE: Final = "plus_100"
BASE: Final = "null"
AGAIN: Final = "null_again"
BASE_TURNS: Final = 200
"""Some work for every request, so that all these servers go through the same loop and differ in its turns alone."""
TRIAL_TURNS: Final = 2000
TRIALS: Final = 4
FALSE_ALARM: Final = 0.001
"""A check is a failure only at this p-value: at 5 % every twentieth good machine would fail it."""
SIMULATED: Final = 600
"""Comparisons: 400 would do; a rate of 5 % is then known to within two points."""
ENOUGH_LAUNCHES: Final = 5
SEED: Final = 20_120


@dataclass(frozen=True)
class Known:
    """A server that does a known amount more than the base.

    Attributes:
        truth: the ratio of its CPU time per request to the base's, as established in the same blocks.
        comparison: what was measured.
    """

    label: str
    truth: float
    comparison: Comparison


def archived(_: Console) -> CheckResult:
    """Let launches of one server, from all results there are, pretend to be two: how often are these told apart?"""
    figures: dict[str, Figure] = {}
    good = True
    for name in ("cpu_us_per_request", "throughput_rps"):
        archive = archived_launches(sorted(RESULTS.glob("*/")), name)
        if not archive:
            return CheckResult(
                CheckOutcome.NOT_POSSIBLE, "there are no results with five launches of a server"
            )
        found = false_verdicts(archive, BLOCKS, SIMULATED, SEED)
        figures |= {
            f"{name}_launches": sum(map(len, archive)),
            f"{name}_false_share": found.share,
            f"{name}_false_low": found.low,
            f"{name}_false_high": found.high,
            f"{name}_comparisons": found.trials,
        }
        good &= clopper_pearson(found.hits, found.trials, 1 - FALSE_ALARM)[0] <= ALPHA
    line = (
        f"of {SIMULATED} comparisons of a server with itself {figures['cpu_us_per_request_false_share']:.1%} "
        f"({figures['cpu_us_per_request_false_low']:.1%} to {figures['cpu_us_per_request_false_high']:.1%}) were called "
        f"different in CPU, {figures['throughput_rps_false_share']:.1%} in requests/s; 5 % or less are allowed"
    )
    return judged(good, line, figures)


def archived_launches(folders: Sequence[Path], name: str) -> list[list[float]]:
    """Return a metric's values of each server under each workload of runs that can be read, of five launches or more."""
    found = []
    for folder in folders:
        try:
            results = read_results(folder)
        except ResultsError:
            continue  # half written, or of another schema: there may be others
        launches = launches_of(results.samples)
        for workload in results.manifest.design.workloads:
            values = by_block(launches, workload, metric(name)).values()
            found += [list(of_server.values()) for of_server in values if len(of_server) >= ENOUGH_LAUNCHES]
    return [launches for launches in found if min(launches) > 0]


def simulated(_: Console) -> CheckResult:
    """Check the interval's coverage and the power of the whole procedure on made-up launches."""
    noise = 0.03
    covered = {blocks: coverage(1.06, noise, blocks, SIMULATED, SEED) for blocks in (5, 8, 12)}
    found = {effect: power(1 + effect, noise, BLOCKS, SIMULATED, SEED) for effect in EFFECTS.values()}
    figures: dict[str, Figure] = {f"coverage_{blocks}_blocks": one.share for blocks, one in covered.items()}
    figures |= {f"power_{effect:.0%}": one.share for effect, one in found.items()}
    exact = [clopper_pearson(one.hits, one.trials, 1 - FALSE_ALARM) for one in covered.values()]
    good = all(low <= CONFIDENCE <= high for low, high in exact)
    line = (
        f"95 % intervals cover {', '.join(f'{one.share:.1%} ({blocks} blocks)' for blocks, one in covered.items())}; with 3 % of "
        f"noise 12 blocks find {', '.join(f'+{effect:.0%} in {one.share:.0%}' for effect, one in found.items())} of runs"
    )
    return judged(good, line, figures)


def known_work(console: Console) -> CheckResult:
    """Measure equal servers, and servers that do 5, 6 and 10 % more, side by side; say what can be told apart."""
    turns = turns_for(console, EFFECTS | {DOUBLE: 1.0})
    return judgement(measured_side_by_side(turns, console, SEED), WORKLOAD, turns)


def measured_side_by_side(turns: Mapping[str, int], console: Console, seed: int) -> list[Sample]:
    """Measure the base, the base again, and the servers that do so many turns more than it."""
    labels = tuple(dict.fromkeys((BASE, AGAIN, *turns)))
    plan = Plan(labels, (WORKLOAD,), {}, {WORKLOAD: BLOCKS}, WARMUP_S, WINDOW_S, seed)
    candidates = [null(label, work=BASE_TURNS + turns.get(label, 0)) for label in labels]
    loads = {WORKLOAD: load(CLIENTS, duration_s=WINDOW_S)}
    with campaign(candidates, plan, console, loads=loads) as measuring:
        measuring.measure_blocks({WORKLOAD: BLOCKS})
    return measuring.samples


def turns_for(console: Console, effects: Mapping[str, float]) -> dict[str, int]:
    """Return the turns that cost about what each server is to do more, by a short trial."""
    console.print("  calibrating the extra work", highlight=False)
    costs_us: dict[int, list[float]] = {0: [], TRIAL_TURNS: []}
    for _ in range(TRIALS):
        for more, costs in costs_us.items():
            sample = measure(null("trial", work=BASE_TURNS + more), load(CLIENTS, duration_s=0.5))
            costs.append(CPU.value(sample) or 0.0)
    base_us, more_us = median(costs_us[0]), median(costs_us[TRIAL_TURNS])
    per_turn_us = max(more_us - base_us, 0.01 * base_us) / TRIAL_TURNS
    return {label: round(effect * base_us / per_turn_us) for label, effect in effects.items()}


def judgement(samples: Sequence[Sample], workload: str, turns: Mapping[str, int]) -> CheckResult:
    """Hold what was measured against the truth: equal servers not told apart, +10 % found."""
    launches = launches_of(samples)
    values = by_block(launches, workload, CPU)
    ratios = {
        label: ratio
        for label in (AGAIN, *EFFECTS, DOUBLE)
        if BASE in values and label in values and (ratio := log_ratio(values[BASE], values[label]))
    }
    if len(ratios) < len(EFFECTS) + 2:
        return judged(
            False, "too few valid launches of the null servers", {"launches": len(counted(launches))}
        )
    double = compared({(BASE, DOUBLE): ratios[DOUBLE]}, workload, CPU)[0]
    family = compared({(BASE, label): ratios[label] for label in (AGAIN, *EFFECTS)}, workload, CPU)
    known = [
        Known(each.b, 1 + turns.get(each.b, 0) / turns[DOUBLE] * (double.ratio - 1), each) for each in family
    ]
    spread = spread_of([ratios[label] for label in (AGAIN, *EFFECTS)])
    smallest = resolvable(spread, BLOCKS)
    figures: dict[str, Figure] = {
        "spread": spread,
        "resolvable": smallest,
        "blocks": BLOCKS,
        "double": double.ratio,
    }
    for each in known:
        figures |= {
            f"{each.label}_truth": each.truth,
            f"{each.label}_ratio": each.comparison.ratio,
            f"{each.label}_ci_low": each.comparison.ci_low,
            f"{each.label}_ci_high": each.comparison.ci_high,
            f"{each.label}_verdict": each.comparison.verdict,
        }
    found = {each.label: each.comparison for each in known}
    good = found[AGAIN].p >= FALSE_ALARM and found["plus_10"].verdict == WORSE
    return judged(good, _in_words(known, smallest), figures)


def spread_of(ratios: Sequence[LogRatio]) -> float:
    """Return the standard deviation of paired differences, of several ratios together."""
    return math.sqrt(fmean([variance(ratio.differences) for ratio in ratios]))


def _in_words(known: Sequence[Known], smallest: float) -> str:
    minutes = 2 * BLOCKS * (WINDOW_S + WARMUP_S + 0.5) / 60
    each = "; ".join(
        f"{one.truth - 1:+.1%} came out as {one.comparison.ratio - 1:+.1%}, {one.comparison.verdict}"
        for one in known
    )
    return (
        f"{each}. This machine tells differences from {smallest:.1%} in {BLOCKS} blocks of {WINDOW_S:g} s, "
        f"for two servers in about {minutes:.1f} minutes"
    )
