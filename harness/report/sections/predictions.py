"""Predicted against measured: what the operational laws foretold of relays, and where they failed."""

from typing import Final

from harness.analyse.analysis import Analysis
from harness.analyse.prediction.cells import METRICS
from harness.analyse.prediction.held_out import GOAL, TOLERANCE, Judged, PredictionTest, near_of, right_of
from harness.report.blocks import Blocks, Heading, Text, grid, numbers, words
from harness.report.wording import interval, listed

TITLES: Final = {
    "throughput_rps": "requests/s",
    "cpu_us": "CPU µs per request",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
}
FORM: Final = "{:,.0f}"
COLUMNS: Final = (
    *words("server"),
    *numbers("clients", "wait ms", "pool"),
    *words("quantity"),
    *numbers("predicted", "measured", "off by"),
    *words(""),
)


def predictions_page(analysis: Analysis) -> Blocks:
    """Tell what was predicted, how, and how much of it came true; nothing if nothing was judged."""
    found = analysis.predictions
    if found is None or not found.judged:
        return []
    return [
        Heading("Predicted against measured", 1),
        *_how(found),
        *_score(found),
        *_failures(found),
        *_models(found),
        Heading("Every prediction"),
        grid(COLUMNS, map(_row, found.judged)),
    ]


def _how(found: PredictionTest) -> Blocks:
    cells = len({each.place for each in found.judged})
    return [
        Text(
            f"{cells} cells were drawn by the run's seed before anything was fitted: of each server half of those that have neither the fewest "
            "clients nor the most. To the others a model was fitted, which is a closed network: a queue for the core, a delay (the wait), and a pool. Three "
            "laws say most of it. No more is answered than min(clients, pool) / wait, nor than 1 / cost (the bounds); clients "
            "= requests/s × response (Little's law); and who arrives finds the queue as it would be without him (mean value analysis). "
            "A queue played on a virtual clock gives the quantiles."
        ),
        Text(
            "**The cost is no constant.** Who finds the core idle pays for a wake-up; who finds it busy is served in passing, and shares a pass of the loop with others; who waits for the pool pays for that, too. So cost and load "
            "depend on each other, and the model looks for the one load at which both agree. What would be foretold with a cost that "
            "is a constant stands beside it."
        ),
    ]


def _score(found: PredictionTest) -> Blocks:
    right, near, of = right_of(found.judged), near_of(found.judged), len(found.judged)
    rows = []
    for metric in METRICS:
        of_metric, careless = (
            [each for each in some if each.metric == metric] for some in (found.judged, found.careless)
        )
        margin = found.margin(metric)
        rows.append(
            (
                TITLES[metric],
                f"{right_of(of_metric)} of {len(of_metric)}",
                str(near_of(of_metric)),
                f"{right_of(careless)} of {len(careless)}",
                "–" if margin is None else f"{margin:.2f}",
            )
        )
    return [
        Text(
            f"**{near} of {of} predictions are near** ({near / of:.0%}): off by no more than {TOLERANCE['throughput_rps']:.0%} (p99: {TOLERANCE['p99_us']:.0%}). "
            f"**{right} are right** ({right / of:.0%}; the goal is {GOAL:.0%}): near, or within the measured 95 % interval, which excuses much where that is wide. "
            "For the state of the machine in a block, cells of that block are allowed for that were not drawn. The factors are those of the mean of a "
            "cell's launches; a single launch scatters more."
        ),
        grid(
            (
                *words("quantity"),
                *numbers("right", "of these near", "with a constant cost", "19 of 20 within a factor of"),
            ),
            rows,
        ),
    ]


def _failures(found: PredictionTest) -> Blocks:
    wrong = sorted((each for each in found.judged if not each.right), key=lambda each: -abs(each.miss))
    return [Text("Where it fails:"), grid(COLUMNS, map(_row, wrong))] if wrong else []


def _row(each: Judged) -> tuple[str, ...]:
    server, setting = each.place
    return (
        f"`{server}`",
        f"{setting.clients:,}",
        f"{setting.wait_s * 1e3:g}",
        "as clients" if setting.pool >= setting.clients else f"{setting.pool:,}",
        TITLES[each.metric],
        FORM.format(each.predicted),
        interval(each.measured, FORM),
        f"{each.miss:+.0%}",
        "" if each.near else "possible" if each.right else "**wrong**",
    )


def _models(found: PredictionTest) -> Blocks:
    rows = (
        (
            f"`{server}`",
            f"{model.cost.work_us:.1f}",
            f"{model.cost.wakeup_us:.1f}",
            f"{model.cost.pass_us:.1f}",
            f"{100 * model.cost.work_per_client_us:.1f}",
            f"{model.cost.queueing_us:.1f}",
            f"{model.latency_s * 1e6:.0f}",
        )
        for server, model in found.models.items()
    )
    return [
        Text("What a request costs, as fitted (µs), and what it spends elsewhere, the wait apart:"),
        grid(
            (
                *words("server"),
                *numbers(
                    "its work",
                    "+ a wake-up",
                    "+ a pass",
                    "+ per 100 clients",
                    "+ waiting for the pool",
                    "elsewhere",
                ),
            ),
            rows,
        ),
        *([Text(f"Too few cells for a model: {listed(found.unfitted)}.")] if found.unfitted else []),
    ]
