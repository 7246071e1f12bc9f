"""The search for the highest rate that a server sustains, and for how long an overload stays. Pure.

The knee is the highest offered rate at which a server answers what it is offered, without errors, and within a limit of
its response time. A search can but bracket it: it gives an interval, from a rate that was sustained to one that was not.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.samples.quantiles import Quantile, response
from harness.analyse.samples.recovery import recovered_after_s
from harness.analyse.samples.validity import KEPT_UP, Reason, Severity, achieved_share, assess, limited_by
from harness.record import Sample

PRECISION: Final = 1.05
"""The knee's interval is narrowed until its ends are within this ratio."""
STRIDE: Final = 1.25
"""Beyond the highest rate, or below the lowest, the search goes on in such steps."""
LONGEST: Final = 40
"""A search ends after so many probes, whatever they said."""
MOST_TRIALS: Final = 2
"""A rate that failed although a higher one passed is tried again, this often in all: it may have been the machine."""
FRACTIONS: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.2)
"""Offered rates as fractions of a server's own peak in a closed loop."""
COMMON_RATES: Final = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
"""Offered rates at which servers are seen side by side."""
SERVERS_FAULT: Final = {Reason.WRONG_REPLIES, Reason.ERRORS, Reason.TIMEOUTS, Reason.NOTHING_ANSWERED}


@dataclass(frozen=True)
class Slo:
    """A limit that a quantile of the response time is to keep (service level objective)."""

    name: str
    q: float
    limit_ns: float

    def __str__(self) -> str:
        """Write it as on the command line."""
        return f"{self.name}={self.limit_ns / 1e6:g}ms"


@dataclass(frozen=True)
class RatePoint:
    """What became of one offered rate.

    Attributes:
        rate: requests per second.
        sustained: whether the server kept up with it; None if the measurement cannot say.
        why: what spoke against it, in short: a reason's code, for instance.
        achieved_share: of what was offered, what was answered in time.
        at_slo: the quantile that the limit is for.
    """

    rate: float
    sustained: bool | None
    why: str
    achieved_share: float
    at_slo: Quantile


def probe(sample: Sample, slo: Slo) -> RatePoint:
    """Judge whether a server sustained what an open loop offered it."""
    found = response(sample, slo.q)
    share = achieved_share(sample)
    sustained, why = _sustained(sample, slo, found, share)
    return RatePoint(sample.load.rate, sustained, why, share, found)


def _sustained(sample: Sample, slo: Slo, found: Quantile, share: float) -> tuple[bool | None, str]:
    verdict = assess(sample)
    invalid = verdict.of(Severity.INVALID)
    for finding in invalid:
        if finding.reason in SERVERS_FAULT:
            return False, finding.reason.code
    if share < KEPT_UP and limited_by(sample) == "server":
        return False, "overloaded"  # it had no more to give, however busy the generator was
    if invalid:
        return None, invalid[0].reason.code
    if share < KEPT_UP:
        return False, "overloaded"
    beyond = found.exceeds(slo.limit_ns) if found.enough else None
    if beyond is None:
        return None, "too few requests"
    return not beyond, f"{slo.name} over limit" if beyond else ""


@dataclass(frozen=True)
class Knee:
    """Where a server stops to sustain what it is offered: between two rates.

    Attributes:
        low: the highest rate below `high` that was sustained; None if none was.
        high: the lowest rate that was not; None if none failed.
    """

    low: float | None
    high: float | None

    @property
    def found(self) -> bool:
        """Tell whether the interval is as narrow as it is to be."""
        return self.low is not None and self.high is not None and self.high <= self.low * PRECISION

    def __str__(self) -> str:
        """Write it as an interval."""
        if self.low is None:
            return "not known" if self.high is None else f"below {self.high:,.0f} requests/s"
        if self.high is None:
            return f"above {self.low:,.0f} requests/s"
        return f"from {self.low:,.0f} to {self.high:,.0f} requests/s"


def knee(probes: Iterable[RatePoint]) -> Knee:
    """Bracket the knee. A rate counts as sustained if it was in at least half of the probes that can say."""
    sustained = _judged(probes)
    high = min((rate for rate, kept in sustained.items() if not kept), default=None)
    low = max(
        (rate for rate, kept in sustained.items() if kept and (high is None or rate < high)), default=None
    )
    return Knee(low, high)


def unserved(probes: Iterable[RatePoint]) -> str:
    """Say what spoke against every rate; "" if there is one that the server served without a fault, overloaded or not."""
    faults = {reason.code for reason in SERVERS_FAULT}
    spoke_against = []
    for each in probes:
        if each.sustained is not None and each.why not in faults:
            return ""
        spoke_against.append(each.why)
    return ", ".join(dict.fromkeys(spoke_against)) or "no rate was offered"


def next_rate(probes: Sequence[RatePoint]) -> float | None:
    """Return which rate to offer next so as to narrow the knee's interval; None if there is nothing to gain.

    A rate that failed below one that passed is tried again; otherwise the interval is halved, on a logarithmic scale; one
    that is open is tried further on. A rate that could not be judged is not tried again.
    """
    found = knee(probes)
    if found.found or found == Knee(None, None) or len(probes) >= LONGEST:
        return None
    if found.high is not None and _may_have_been_bad_luck(found.high, probes):
        return found.high
    if found.high is None:
        rate = (found.low or 0.0) * STRIDE
    elif found.low is None:
        rate = found.high / STRIDE
    else:
        rate = math.sqrt(found.low * found.high)
    rate = float(round(rate))
    return None if rate < 1 or any(each.rate == rate for each in probes) else rate


def _may_have_been_bad_luck(failed: float, probes: Sequence[RatePoint]) -> bool:
    passed_above = any(kept and rate > failed for rate, kept in _judged(probes).items())
    return passed_above and sum(each.rate == failed for each in probes) < MOST_TRIALS


def rates_for(peak_rps: float) -> tuple[float, ...]:
    """Return the rates to offer to a server: fractions of its peak, and the common ones that are not far beyond it."""
    fractions = {float(round(peak_rps * fraction)) for fraction in FRACTIONS}
    common = {float(rate) for rate in COMMON_RATES if rate <= peak_rps * max(FRACTIONS)}
    return tuple(sorted(rate for rate in fractions | common if rate >= 1))


def recovery_s(sample: Sample, slo: Slo) -> float | None:
    """Return how long after an overload the response was beyond the limit for the last time.

    Args:
        sample: an open loop whose window begins when the offered rate drops to what the server can sustain.
        slo: the limit; it is applied to the 99 % quantile of the requests intended in each hundredth of the window.

    Returns:
        Seconds since the drop, to the end of the last such hundredth; 0 if there was none; None if the server had not
        recovered when the window ended.
    """
    if sample.times.censored:
        return None
    return recovered_after_s(sample.window.response_slices_ns, sample.window.length_s, slo.limit_ns)


def _judged(probes: Iterable[RatePoint]) -> dict[float, bool]:
    votes: defaultdict[float, list[bool]] = defaultdict(list)
    for each in probes:
        if each.sustained is not None:
            votes[each.rate].append(each.sustained)
    return {rate: 2 * sum(kept) >= len(kept) for rate, kept in votes.items()}
