"""Whether a measurement may be used, and what is to be known about it: one verdict with reason codes. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from harness.analyse.samples.metrics import ceiling_share
from harness.analyse.samples.quantiles import QUANTILES, quantile, quantile_ns, response
from harness.analyse.samples.steadiness import Steadiness, steadiness
from harness.plan import ALL_CORES, CLOSED
from harness.record import Requests, Sample, UpstreamUse

BUSY: Final = 0.95
"""From this share of its core on, a process is what limits a closed loop."""
SATURATED: Final = 0.8
"""Above this share of its core, spinning not counted, a generator may be late in an open loop."""
STEAL_LIMIT: Final = 0.01
FOREIGN_LIMIT: Final = 0.05
"""Of two cores for a second, so much is ten of the kernel's ticks."""
LAG_LIMIT: Final = 0.1
"""The generator's own delay may be so much of the response, at each quantile that is shown, or as long as it is from one request to the next."""
KEPT_UP: Final = 0.99
"""A server that answers a smaller share of what it is offered is overloaded."""
LITTLE_TOLERANCE: Final = 0.05
AWAKE_LIMIT: Final = 0.01
CEILING_TOLERANCE: Final = 1e-6
"""Of a share that is a ratio of whole nanoseconds."""
START_LIMIT_NS: Final = 20_000_000
"""Workers begin within so much of the agreed time, what is not known of their clocks included."""
MOVED_LIMIT_NS: Final = 5_000_000
"""A clock may move by so much in a launch: 100 ppm, more than a clock has that is kept, is that in 50 s."""
LATE_QUANTILE: Final = 0.9
LATE_LIMIT: Final = 0.05
"""An upstream's answers may be so much of the wait late, of nine in ten."""
SHORTEST_WAIT_NS: Final = 1e6
"""Of a shorter wait no timer is good enough for that."""


class Severity(Enum):
    """What follows from a reason."""

    INVALID = "the measurement is not used: it is not ranked; where time allows, its block is measured again"
    DOUBT = "it is used, and counted as disturbed"
    REMARK = "it says what was measured, and is no fault of the measurement"


class Reason(Enum):
    """Why a measurement is not valid, or what is to be known about it: its code, its meaning and its severity."""

    CONSERVATION = "conservation", "requests are missing from the books", Severity.INVALID
    WRONG_REPLIES = "wrong-replies", "replies were not what the oracle says", Severity.INVALID
    ERRORS = "errors", "connections broke", Severity.INVALID
    TIMEOUTS = "timeouts", "requests were sent and never answered", Severity.INVALID
    NOTHING_ANSWERED = "nothing-answered", "no reply came in the measuring window", Severity.INVALID
    LITTLES_LAW = "littles-law", "requests in flight are not throughput x response", Severity.INVALID
    LAG = (
        "lag",
        "the generator's own delay is too much of the response, and longer than from one request to the next",
        Severity.INVALID,
    )
    GENERATOR_SATURATED = "generator-saturated", "the generator had no time to spare", Severity.INVALID
    WORKER_LOST = "worker-lost", "a worker's part of the load is missing", Severity.INVALID
    START_OFF = "start-off", "a worker began too far from the agreed time", Severity.INVALID
    CLOCK_MOVED = "clock-moved", "a worker's clock was set or ran wrong meanwhile", Severity.INVALID
    STEAL = "steal", "the hypervisor gave too much of the machine's time to others", Severity.INVALID
    FOREIGN_WORK = (
        "foreign-work",
        "other processes worked on the cores of server and generator",
        Severity.INVALID,
    )
    NEIGHBOUR = (
        "neighbour",
        "others had a part of the machine, beside all servers of the block alike",
        Severity.DOUBT,
    )
    RESTLESS = "restless", "the server worked while it was to lie still", Severity.REMARK
    SHORT_LAG = (
        "short-lag",
        "the generator's own delay is much of a short response, and shorter than from one request to the next",
        Severity.DOUBT,
    )
    LATE_TAIL = (
        "late-tail",
        "the generator's own delay is too much of a quantile behind which there is little",
        Severity.REMARK,
    )
    STRAYS = "strays", "questions to the upstream and requests do not belong together", Severity.INVALID
    ABOVE_CEILING = "above-ceiling", "more was under way at the upstream than can be", Severity.INVALID
    LATE_ANSWERS = (
        "late-answers",
        "the upstream answered later than it should have, by too much of the wait",
        Severity.DOUBT,
    )
    SHARED_CORE = "shared-core", "server and generator did not have cores of their own", Severity.DOUBT
    OVERLOADED = "overloaded", "the server answered less than it was offered", Severity.REMARK
    CENSORED = "censored", "responses that never came rank above all that did", Severity.REMARK
    LATENCY_BOUND = "latency-bound", "neither core was busy: waking up takes the time", Severity.REMARK
    GENERATOR_BOUND = "generator-bound", "the generator's core was the busy one", Severity.REMARK
    WARMING_UP = "warming-up", Steadiness.WARMING_UP.meaning, Severity.REMARK
    SLOWING = "slowing", Steadiness.SLOWING.meaning, Severity.REMARK
    UNSTEADY = "unsteady", Steadiness.UNSTEADY.meaning, Severity.REMARK

    def __init__(self, code: str, meaning: str, severity: Severity) -> None:
        """Take them apart."""
        self.code = code
        self.meaning = meaning
        self.severity = severity


@dataclass(frozen=True)
class Flag:
    """A reason, and what of this measurement gives it."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        """Give the code first."""
        return f"{self.reason.code}: {self.detail}"


@dataclass(frozen=True)
class Validity:
    """All that is to be known about one measurement, the gravest first."""

    flags: tuple[Flag, ...]

    @property
    def valid(self) -> bool:
        """Tell whether it may be used."""
        return not self.of(Severity.INVALID)

    @property
    def invalidity(self) -> list[str]:
        """Say why it cannot be used, if it cannot: one code and explanation for each reason."""
        return [str(flag) for flag in self.of(Severity.INVALID)]

    @property
    def doubts(self) -> list[str]:
        """Say what may have disturbed a launch that can be used."""
        return [str(flag) for flag in self.of(Severity.DOUBT)]

    def of(self, severity: Severity) -> list[Flag]:
        """Return the flags of a severity."""
        return [flag for flag in self.flags if flag.reason.severity is severity]


def assess(sample: Sample) -> Validity:
    """Say whether a launch may be used, and what else is to be known about it."""
    found = [*_of_the_books(sample), *_of_the_instrument(sample), *_of_the_server(sample)]
    order = list(Severity)
    return Validity(tuple(sorted(found, key=lambda flag: order.index(flag.reason.severity))))


def invalidity(sample: Sample) -> list[str]:
    """Say why a sample cannot be used, if it cannot."""
    return assess(sample).invalidity


def limited_by(sample: Sample) -> str:
    """Tell what limits the throughput.

    Returns:
        "rate" for an open loop that the server kept up with; "server"; "generator"; "upstream" if as many questions as can be
        were under way nearly all the time; "machine" if a server that uses all
        cores and its generator together kept them busy; "latency" if there was time to spare; "unknown" if the server's
        process is not known.
    """
    if sample.load.arrivals != CLOSED and achieved_share(sample) >= KEPT_UP:
        return "rate"
    available_ns = sample.placement.server_cores * sample.window.length_s * 1e9
    if sample.server.cpu_ns >= BUSY * available_ns:
        return "server"
    if generator_share(sample) >= BUSY:
        return "generator"
    if (
        sample.placement.regime == ALL_CORES
        and sample.server.cpu_ns + sample.generator.cpu_ns >= BUSY * available_ns
        and sample.server.threads
    ):
        return "machine"
    if (ceiling_share(sample) or 0.0) >= BUSY:
        return "upstream"
    return "latency" if sample.server.threads else "unknown"


def achieved_share(sample: Sample) -> float:
    """Return what was answered in the window as a share of what was intended in it."""
    return sample.window.answered / sample.window.offered if sample.window.offered else 0.0


def generator_share(sample: Sample) -> float:
    """Return how much of its core a generator used, its deliberate spinning not counted; the mean of several."""
    working_ns = max(0, sample.generator.cpu_ns - sample.generator.spin_ns)
    return working_ns / (sample.window.length_s * 1e9 * sample.placement.generators)


def awake_share(sample: Sample) -> float:
    """Return how much of a core a server used between its slices, while it was to lie still."""
    rest_s = sum(each.rest_s for each in sample.slices)
    return sum(each.rest_cpu_ns for each in sample.slices) / 1e9 / rest_s if rest_s else 0.0


def _of_the_books(sample: Sample) -> Iterator[Flag]:
    accounted = accounted_for(sample.requests)
    if sample.requests.sent != accounted:
        detail = f"{sample.requests.sent} requests were sent and {accounted} are accounted for"
        yield Flag(Reason.CONSERVATION, detail)
    if sample.requests.never_sent < 0:
        detail = f"{sample.requests.planned} were planned, and {sample.requests.sent} sent"
        yield Flag(Reason.CONSERVATION, detail)
    if sample.requests.wrong:
        yield Flag(Reason.WRONG_REPLIES, f"{sample.requests.wrong} ({sample.requests.fault})")
    if sample.requests.error or (
        sample.requests.fault and not sample.requests.wrong and not sample.requests.timeout
    ):
        yield Flag(Reason.ERRORS, f"{sample.requests.error} ({sample.requests.fault})")
    yield from _of_the_company(sample)
    unanswered = sample.requests.timeout + (
        sample.requests.in_flight if sample.load.arrivals == CLOSED else 0
    )
    if unanswered:
        yield Flag(Reason.TIMEOUTS, f"{unanswered} not answered within {sample.load.timeout_s:g} s")
    yield from _of_the_slices(sample)
    yield from _of_the_workers(sample)
    if not sample.window.answered:
        yield Flag(Reason.NOTHING_ANSWERED, "no reply came in the measuring window")
    elif not littles_law_holds(sample):
        mean = sample.times.response_sum_ns / (sample.window.length_s * 1e9)
        detail = f"{mean:.1f} requests in flight by their times, {sample.load.clients * sample.load.pipeline} in truth"
        yield Flag(Reason.LITTLES_LAW, detail)
    if sample.upstream is not None:
        yield from _of_the_upstream(sample, sample.upstream)


def _of_the_workers(sample: Sample) -> Iterator[Flag]:
    """Judge each worker of a load that came from many by its own books and clock, and all together by their sum."""
    for each in sample.workers:
        if each.lost:
            yield Flag(
                Reason.WORKER_LOST,
                f"{each.lost}; {each.clients:,} of {sample.load.clients:,} clients were its",
            )
            continue
        if each.requests.sent != accounted_for(each.requests):
            detail = f"of worker {each.worker} {each.requests.sent} requests were sent and {accounted_for(each.requests)} are accounted for"
            yield Flag(Reason.CONSERVATION, detail)
        if each.start_off_ns > START_LIMIT_NS:
            detail = (
                f"worker {each.worker} was {each.start_off_ns / 1e6:.1f} ms off, its clock's error included"
            )
            yield Flag(Reason.START_OFF, detail)
        if each.clock_moved_ns > MOVED_LIMIT_NS:
            yield Flag(
                Reason.CLOCK_MOVED, f"that of worker {each.worker}, by {each.clock_moved_ns / 1e6:.1f} ms"
            )
    if sample.workers:
        of_all = sum(each.requests.sent for each in sample.workers)
        if of_all != sample.requests.sent:
            detail = f"the workers have sent {of_all} requests, and together {sample.requests.sent}"
            yield Flag(Reason.CONSERVATION, detail)


def accounted_for(requests: Requests) -> int:
    """Count the requests of which it is known what became of them."""
    return requests.ok + requests.wrong + requests.error + requests.timeout + requests.in_flight


def _of_the_upstream(sample: Sample, used: UpstreamUse) -> Iterator[Flag]:
    """Hold what was asked against what was sent, and how much was under way against how much can be."""
    if sample.requests.sent == sample.requests.ok:
        if used.under_way_ns != used.integral_ns:
            detail = f"questions were under way for {used.under_way_ns} ns one by one, and for {used.integral_ns} ns together"
            yield Flag(Reason.CONSERVATION, detail)
        if used.strays:
            yield Flag(Reason.STRAYS, f"{used.strays} questions and requests have no counterpart")
    share, most = ceiling_share(sample) or 0.0, sample.load.most_under_way
    if share > 1 + CEILING_TOLERANCE or used.most > most:
        mean = share * most
        yield Flag(Reason.ABOVE_CEILING, f"{mean:.1f} on average and {used.most} at once, of {most}")
    late = quantile_ns(used.late.histogram, LATE_QUANTILE)
    wait_ns = sample.load.upstream.wait_s * 1e9 if sample.load.upstream else 0.0
    if wait_ns >= SHORTEST_WAIT_NS and late is not None and late > LATE_LIMIT * wait_ns:
        detail = f"one answer in ten was {late / 1e3:,.0f} µs late or more, of a wait of {wait_ns / 1e6:g} ms"
        yield Flag(Reason.LATE_ANSWERS, detail)


def _of_the_slices(sample: Sample) -> Iterator[Flag]:
    """Hold the books of each slice against what was in flight: in a closed loop always the same number, to the nanosecond.

    Of several generators here each has edges of its own, those of workers are agreed; a request that was lost leaves a gap, which
    is told of elsewhere.
    """
    exact = sample.load.arrivals == CLOSED and (sample.placement.generators == 1 or sample.workers)
    if not exact or sample.requests.sent != sample.requests.ok:
        return
    in_flight = sample.load.clients * sample.load.pipeline
    for each in sample.kept_slices if sample.workers else sample.slices:
        if each.in_flight_ns != in_flight * round(each.length_s * 1e9):
            mean = each.in_flight_ns / (each.length_s * 1e9)
            detail = f"{mean:.3f} requests in flight by their times in cycle {each.cycle + 1}, {in_flight} in truth"
            yield Flag(Reason.CONSERVATION, detail)
            return


def _of_the_company(sample: Sample) -> Iterator[Flag]:
    """Judge the clients in the background like those that are measured: whoever is there must be served rightly."""
    accounted = sample.background.ok + sample.background.wrong + sample.background.error
    if sample.background.asked != accounted:
        detail = f"the company asked {sample.background.asked} times, and {accounted} are accounted for"
        yield Flag(Reason.CONSERVATION, detail)
    if sample.background.wrong:
        detail = f"{sample.background.wrong} of the company's ({sample.background.fault})"
        yield Flag(Reason.WRONG_REPLIES, detail)
    if sample.background.error:
        detail = f"{sample.background.error} of the company's requests ({sample.background.fault})"
        yield Flag(Reason.ERRORS, detail)


def littles_law_holds(sample: Sample) -> bool:
    """Check the bookkeeping of a closed loop: N D = throughput x mean response (Little 1961); of slices it is known exactly.

    Throughput x mean response is the sum of the responses over the window. Of each request in flight at an edge, up to one
    response too much or too little is counted, so that both sides may differ by the largest response over the window.
    """
    if sample.slices or sample.load.arrivals != CLOSED or sample.requests.sent != sample.requests.ok:
        return True
    if any(each.lost for each in sample.workers):
        return True  # what its clients had in flight is missing, as is said elsewhere
    window_ns = sample.window.length_s * 1e9
    in_flight = sample.load.clients * sample.load.pipeline
    error = abs(sample.times.response_sum_ns / window_ns / in_flight - 1)
    return error <= LITTLE_TOLERANCE + sample.times.response.max_ns / window_ns


def _of_the_instrument(sample: Sample) -> Iterator[Flag]:
    if sample.load.arrivals != CLOSED:
        for reason, late in _late(sample).items():
            yield Flag(reason, f"the generator's own delay was {', '.join(late)}")
        # A server that has no more to give gives no more, however busy the generator is; being late is judged above.
        if generator_share(sample) > SATURATED and limited_by(sample) != "server":
            detail = f"it worked {generator_share(sample):.0%} of the time, spinning not counted"
            yield Flag(Reason.GENERATOR_SATURATED, detail)
    if not sample.placement.pinned:
        why = (
            f"the server uses all {sample.placement.server_cores} cores, the generator's among them"
            if sample.placement.regime == ALL_CORES
            else "the server was free on all cores, the generator's among them"
            if sample.placement.free
            else "server and generator did not have a core each"
        )
        yield Flag(Reason.SHARED_CORE, why)
    # In slices the servers of a block have suffered alike, and cycles that were hit hard are left out.
    if sample.machine.steal_share > STEAL_LIMIT:
        detail = f"the hypervisor gave {sample.machine.steal_share:.1%} of the machine's time to others"
        yield Flag(Reason.NEIGHBOUR if sample.slices else Reason.STEAL, detail)
    if sample.machine.foreign_share > FOREIGN_LIMIT:
        detail = f"others took {sample.machine.foreign_share:.0%} of the time of these cores"
        yield Flag(Reason.NEIGHBOUR if sample.slices else Reason.FOREIGN_WORK, detail)


def _late(sample: Sample) -> dict[Reason, list[str]]:
    """Name the shown quantiles of the response of which the lag is too large a part, by what follows from it.

    A share of the response alone would throw out launches because they were fast, and keep the slow ones of the same server: so
    a lag makes one invalid only if it is also longer than the mean time between two requests, which no server has a say in.

    Where little stands behind the quantile, of lag or response, one hiccup of the generator does it, a single late request of
    a thousand at p99.9: that is said, so that nobody takes it for the server's, and makes nothing invalid, since otherwise
    the more is shown, the less would be valid.
    """
    between_ns = 1e9 / sample.load.rate if sample.load.rate else math.inf
    late: dict[Reason, list[str]] = {}
    for name, q in QUANTILES.items():
        lag, found = quantile(sample.times.lag.histogram, q), response(sample, q)
        if lag.ns is not None and found.ns is not None and lag.ns > LAG_LIMIT * found.ns:
            too_long = Reason.LAG if lag.ns > between_ns else Reason.SHORT_LAG
            reason = too_long if lag.enough and found.enough else Reason.LATE_TAIL
            late.setdefault(reason, []).append(f"{lag.ns / 1e3:,.0f} of {found.ns / 1e3:,.0f} µs at {name}")
    return late


def _of_the_server(sample: Sample) -> Iterator[Flag]:
    if (share := awake_share(sample)) > AWAKE_LIMIT:
        yield Flag(Reason.RESTLESS, f"it used {share:.1%} of a core between its slices")
    if sample.load.arrivals != CLOSED and achieved_share(sample) < KEPT_UP:
        detail = f"{achieved_share(sample):.1%} of what was offered was answered in the window"
        yield Flag(Reason.OVERLOADED, detail)
    if sample.load.arrivals != CLOSED and sample.times.censored:
        detail = f"{sample.times.censored:,} of {sample.window.offered:,} in the window were not answered by the end"
        yield Flag(Reason.CENSORED, detail)
    if sample.load.arrivals == CLOSED and limited_by(sample) == "latency":
        yield Flag(Reason.LATENCY_BOUND, "neither the server's core nor the generator's was busy")
    if sample.load.arrivals == CLOSED and limited_by(sample) == "generator":
        yield Flag(Reason.GENERATOR_BOUND, "the throughput is a lower bound of the server's")
    label = steadiness(sample.window.series)
    if label not in {Steadiness.FLAT, Steadiness.UNKNOWN}:
        yield Flag(Reason[label.name], label.meaning)
