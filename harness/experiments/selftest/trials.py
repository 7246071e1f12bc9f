"""How often the instrument is right: a server against itself, four times, and against one that does 10 % more, again and again.

One such comparison says little; of a few dozen the share of wrong verdicts can be counted. They take long, so they run by
command (`harness resolution`), add to a log, and go on where they stopped; a self-test reads the log.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console

from harness.analyse.blocks import by_block, launches_of
from harness.analyse.comparisons import BETTER, UNDECIDED, WORSE, compare_all, inverse, verdict_of
from harness.analyse.scatter import scatter
from harness.analyse.statistics.inference import ALPHA, LogRatio, decide
from harness.analyse.statistics.power import rate
from harness.analyse.statistics.two_way import fit
from harness.experiments.selftest.check import CheckOutcome, CheckResult, judged
from harness.experiments.selftest.known_effect import (
    AGAIN,
    BASE,
    CPU,
    DOUBLE,
    measured_side_by_side,
    turns_for,
)
from harness.record import (
    RESULTS,
    Figure,
    ResolutionRun,
    Sample,
    Told,
    append_to_log,
    fingerprint,
    read_log,
)

LOG: Final = RESULTS / "resolution.jsonl"
MORE: Final = "plus_10"
MORE_SHARE: Final = 0.1
EQUALS: Final = (
    (BASE, AGAIN),
    ("null_third", "null_fourth"),
    ("null_fifth", "null_sixth"),
    ("null_seventh", "null_eighth"),
)
"""Four pairs of the same server in each run, that have no launch in common."""
BLOCKS: Final = 5
"""Of ten servers these take about two minutes."""
ENOUGH_RUNS: Final = 10
FOUND_SHARE: Final = 0.9
CROWD_FALSE: Final = 1 / 40
"""Of equals among many so few may be called different."""
SCATTERS: Final = ("slice", "launch", "block")
INSTRUMENT: Final = (
    "harness.experiments.selftest.trials",
    "harness.experiments.selftest.null_server",
    "harness.drive.generator",
)
"""What these reach decides on a verdict on two servers; the last two run in processes of their own."""


def instrument_hash() -> str:
    """Return a hash of the sources that a verdict depends on."""
    return fingerprint(*INSTRUMENT)


def read_runs(log: Path = LOG) -> list[ResolutionRun]:
    """Read the runs of the present instrument; a last line that was cut off by an interruption does not count."""
    present = instrument_hash()
    return [run for run in read_log(ResolutionRun, log) if run.instrument == present]


def run_until(
    runs: int, console: Console, log: Path = LOG, note: Callable[[ResolutionRun], None] = lambda _: None
) -> list[ResolutionRun]:
    """Measure until the log has so many runs of the present instrument; return them."""
    done = read_runs(log)
    if len(done) < runs:
        turns = turns_for(console, dict.fromkeys(chain(*EQUALS[1:]), 0.0) | {MORE: MORE_SHARE, DOUBLE: 1.0})
    while len(done) < runs:
        started = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
        run = run_of(measured_side_by_side(turns, console, len(done), BLOCKS), turns, started)
        if run is None:
            console.print("  too few valid launches: this run does not count", style="yellow")
            continue
        append_to_log(run, log)
        note(run)
        done.append(run)
    return done


def run_of(samples: Sequence[Sample], turns: dict[str, int], started: str) -> ResolutionRun | None:
    """Judge the launches of a run, each pair as two servers alone, and equals among all; None if they are too few."""
    launches = launches_of(samples)
    workload = samples[0].cell.workload if samples else ""
    values = by_block(launches, workload, CPU)
    pairs = (*EQUALS, (BASE, MORE), (BASE, DOUBLE))
    models = [fit({name: values[name] for name in pair}) for pair in pairs if set(pair) <= values.keys()]
    ratios = [ratio for model in models if model is not None for ratio in model.ratios().values()]
    if len(ratios) < len(pairs):
        return None
    *equals, more, double = ratios
    truth = 1 + turns[MORE] / turns[DOUBLE] * (double.ratio - 1)
    of_all = {(each.a, each.b): each for each in compare_all(launches, workload, CPU)}
    crowd = [of_all.get((a, b)) or inverse(of_all[b, a]) for a, b in EQUALS]
    parts = scatter(launches, workload, CPU.name)
    return ResolutionRun(
        instrument_hash(),
        started,
        tuple(map(_told, equals)),
        _told(more),
        truth,
        tuple(Told(each.ratio, each.ci_low, each.ci_high, each.verdict) for each in crowd),
        {} if parts is None else {"slice": parts.slice, "launch": parts.launch, "block": parts.block},
    )


def _told(ratio: LogRatio) -> Told:
    (finding,) = decide([ratio])
    return Told(finding.ratio, finding.low, finding.high, verdict_of(finding.direction, CPU))


def repeated(_: Console) -> CheckResult:
    """Count the verdicts on record: equal servers called different, and 6 % more work found."""
    runs = read_runs()
    if len(runs) < ENOUGH_RUNS:
        line = (
            f"{len(runs)} runs of this instrument are on record, it takes {ENOUGH_RUNS}: harness resolution"
        )
        return CheckResult(CheckOutcome.NOT_POSSIBLE, line)
    return verdict_on(runs)


def verdict_on(runs: Sequence[ResolutionRun]) -> CheckResult:
    """Judge the instrument by its runs."""
    equals = [told for run in runs for told in run.equals]
    crowd = [told for run in runs for told in run.crowd]
    false, false_in_crowd = (
        rate(sum(told.verdict in {BETTER, WORSE} for told in pairs), len(pairs)) for pairs in (equals, crowd)
    )
    found = rate(sum(run.more.verdict == WORSE for run in runs), len(runs))
    covered = sum(run.more.low <= run.truth <= run.more.high for run in runs)
    half_width = median(told.high / told.ratio - 1 for told in equals)
    crowd_half_width = median(told.high / told.ratio - 1 for told in crowd)
    figures: dict[str, Figure] = {
        "runs": len(runs),
        "equal_pairs": len(equals),
        "equal_called_different": false.hits,
        "equal_called_different_in_crowd": false_in_crowd.hits,
        "equal_undecided": sum(told.verdict == UNDECIDED for told in equals),
        "equal_half_width_median": half_width,
        "crowd_half_width_median": crowd_half_width,
        "more_found": found.hits,
        "more_covered": covered,
        "blocks": BLOCKS,
    }
    parts = {part: median(run.scatter.get(part, 0.0) for run in runs) for part in SCATTERS}
    figures |= {f"scatter_{part}": value for part, value in parts.items()}
    good = false.low <= ALPHA and false_in_crowd.share <= CROWD_FALSE and found.share >= FOUND_SHARE
    line = (
        f"in {len(runs)} runs of {BLOCKS} blocks, of {len(equals)} pairs of equal servers {false_in_crowd.hits} were called different "
        f"among ten, and {false.hits} as two alone; {MORE_SHARE:.0%} more work was found {found.hits} times; half of the A/A "
        f"intervals were ±{half_width:.1%} or narrower, ±{crowd_half_width:.1%} among ten; scatter of a slice {parts['slice']:.1%}, of a "
        f"launch {parts['launch']:.1%}, of a block {parts['block']:.1%}"
    )
    return judged(good, line, figures)
