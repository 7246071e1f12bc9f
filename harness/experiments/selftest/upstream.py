"""A check of the upstream: its clock, the two ways in which it counts what is under way, and that it is not the limit.

A relay that hands on bytes and does nothing else answers about as much as the instrument lets any relay answer: it is
faster than the generator and the upstream together, and what it answers must be well above what any of ours does.
"""

from typing import Final

from msgspec.structs import replace
from rich.console import Console

from harness.analyse.samples.metrics import ceiling_share, throughput_rps
from harness.analyse.samples.quantiles import quantile_ns
from harness.analyse.samples.validity import LATE_LIMIT, generator_share, limited_by
from harness.errors import CannotRun
from harness.experiments.selftest.basics import FASTEST, HEADROOM
from harness.experiments.selftest.check import CheckResult, judged
from harness.experiments.selftest.null_relay import null_relay
from harness.launch.selection import ours
from harness.plan import Load, Waiting
from harness.record import Figure, Sample
from harness.study.cell import measure

CLIENTS: Final = 4
"""So few that it is the clock that is seen: more fall into step, are due at once, and are answered one after the other, 7 µs each."""
WAITS_MS: Final = (1, 5, 20)
BUSY_CLIENTS: Final = 256
BUSY_WAIT_MS: Final = 1
TRIES: Final = 2
"""The clock's limit is one of an idle machine: of so many tries the best counts."""


def relayed(clients: int, wait_ms: float) -> Load:
    """Return a load of a relay whose pool is as large as its clients are many."""
    return Load(clients=clients, upstream=Waiting(wait_s=wait_ms / 1e3, pool=clients))


def upstream(_: Console) -> CheckResult:
    """Let a relay that does nothing ask for each of some waits, and then as often as it can.

    The upstream's answers must be on time, its books exact, and the null relay faster than the fastest of ours.
    """
    figures: dict[str, Figure] = {}
    good, told = True, []
    for wait_ms in WAITS_MS:
        tries = [measure(null_relay("null relay"), relayed(CLIENTS, wait_ms)) for _ in range(TRIES)]
        best = min(tries, key=lateness_us)
        late_us, share = lateness_us(best), ceiling_share(best) or 0.0
        figures |= {
            f"wait_{wait_ms}ms_late_p90_us": round(late_us, 1),
            f"wait_{wait_ms}ms_share": round(share, 3),
        }
        good &= late_us <= LATE_LIMIT * wait_ms * 1e3 and all(map(books_are_exact, tries))
        told.append(f"{wait_ms} ms {late_us:.0f} µs late (p90)")
    order = replace(relayed(BUSY_CLIENTS, BUSY_WAIT_MS), duration_s=1.0)
    busy = max((measure(null_relay("null relay"), order) for _ in range(TRIES)), key=throughput_rps)
    figures |= {
        "busy_rps": round(throughput_rps(busy)),
        "busy_limited_by": limited_by(busy),
        "busy_generator_share": round(generator_share(busy), 3),
    }
    good &= books_are_exact(busy)
    try:
        of_ours = round(max(throughput_rps(measure(ours(FASTEST), order)) for _ in range(TRIES)))
    except CannotRun:
        of_ours = 0  # it is no relay
    figures[f"busy_{FASTEST}_rps"] = of_ours
    good &= figures["busy_rps"] >= HEADROOM * of_ours  # type: ignore[operator] # it is a number
    line = (
        f"{', '.join(told)}; a relay that does nothing answered {throughput_rps(busy):,.0f} requests/s, {FASTEST} {of_ours:,}, with "
        f"{generator_share(busy):.0%} of the core of generator and upstream used"
    )
    return judged(good, line, figures)


def lateness_us(sample: Sample) -> float:
    """Return how late nine in ten answers were at most."""
    late_ns = quantile_ns(sample.upstream.late.histogram, 0.9) if sample.upstream else None
    return float("inf") if late_ns is None else late_ns / 1e3


def books_are_exact(sample: Sample) -> bool:
    """Tell whether what was under way is the same by the integral and one by one, and every question a request's."""
    used = sample.upstream
    return used is not None and used.under_way_ns == used.integral_ns and not used.strays
