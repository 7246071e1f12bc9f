"""`harness sweep`: one server's latency against the offered rate, its knee, and how it recovers from an overload."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click
from msgspec.structs import replace
from rich import box
from rich.console import Console
from rich.table import Table

from harness.analyse.knee import (
    SERVERS_FAULT,
    RatePoint,
    Slo,
    knee,
    next_rate,
    probe,
    rates_for,
    recovery_s,
    unserved,
)
from harness.analyse.samples.metrics import throughput_rps
from harness.analyse.samples.quantiles import QUANTILES, Quantile, quantile, requests_for, response
from harness.analyse.samples.validity import Severity, assess, limited_by
from harness.cli.exit_codes import FAILED
from harness.cli.load_options import MOST_REQUESTS, Given, check_rate, loading, measured
from harness.cli.load_table import as_json
from harness.cli.options import json_option, write_to
from harness.cli.terminal import console_for
from harness.errors import UsageError
from harness.plan import CONSTANT, OVERLOAD, RELIEF, Load
from harness.record import Sample

SLO_FORM: Final = re.compile(r"(p50|p90|p99|p999|p99\.9)\s*=\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
UNITS_NS: Final = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
OVERLOAD_S: Final = 1.0
LONGEST_WINDOW_S: Final = 10.0
"""At a low rate the window is longer than asked for, up to this, so that the limit's quantile can be given."""
SHORTEST_WINDOW_S: Final = 0.1
"""At a high rate it is shorter, so that all requests can be kept, but not shorter than --duration may be."""
SPARE: Final = 1.1
MARKS: Final = {True: "yes", False: "no", None: "?"}


@click.command()
@loading(duration_s=2.0)
@click.option(
    "--rates",
    metavar="R,...",
    help="Offer these; otherwise fractions of its peak, common ones, and a search.",
)
@click.option(
    "--slo", default="p99=10ms", show_default=True, help="The limit for the knee: a quantile, and a time."
)
@json_option("the figures")
def sweep(given: Given, rates: str | None, slo: str, json_file: str | None) -> int:
    """Offer one server rising rates in an open loop, a fresh launch each: latency, knee, recovery.

    First its peak is measured, in a closed loop of as many clients. The knee is the highest rate at which it answers 99 %
    of what it is offered in time, without errors, and within the limit. Then it is offered 120 % of its peak, and 50 %
    from one moment to the next: it has recovered when its responses are within the limit again. Without --rates, windows
    at low rates are longer than --duration if the limit's quantile takes more requests, and at high ones shorter if there
    would be more than can be kept.
    """
    candidate = given.candidate()
    limit = parsed_slo(slo)
    closed = given.closed_loop()
    load = replace(closed, arrivals=given.arrivals or CONSTANT)
    asked_for = None if rates is None else parsed_rates(rates, limit, load, given.most_generators)
    console = console_for(to_errors=json_file == "-")

    with given.measuring() as measure:

        def measured_under(load: Load, what: str) -> Sample:
            return measured(measure, candidate, load, console, f"{candidate.label}, {what}: ")

        peak = measured_under(closed, "peak")
        samples = list(_samples(measured_under, load, asked_for, throughput_rps(peak), limit))
        samples.sort(key=lambda sample: sample.load.rate)
        recovery = measured_under(_relief(load, throughput_rps(peak)), "recovery")
    found = Found(peak, samples, [probe(sample, limit) for sample in samples], recovery, limit)
    _show(found, console)
    write_to(json_file, json.dumps(_as_json(found), indent=1) + "\n")
    if not (reasons := unserved(found.probes)):
        return 0
    print(f"harness: {candidate.label} was not seen to serve any rate: {reasons}", file=sys.stderr)
    return FAILED


@dataclass(frozen=True)
class Found:
    """All that a sweep found: the peak, a sample and its judgement for each rate, and the recovery."""

    peak: Sample
    samples: Sequence[Sample]
    probes: Sequence[RatePoint]
    recovery: Sample
    slo: Slo


def parsed_slo(text: str) -> Slo:
    """Read a limit such as p99=10ms; UsageError if it is none."""
    found = SLO_FORM.fullmatch(text.strip())
    if not found or float(found[2]) == 0:
        raise UsageError(f"--slo takes a quantile and a time, such as p99=10ms, not {text!r}")
    name = found[1].replace(".", "")
    return Slo(name, QUANTILES[name], float(found[2]) * UNITS_NS[found[3]])


def parsed_rates(text: str, slo: Slo, load: Load, generators: int) -> tuple[float, ...]:
    """Read rates; UsageError if they are none, or if the window is too short for the limit's quantile."""
    try:
        rates = sorted({float(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(f"--rates takes numbers with commas between them, not {text!r}") from None
    for rate in rates:
        check_rate(rate, load, generators)
        needed = requests_for(slo.q)
        if rate * load.duration_s < needed:
            raise UsageError(
                f"{slo.name} takes {needed:,} requests: at {rate:g} requests/s use --duration {needed / rate:g} or more"
            )
    return tuple(rates)


def _samples(
    measured_under: Callable[[Load, str], Sample],
    load: Load,
    asked_for: Sequence[float] | None,
    peak_rps: float,
    slo: Slo,
) -> Iterator[Sample]:
    """Offer the rates that were asked for, or those that tell most; then search for the knee."""
    probes: list[RatePoint] = []

    def offered(rate: float) -> Sample:
        offer = replace(load, rate=rate, duration_s=window_s(rate, load, slo))
        sample = measured_under(offer, f"{rate:,.0f} requests/s")
        probes.append(probe(sample, slo))
        return sample

    for rate in rates_for(peak_rps) if asked_for is None else asked_for:
        yield offered(rate)
    while asked_for is None and (further := next_rate(probes)) is not None:
        yield offered(further)


def window_s(rate: float, load: Load, slo: Slo) -> float:
    """Return how long to offer a rate: long enough for the limit's quantile, and not for more requests than can be kept.

    Raises:
        UsageError: those of the warm-up alone are too many.
    """
    enough_s = SPARE * requests_for(slo.q) / rate
    most_s = MOST_REQUESTS / rate - load.warmup_s
    if most_s < SHORTEST_WINDOW_S:
        raise UsageError(
            f"a warm-up of {load.warmup_s:g} s at {rate:,.0f} requests/s leaves no window: at most {MOST_REQUESTS:,} can be kept"
        )
    return min(max(load.duration_s, min(enough_s, LONGEST_WINDOW_S)), most_s)


def _relief(load: Load, peak_rps: float) -> Load:
    """Return a load that begins with an overload and goes on with half of the peak."""
    rate, overload = (max(1.0, round(share * peak_rps)) for share in (RELIEF, OVERLOAD))
    most_s = (MOST_REQUESTS - overload * OVERLOAD_S) / rate
    return replace(
        load,
        rate=rate,
        duration_s=min(load.duration_s, most_s),
        warmup_rate=overload,
        warmup_s=OVERLOAD_S,
    )


def _show(found: Found, console: Console) -> None:
    peak, peak_rps = found.peak, throughput_rps(found.peak)
    at_least = "≥ " if limited_by(peak) == "generator" else ""
    console.print(
        f"{peak.cell.server}: peak {at_least}{peak_rps:,.0f} requests/s in a closed loop, {peak.load.clients:,} clients; "
        f"limited by: {limited_by(peak)}",
        markup=False,
        highlight=False,
    )
    console.print(_curve(found.samples, found.probes, peak_rps))
    console.print(f"knee       {knee(found.probes)} ({found.slo})", highlight=False)
    console.print(f"recovery   {_recovery_in_words(found.recovery, found.slo)}", highlight=False)


def _curve(samples: Sequence[Sample], probes: Sequence[RatePoint], peak_rps: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (
        "offered/s",
        "of peak",
        "achieved",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "lag p99 ms",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("sustained", no_wrap=True)
    for sample, each in zip(samples, probes, strict=True):
        table.add_row(
            f"{each.rate:,.0f}",
            f"{each.rate / peak_rps:.0%}" if peak_rps else "–",
            f"{each.achieved_share:.1%}",
            *(in_words_ms(response(sample, QUANTILES[q])) for q in ("p50", "p99", "p999")),
            in_words_ms(quantile(sample.times.lag.histogram, QUANTILES["p99"])),
            f"{MARKS[each.sustained]}{f': {each.why}' if each.why else ''}",
        )
    return table


def in_words_ms(found: Quantile) -> str:
    """Write a quantile in ms; a dash if it is not known."""
    if found.above_ns is not None:
        return f"> {found.above_ns / 1e6:,.0f}"
    return "–" if found.ns is None else f"{found.ns / 1e6:,.2f}"


def _recovery_in_words(sample: Sample, slo: Slo) -> str:
    ours = [flag for flag in assess(sample).of(Severity.INVALID) if flag.reason not in SERVERS_FAULT]
    if ours:
        return f"not known: {ours[0]}"
    seconds = recovery_s(sample, slo)
    course = f"after {OVERLOAD_S:g} s at {OVERLOAD:.0%} of its peak, then {RELIEF:.0%}"
    if seconds is None:
        return f"not within {sample.window.length_s:.1f} s, {course}"
    return f"{seconds:.2f} s, to {sample.window.length_s / len(sample.window.response_slices_ns):.2g} s, {course}"


def _as_json(found: Found) -> dict[str, Any]:
    peak_rps = throughput_rps(found.peak)
    bracket = knee(found.probes)
    return {
        "server": found.peak.cell.server,
        "slo": {"quantile": found.slo.name, "limit_us": found.slo.limit_ns / 1e3},
        "peak": as_json(found.peak),
        "points": [
            {
                "rate": each.rate,
                "of_peak": each.rate / peak_rps if peak_rps else None,
                "sustained": each.sustained,
                "why": each.why,
                **as_json(sample),
            }
            for sample, each in zip(found.samples, found.probes, strict=True)
        ],
        "knee": {"low_rps": bracket.low, "high_rps": bracket.high},
        "recovery": {"seconds": recovery_s(found.recovery, found.slo), **as_json(found.recovery)},
    }
