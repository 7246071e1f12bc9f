"""One measurement, as JSON and as a person reads it."""

from collections.abc import Iterator
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.analyse.samples.metrics import ceiling_share, throughput_rps
from harness.analyse.samples.quantiles import ENOUGH_EVENTS, QUANTILES, Observed, Quantile, responses
from harness.analyse.samples.steadiness import steadiness
from harness.analyse.samples.validity import (
    Severity,
    achieved_share,
    assess,
    generator_share,
    limited_by,
)
from harness.plan import CLOSED
from harness.record import Distribution, Requests, Sample, UpstreamUse, WorkerShare

VIEWS: Final = ("response", "service", "queueing", "lag")
MAX: Final = "max"
MARK: Final = "*"
"""Of a quantile behind which little stands."""


def as_json(sample: Sample) -> dict[str, Any]:
    """Return the contract's keys, and what else is known.

    A quantile is null if nothing was observed beyond it. If that is because requests never came, `censored` names it, and
    says what it is above. `behind` tells of each quantile how many observations lie beyond it, how many events these are,
    and its 95 % interval; null where it has none.
    """
    verdict = assess(sample)
    quantiles = {view: _quantiles(sample, view) for view in VIEWS}
    return {
        "throughput_rps": throughput_rps(sample),
        **{f"{view}_us": {name: _us(found.ns) for name, found in quantiles[view].items()} for view in VIEWS},
        "behind": {f"{view}_us": _behind(sample, view) for view in VIEWS},
        "requests": _requests_as_json(sample.requests),
        "loop": {
            "arrivals": sample.load.arrivals,
            "offered_rps": None if sample.load.arrivals == CLOSED else sample.window.offered / sample.window.length_s,
            "achieved_share": None if sample.load.arrivals == CLOSED else achieved_share(sample),
            "late": sample.window.late,
            "seed": sample.load.seed,
        },
        "censored": {
            "requests": sample.times.censored,
            "above_us": {
                f"{view}_us": {name: _us(found.above_ns) for name, found in quantiles[view].items() if found.censored}
                for view in VIEWS
            },
        },
        "server": _server_as_json(sample),
        "generator": {
            "processes": sample.placement.generators,
            "cpu_us_per_request": sample.generator.cpu_ns / 1e3 / max(1, sample.window.answered),
            "cpu_share": sample.generator.cpu_ns / (sample.window.length_s * 1e9),
            "busy_share": generator_share(sample),
        },
        **({"workers": [_worker_as_json(each) for each in sample.workers]} if sample.workers else {}),
        **(_upstream_as_json(sample, sample.upstream) if sample.upstream else {}),
        "limited_by": limited_by(sample),
        "steady_state": steadiness(sample.window.series).value,
        "steal_share": sample.machine.steal_share,
        "valid": verdict.valid,
        "reasons": [str(finding) for finding in verdict.flags],
    }  # fmt: skip


def _server_as_json(sample: Sample) -> dict[str, Any] | None:
    if not sample.server.threads:
        return None  # its process is not ours
    switches = sample.server.switches_voluntary + sample.server.switches_involuntary
    return {
        "cpu_us_per_request": sample.server.cpu_ns / 1e3 / max(1, sample.window.answered),
        "cpu_share": sample.server.cpu_ns / (sample.window.length_s * 1e9),
        "switches_per_request": switches / max(1, sample.requests.ok),
        "memory_ready_bytes": sample.server.memory_ready_bytes,
        "memory_connected_bytes": sample.server.memory_connected_bytes,
        "memory_peak_bytes": sample.server.memory_peak_bytes,
        "threads": sample.server.threads,
        "descriptors": sample.server.descriptors,
    }


def _worker_as_json(share: WorkerShare) -> dict[str, Any]:
    return {
        "name": share.worker,
        "clients": share.clients,
        "requests": _requests_as_json(share.requests),
        "clock_offset_us": share.clock_offset_ns / 1e3,
        "clock_error_us": share.clock_error_ns / 1e3,
        "clock_moved_us": share.clock_moved_ns / 1e3,
        "start_off_us": share.start_off_ns / 1e3,
        "lost": share.lost,
    }


def _requests_as_json(requests: Requests) -> dict[str, int]:
    names = ("planned", "sent", "ok", "wrong", "error", "timeout", "in_flight", "never_sent")
    return {name: getattr(requests, name) for name in names}


def _upstream_as_json(sample: Sample, used: UpstreamUse) -> dict[str, Any]:
    def times(found: Distribution) -> dict[str, float | None]:
        observed = Observed(found.histogram)
        return {name: _us(observed.quantile(q).ns) for name, q in QUANTILES.items()} | {
            MAX: found.max_ns / 1e3
        }

    return {
        "upstream": {
            "asked": used.asked,
            "in_flight_mean": used.under_way_ns / (sample.window.length_s * 1e9),
            "in_flight_max": used.most,
            "ceiling_rps": sample.load.ceiling_rps,
            "share": ceiling_share(sample),
            "late_us": times(used.late),
        },
        "server_us": times(used.own),
        "server_asking_us": times(used.asking),
        "server_returning_us": times(used.returning),
    }


def _us(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e3


def _observed(sample: Sample, view: str) -> Observed:
    """Return the times of one view. What never came has no times: that counts for the response."""
    times: Distribution = getattr(sample.times, view)
    return responses(sample) if view == "response" else Observed(times.histogram)


def _quantiles(sample: Sample, view: str) -> dict[str, Quantile]:
    """Return the quantiles and the largest of one view."""
    times: Distribution = getattr(sample.times, view)
    observed = _observed(sample, view)
    found = {name: observed.quantile(q) for name, q in QUANTILES.items()}
    if observed.censored:
        found[MAX] = Quantile(above_ns=max(observed.waited_ns, times.max_ns))
    else:
        found[MAX] = Quantile(ns=times.max_ns if times.histogram else None)
    return found


def _behind(sample: Sample, view: str) -> dict[str, dict[str, Any]]:
    observed = _observed(sample, view)
    told = {}
    for name, q in QUANTILES.items():
        found, interval = observed.quantile(q), observed.rank_interval(q)
        low, high = interval or (None, None)
        told[name] = {
            "beyond": found.beyond, "events": found.events, "ci_low": _us(low), "ci_high": _us(high)
        }  # fmt: skip
    return told


def show(sample: Sample, console: Console) -> None:
    """Print one measurement as a person reads it."""
    console.print(_headline(sample), markup=False, highlight=False)
    console.print(_table(sample))
    for line in _facts(sample):
        console.print(line, highlight=False)
    colours = {Severity.INVALID: "bold red", Severity.DOUBT: "yellow", Severity.REMARK: "cyan"}
    words = {Severity.INVALID: "invalid", Severity.DOUBT: "doubtful", Severity.REMARK: "remark"}
    for finding in assess(sample).flags:
        severity = finding.reason.severity
        console.print(
            f"[{colours[severity]}]{words[severity]:<9}[/]  {escape(str(finding))}", highlight=False
        )


def _headline(sample: Sample) -> str:
    in_flight = "" if sample.load.pipeline == 1 else f", {sample.load.pipeline} in flight each"
    clients = f"{sample.load.clients:,} client{'s' if sample.load.clients > 1 else ''}{in_flight}"
    rate = (
        f"{sample.cell.server}: {throughput_rps(sample):,.0f} requests/s over {sample.window.length_s:.1f} s"
    )
    if sample.load.arrivals == CLOSED:
        return f"{rate}, {clients}; limited by: {limited_by(sample)}"
    return f"{rate} of {sample.window.offered / sample.window.length_s:,.0f} offered ({sample.load.arrivals} arrivals), {clients}"


def _table(sample: Sample) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("µs")
    for name in (*QUANTILES, MAX):
        table.add_column(title_of(name), justify="right", min_width=9)
    views = ("response", "service", "lag") if sample.load.arrivals == CLOSED else VIEWS
    for view in views:
        found = _quantiles(sample, view)
        table.add_row(view, *(marked(found[name]) for name in QUANTILES), in_words_us(found[MAX]))
        if view == "response":
            intervals = (responses(sample).rank_interval(q) for q in QUANTILES.values())
            table.add_row("  95 %", *map(_interval, intervals), "", style="dim")
    return table


def marked(found: Quantile) -> str:
    """Write a quantile in µs, with a mark if little stands behind it."""
    return in_words_us(found) + (MARK if found.known and not found.enough else "")


def _interval(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{found[0] / 1e3:,.0f}–{found[1] / 1e3:,.0f}"


def title_of(name: str) -> str:
    """Return a quantile's name as it is printed."""
    return name.replace("p999", "p99.9")


def in_words_us(found: Quantile) -> str:
    """Write a quantile in µs; a dash if it is not known."""
    if found.above_ns is not None:
        return f"> {found.above_ns / 1e9:,.3g} s"
    return "–" if found.ns is None else f"{found.ns / 1e3:,.1f}"


def _upstream_facts(sample: Sample, used: UpstreamUse) -> Iterator[str]:
    mean, most = used.under_way_ns / (sample.window.length_s * 1e9), sample.load.most_under_way
    yield (
        f"upstream   {used.asked:,} questions, {mean:,.1f} under way on average of {most:,} at most: {mean / most:.1%} of the ceiling, "
        f"{sample.load.ceiling_rps:,.0f} requests/s"
    )
    late, own = Observed(used.late.histogram), Observed(used.own.histogram)
    yield (
        f"           its answers were late by {in_words_us(late.quantile(0.5))} µs (median), {in_words_us(late.quantile(0.9))} (p90); "
        f"the server's own part of a response: {in_words_us(own.quantile(0.5))} µs (median), {in_words_us(own.quantile(0.99))} (p99)"
    )


def _worker_in_words(share: WorkerShare) -> str:
    name = f"worker {escape(share.worker)}"
    if share.lost:
        return f"{name:<10} lost: of its {share.clients:,} clients nothing is known since"
    return (
        f"{name:<10} {share.clients:,} clients, {share.requests.sent:,} sent, {share.requests.ok:,} right; clock "
        f"{share.clock_offset_ns / 1e6:+,.2f} ms ±{share.clock_error_ns / 1e6:,.2f}; began {share.start_off_ns / 1e6:,.2f} ms off"
    )


def _facts(sample: Sample) -> Iterator[str]:
    window_ns = sample.window.length_s * 1e9
    if sample.server.threads:
        cpu_us = sample.server.cpu_ns / 1e3 / max(1, sample.window.answered)
        yield (
            f"server     {cpu_us:.1f} µs CPU per request, {sample.server.cpu_ns / window_ns:.0%} of a core, "
            f"{sample.server.memory_peak_bytes / 2**20:.0f} MiB at most"
        )
    if sample.upstream is not None:
        yield from _upstream_facts(sample, sample.upstream)
    spinning = sample.generator.spin_ns / window_ns / sample.placement.generators
    yield f"generator  {generator_share(sample):.0%} of a core" + (
        f", and {spinning:.0%} spinning to be on time" if spinning else ""
    )
    yield (
        f"requests   {sample.requests.sent:,} sent, {sample.requests.ok:,} right, {sample.requests.wrong:,} wrong, {sample.requests.error:,} errors, "
        f"{sample.requests.timeout + sample.requests.in_flight:,} unanswered"
    )
    if sample.load.arrivals != CLOSED:
        yield (
            f"schedule   {sample.requests.planned:,} planned, {sample.requests.never_sent:,} never sent; of the window's "
            f"{sample.window.offered:,}, {sample.window.late:,} sent over 1 ms late"
        )
    for each in sample.workers:
        yield _worker_in_words(each)
    yield f"steady     {steadiness(sample.window.series).value}"
    if repeated := sum(sample.times.response_repeats_ns.values()):
        yield f"stalls     {repeated:,} responses shared a stall with a longer one: such a stall is one event"
    found = {name: responses(sample).quantile(q) for name, q in QUANTILES.items()}
    few = [
        f"{title_of(name)} {each.events:,}" for name, each in found.items() if each.known and not each.enough
    ]
    if few:
        yield f"quantiles  {MARK} fewer than {ENOUGH_EVENTS} events lie beyond, not enough to rank by: {', '.join(few)}"
