"""Checks of what can be told apart: equal servers, and servers that do a known amount more.

How the truth of "+6 %" is established: the work is an empty loop in the null server, so many turns for each request, and
its cost is linear in the number of turns. One more server in the same blocks does about 100 % more. Its measured
ratio R says what its turns cost, and n of its N turns cost n/N of R - 1. An error of 5 % in that is 0.3 points of "+6 %".

What comes out is 1 to 1.5 points more than the turns explain, of +5 as of +6 and +10 %: in fourteen runs of `trials` 1.0 ± 0.4 points
on average. It is no error of the calibration, which would be a part of the effect, and not the loop's: its turns take the same to
within 4 %, from 50 to 2,200 of them, between a receive and a send as in a row. So it is a step between the base and all that do
more, in what the server does besides the loop. Where the generator had no time to sleep (at work for 91 to 98 % of the window; 12
blocks on another machine) there was no step: +4.2, +5.0 and +8.4 came out as +4.2, +5.4 and +8.7. So it seemed to be what a server
pays for waking up whom it sends to, which is asleep more often the more the server does. Tried on one machine, a third one, with a generator
that sleeps (at work for 62 to 81 % of the window) and one that never does, three runs of 12 blocks each, in turn: +0.1 points on average of nine
(-1.1 to +1.0), and -0.6 (-2.3 to +1.5). There was no step to take away; its reason is open. Of integers up to 256 Python keeps one ready, and a base with
fewer turns was spared making one for each request: 11 ns, 0.2 points of the step, and gone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from harness.analyse.blocks import by_block, counted, launches_of
from harness.analyse.comparisons import TUKEY, WORSE, Comparison, compared, families
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import ALPHA, CONFIDENCE, clopper_pearson
from harness.analyse.statistics.power import (
    NOISES,
    Shape,
    Values,
    coverage,
    family_errors,
    power,
    resampled,
    residual_pools,
    resolvable,
)
from harness.analyse.statistics.two_way import fit
from harness.errors import ResultsError
from harness.experiments.selftest.basics import load
from harness.experiments.selftest.check import CheckOutcome, CheckResult, judged
from harness.experiments.selftest.null_server import null
from harness.plan import CLOSED, Plan, Workload, by_name
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
BASE_TURNS: Final = 300
"""Some work for every request, so that all these servers go through the same loop and differ in its turns alone."""
TRIAL_TURNS: Final = 2000
TRIALS: Final = 4
FALSE_ALARM: Final = 0.001
"""A check is a failure only at this p-value: at 5 % every twentieth good machine would fail it."""
SIMULATED: Final = 300
"""Runs made up, of some workloads each: a rate of 5 % is then known to within two points."""
ENOUGH_LAUNCHES: Final = 40
MADE_UP: Final = Shape(servers=8, blocks=8, workloads=2)
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
    """Let what is left of real launches, servers and blocks taken away, pretend to be servers: are equals told apart?"""
    figures: dict[str, Figure] = {}
    good = True
    for name in ("cpu_us_per_request", "throughput_rps"):
        pools = archived_residuals(sorted(RESULTS.glob("*/")), name)
        if len(pools) < MADE_UP.servers:
            return CheckResult(
                CheckOutcome.NOT_POSSIBLE,
                f"there are no results of {MADE_UP.servers} servers in {ENOUGH_LAUNCHES} launches each",
            )
        found = family_errors(resampled(pools), MADE_UP, SIMULATED, SEED)
        figures |= {
            f"{name}_false_share": found.share,
            f"{name}_false_low": found.low,
            f"{name}_false_high": found.high,
            f"{name}_families": found.trials,
        }
        good &= clopper_pearson(found.hits, found.trials, 1 - FALSE_ALARM)[0] <= ALPHA
    line = (
        f"of {figures['cpu_us_per_request_families']} tables of {MADE_UP.servers} equal servers, with the noise of real launches, "
        f"{figures['cpu_us_per_request_false_share']:.1%} "
        f"({figures['cpu_us_per_request_false_low']:.1%} to {figures['cpu_us_per_request_false_high']:.1%}) told some apart "
        f"in CPU, {figures['throughput_rps_false_share']:.1%} in requests/s; 5 % or less are allowed"
    )
    return judged(good, line, figures)


def archived_residuals(folders: Sequence[Path], name: str) -> list[Values]:
    """Return what is left of a metric of each server when servers and blocks are taken away, over runs that can be read."""
    found = []
    for folder in folders:
        try:
            results = read_results(folder)
        except ResultsError:
            continue  # half written, or of another schema: there may be others
        launches = launches_of(results.samples, results.twins)
        models = [
            family.model
            for workload in results.manifest.design.workloads
            if not is_given(by_name(workload), name)
            for family in families(launches, workload, metric(name))
        ]
        found += [pool for pool in residual_pools(models) if len(pool) >= ENOUGH_LAUNCHES]
    return found


def is_given(workload: Workload, name: str) -> bool:
    """Tell whether a metric is what was offered, so that it has hardly any noise: an open loop's throughput."""
    return name == "throughput_rps" and workload.load.arrivals != CLOSED


def simulated(_: Console) -> CheckResult:
    """Check on made-up launches how often equal servers are told apart, how often intervals are right, and what is found."""
    false = {name: family_errors(noise, MADE_UP, SIMULATED, SEED) for name, noise in NOISES.items()}
    covered = coverage(NOISES["normal"], MADE_UP, SIMULATED // 2, SEED)
    found = {
        effect: power(1 + effect, 0.03, Shape(2, BLOCKS, 1), SIMULATED, SEED) for effect in EFFECTS.values()
    }
    figures: dict[str, Figure] = {f"false_{name}": one.share for name, one in false.items()}
    figures["coverage"] = covered.share
    figures |= {f"power_{effect:.0%}": one.share for effect, one in found.items()}
    least = [clopper_pearson(one.hits, one.trials, 1 - FALSE_ALARM)[0] for one in false.values()]
    low, high = clopper_pearson(covered.hits, covered.trials, 1 - FALSE_ALARM)
    good = max(least) <= ALPHA and low <= CONFIDENCE <= high
    line = (
        f"of tables of {MADE_UP.servers} equal servers in {MADE_UP.blocks} blocks some were told apart in "
        f"{', '.join(f'{one.share:.1%} ({name} noise)' for name, one in false.items())}; the intervals of all pairs held in "
        f"{covered.share:.1%}; with 3 % of noise {BLOCKS} blocks of two servers find "
        f"{', '.join(f'+{effect:.0%} in {one.share:.0%}' for effect, one in found.items())} of runs"
    )
    return judged(good, line, figures)


def known_work(console: Console) -> CheckResult:
    """Measure equal servers, and servers that do 5, 6 and 10 % more, side by side; say what can be told apart."""
    turns = turns_for(console, EFFECTS | {DOUBLE: 1.0})
    return judgement(measured_side_by_side(turns, console, SEED), WORKLOAD, turns)


def measured_side_by_side(
    turns: Mapping[str, int], console: Console, seed: int, blocks: int = BLOCKS
) -> list[Sample]:
    """Measure the base, the base again, and the servers that do so many turns more than it."""
    labels = tuple(dict.fromkeys((BASE, AGAIN, *turns)))
    plan = Plan(labels, (WORKLOAD,), {}, {WORKLOAD: blocks}, WARMUP_S, WINDOW_S, seed)
    candidates = [null(label, work=BASE_TURNS + turns.get(label, 0)) for label in labels]
    loads = {WORKLOAD: load(CLIENTS, duration_s=WINDOW_S)}
    with campaign(candidates, plan, console, loads=loads) as measuring:
        measuring.measure_blocks({WORKLOAD: blocks})
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
    labels = (AGAIN, *EFFECTS, DOUBLE)
    values = by_block(
        launches, workload, CPU
    )  # in the order of the first block, which is shuffled: of a pair the base comes first
    model = fit({label: values[label] for label in (BASE, *labels) if label in values})
    ratios = {} if model is None else model.ratios()
    if model is None or any((BASE, label) not in ratios for label in labels):
        return judged(
            False, "too few valid launches of the null servers", {"launches": len(counted(launches))}
        )
    double = ratios[BASE, DOUBLE]
    findings = model.judged()
    known = [
        Known(
            label,
            1 + turns.get(label, 0) / turns[DOUBLE] * (double.ratio - 1),
            compared((BASE, label), findings[BASE, label], workload, CPU, TUKEY, ratios[BASE, label].blocks),
        )
        for label in (AGAIN, *EFFECTS)
    ]
    spread = math.sqrt(2 * model.variance)
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
    low, high = ratios[BASE, AGAIN].interval(1 - FALSE_ALARM)
    good = low <= 1 <= high and found["plus_10"].verdict == WORSE
    return judged(good, _in_words(known, smallest), figures)


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
