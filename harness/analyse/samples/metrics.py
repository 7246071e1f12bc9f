"""From samples to figures: one value for each launch and metric, and which launches are valid and count. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.analyse.samples import quantiles
from harness.analyse.slopes import slope
from harness.plan import IDLE
from harness.record import Sample


@dataclass(frozen=True)
class Metric:
    """One figure of a launch.

    Attributes:
        name: as in JSON.
        title: as in a table, with its unit.
        higher_is_better: its direction.
        value: works it out; None if this launch cannot say.
        additive: it differs by so much rather than by a factor, and may be 0 or less: its mean is the arithmetic one.
    """

    name: str
    title: str
    higher_is_better: bool
    value: Callable[[Sample], float | None]
    additive: bool = False


def response_us(q: float) -> Callable[[Sample], float | None]:
    """Return a function that works out a quantile of the response time."""

    def value(sample: Sample) -> float | None:
        found = quantiles.response(sample, q).ns
        return None if found is None else found / 1e3

    return value


def throughput_rps(sample: Sample) -> float:
    """Requests answered in a second: in all slices that count together, or in the window if there are none."""
    kept = sample.kept_slices
    if kept:
        return sum(each.answered for each in kept) / sum(each.length_s for each in kept)
    return sample.window.answered / sample.window.length_s


def cpu_us_per_request(sample: Sample) -> float | None:
    """CPU time of the server's process for one request, user and system, all threads.

    In all slices that count together, or in the window if there are none. If others ask besides, what the server does for
    them cannot be told from it, so that nothing can be said.
    """
    if kept := sample.kept_slices:
        answered, cpu_ns = sum(each.answered for each in kept), sum(each.cpu_ns for each in kept)
        return cpu_ns / 1e3 / answered if answered and cpu_ns else None
    if not sample.window.answered or not sample.server.cpu_ns or others_ask(sample):
        return None
    return sample.server.cpu_ns / 1e3 / sample.window.answered


def others_ask(sample: Sample) -> bool:
    """Tell whether there was company that asked something in the window, too."""
    return sample.load.background is not None and sample.load.background.kind != IDLE


def switches_per_request(sample: Sample) -> float | None:
    """Context switches of the server for one request, voluntary and not."""
    if not sample.requests.ok or not sample.server.threads or others_ask(sample):
        return None
    return (sample.server.switches_voluntary + sample.server.switches_involuntary) / sample.requests.ok


def peak_mib(sample: Sample) -> float | None:
    """The most memory that the server ever held."""
    return sample.server.memory_peak_bytes / 2**20 if sample.server.memory_peak_bytes else None


def idle_kib_per_connection(sample: Sample) -> float | None:
    """What a connected, silent client costs in memory; a single page says nothing, so it takes a hundred clients."""
    connections = sample.load.connections
    if connections < 100 or not sample.server.memory_ready_bytes or sample.load.churn:
        return None
    return (sample.server.memory_connected_bytes - sample.server.memory_ready_bytes) / connections / 1024


def system_share(sample: Sample) -> float | None:
    """Of the server's CPU time, what the kernel spent for it: sampled, so good to a few per cent in a second."""
    known_ns = sample.server.user_ns + sample.server.system_ns
    return sample.server.system_ns / known_ns if known_ns else None


def connect_us(q: float) -> Callable[[Sample], float | None]:
    """Return a function that works out a quantile of the time from the intention to connect to the greeting."""

    def value(sample: Sample) -> float | None:
        found = quantiles.quantile_ns(sample.times.connect_ns, q)
        return None if found is None else found / 1e3

    return value


def memory_slope_kib_per_s(sample: Sample) -> float | None:
    """By how much the server's memory grew each second: the slope of the line of least squares through the readings.

    Of slices it cannot be said: there a server is read when its turn comes.
    """
    if sample.slices or len(sample.server.memory_series_bytes) < FEWEST_READINGS:
        return None
    readings = sample.server.memory_series_bytes
    return slope(range(len(readings)), readings).value / 1024


def ceiling_share(sample: Sample) -> float | None:
    """Of the questions that can be under way at an upstream at once, how many were on average; None if there is none."""
    under_way = mean_under_way(sample)
    return None if under_way is None else under_way / sample.load.most_under_way


def mean_under_way(sample: Sample) -> float | None:
    """How many questions of a relay were under way on average; None if it is none."""
    if sample.upstream is None:
        return None
    return sample.upstream.under_way_ns / (sample.window.length_s * 1e9)


def ceiling_rps(sample: Sample) -> float | None:
    """What wait, clients and pool allow a relay to answer in a second, however fast it is; None if it is none."""
    return sample.load.ceiling_rps if sample.upstream else None


def core_share(sample: Sample) -> float | None:
    """Of the cores that a relay may use, how much it used; None if it is none, or not our process."""
    if sample.upstream is None or not sample.server.cpu_ns:
        return None
    return sample.server.cpu_ns / (sample.window.length_s * 1e9 * sample.placement.server_cores)


def of_upstream_us(part: str, q: float) -> Callable[[Sample], float | None]:
    """Return a function that works out a quantile of a part of a relay's responses, or of how late its upstream answered."""

    def value(sample: Sample) -> float | None:
        if sample.upstream is None:
            return None
        found = quantiles.quantile_ns(getattr(sample.upstream, part).histogram, q)
        return None if found is None else found / 1e3

    return value


FEWEST_READINGS: Final = 5
"""A slope through fewer readings of the memory says nothing."""

QUANTILES: Final = {
    "response_p50_us": 0.5,
    "response_p90_us": 0.9,
    "response_p99_us": 0.99,
    "response_p999_us": 0.999,
}

METRICS: Final = (
    Metric("throughput_rps", "requests/s", higher_is_better=True, value=throughput_rps),
    Metric("cpu_us_per_request", "CPU µs per request", higher_is_better=False, value=cpu_us_per_request),
    Metric("response_p50_us", "p50 µs", higher_is_better=False, value=response_us(0.5)),
    Metric("response_p90_us", "p90 µs", higher_is_better=False, value=response_us(0.9)),
    Metric("response_p99_us", "p99 µs", higher_is_better=False, value=response_us(0.99)),
    Metric("response_p999_us", "p99.9 µs", higher_is_better=False, value=response_us(0.999)),
    Metric(
        "switches_per_request", "switches per request", higher_is_better=False, value=switches_per_request
    ),
    Metric("peak_mib", "peak memory MiB", higher_is_better=False, value=peak_mib),
    Metric(
        "idle_kib_per_connection",
        "KiB per idle connection",
        higher_is_better=False,
        value=idle_kib_per_connection,
    ),
    Metric("system_share", "of it in the kernel", higher_is_better=False, value=system_share),
    Metric("connect_p50_us", "connect p50 µs", higher_is_better=False, value=connect_us(0.5)),
    Metric("connect_p99_us", "connect p99 µs", higher_is_better=False, value=connect_us(0.99)),
    Metric(
        "fairness_jain", "fairness", higher_is_better=True, value=lambda sample: sample.window.fairness_jain
    ),
    Metric(
        "worst_client_share",
        "worst client",
        higher_is_better=True,
        value=lambda sample: sample.window.worst_client_share,
    ),
    Metric(
        "recovery_s",
        "recovery s",
        higher_is_better=False,
        value=lambda sample: sample.window.recovery_s,
        additive=True,
    ),
    Metric("ceiling_rps", "ceiling", higher_is_better=True, value=ceiling_rps),
    Metric("ceiling_share", "share of the ceiling", higher_is_better=True, value=ceiling_share),
    Metric("mean_under_way", "under way", higher_is_better=True, value=mean_under_way),
    Metric("core_share", "share of the core", higher_is_better=False, value=core_share),
    Metric("own_p50_us", "own part p50 µs", higher_is_better=False, value=of_upstream_us("own", 0.5)),
    Metric("own_p99_us", "own part p99 µs", higher_is_better=False, value=of_upstream_us("own", 0.99)),
    Metric("prompt_p50_us", "no wait: p50 µs", higher_is_better=False, value=of_upstream_us("prompt", 0.5)),
    Metric("prompt_p99_us", "no wait: p99 µs", higher_is_better=False, value=of_upstream_us("prompt", 0.99)),
    Metric(
        "memory_slope_kib_per_s",
        "memory KiB/s",
        higher_is_better=False,
        value=memory_slope_kib_per_s,
        additive=True,
    ),
)


def metric(name: str) -> Metric:
    """Return a metric by its name."""
    return next(each for each in METRICS if each.name == name)
