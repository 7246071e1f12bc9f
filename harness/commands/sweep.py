"""`harness sweep`: one server's latency against the offered rate, its knee, and how it recovers from an overload."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table

from harness.analyse import throughput_rps
from harness.candidates import Candidate, UsageError
from harness.commands.loading import arrivals_of, check_rate, closed_load, load_options, measured, one_server
from harness.commands.options import FAILED, connect_option, server_options, write_to
from harness.commands.shown import as_json
from harness.conformance.matrix import console_for
from harness.measure import Load
from harness.quantiles import QUANTILES, Quantile, quantile, requests_for, response
from harness.record import Sample
from harness.search import OVERLOAD, RELIEF, Knee, Probe, Slo, knee, next_rate, probe, rates_for, recovery_s
from harness.validity import limited_by

SLO_FORM: Final = re.compile(r"(p50|p90|p99|p999|p99\.9)\s*=\s*(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
UNITS_NS: Final = {"us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
OVERLOAD_S: Final = 1.0
LONGEST_WINDOW_S: Final = 10.0
"""At a low rate the window is longer than asked for, up to this, so that the limit's quantile can be given."""
SPARE: Final = 1.1
MARKS: Final = {True: "yes", False: "no", None: "?"}


@click.command()
@click.argument("name", required=False)
@server_options
@connect_option
@load_options
@click.option(
    "--rates",
    metavar="R,...",
    help="Offer these; otherwise fractions of its peak, common ones, and a search.",
)
@click.option(
    "--slo", default="p99=10ms", show_default=True, help="The limit for the knee: a quantile, and a time."
)
@click.option(
    "--duration",
    type=click.FloatRange(0.1, 600),
    default=2.0,
    show_default=True,
    help="Seconds at each rate; more at low ones, if the quantile takes more requests.",
)
@click.option(
    "--warmup", type=click.FloatRange(0, 60), default=0.5, show_default=True, help="Seconds before that."
)
@click.option("--json", "json_file", metavar="FILE", help="Write the figures as JSON; - for standard output.")
def sweep(  # noqa: PLR0913 - one parameter for each option
    name: str | None,
    servers: Sequence[str],
    declarations: Sequence[str],
    connect: str | None,
    clients: int,
    pipeline: int,
    arrivals: str | None,
    seed: int,
    generators: int,
    timeout: float,
    line: str | None,
    rates: str | None,
    slo: str,
    duration: float,
    warmup: float,
    json_file: str | None,
) -> int:
    """Offer one server rising rates in an open loop, a fresh launch each: latency, knee, recovery.

    First its peak is measured, in a closed loop of as many clients. The knee is the highest rate at which it answers 99 %
    of what it is offered in time, without errors, and within the limit. Then it is offered 120 % of its peak, and 50 %
    from one moment to the next: it has recovered when its responses are within the limit again.
    """
    candidate = one_server(name, servers, declarations, connect, clients)
    limit = parsed_slo(slo)
    closed = closed_load(
        clients=clients,
        pipeline=pipeline,
        warmup=warmup,
        duration=duration,
        line=line,
        timeout=timeout,
        generators=generators,
        seed=seed,
    )
    open_load = replace(closed, arrivals=arrivals_of(0.0, arrivals))
    asked_for = None if rates is None else parsed_rates(rates, limit, open_load)
    console = console_for(to_errors=json_file == "-")

    peak = measured(candidate, closed, console, f"{candidate.label}, peak: ")
    samples = list(_samples(candidate, open_load, asked_for, throughput_rps(peak), limit, console))
    recovery = _recovery(candidate, open_load, throughput_rps(peak), console)
    probes = [probe(sample, limit) for sample in samples]
    _show(peak, samples, probes, recovery, limit, console)
    figures = _as_json(peak, samples, probes, recovery, limit)
    write_to(json_file, json.dumps(figures, indent=1) + "\n")
    return 0 if any(each.sustained is not None for each in probes) else FAILED


def parsed_slo(text: str) -> Slo:
    """Read a limit such as p99=10ms; UsageError if it is none."""
    found = SLO_FORM.fullmatch(text.strip())
    if not found or float(found[2]) == 0:
        raise UsageError(f"--slo takes a quantile and a time, such as p99=10ms, not {text!r}")
    name = found[1].replace(".", "")
    return Slo(name, QUANTILES[name], float(found[2]) * UNITS_NS[found[3]])


def parsed_rates(text: str, slo: Slo, load: Load) -> tuple[float, ...]:
    """Read rates; UsageError if they are none, or if the window is too short for the limit's quantile."""
    try:
        rates = sorted({float(word) for word in text.split(",")})
    except ValueError:
        raise UsageError(f"--rates takes numbers with commas between them, not {text!r}") from None
    for rate in rates:
        check_rate(rate, load)
        needed = requests_for(slo.q)
        if rate * load.duration_s < needed:
            raise UsageError(
                f"{slo.name} takes {needed:,} requests: at {rate:g} requests/s use --duration {needed / rate:g} or more"
            )
    return tuple(rates)


def _samples(  # noqa: PLR0913 - what a sweep is
    candidate: Candidate,
    load: Load,
    asked_for: Sequence[float] | None,
    peak_rps: float,
    slo: Slo,
    console: Console,
) -> Iterator[Sample]:
    """Offer the rates that were asked for, or those that tell most; then search for the knee."""
    probes: list[Probe] = []

    def offered(rate: float) -> Sample:
        title = f"{candidate.label}, {rate:,.0f} requests/s: "
        enough_s = SPARE * requests_for(slo.q) / rate
        window_s = max(load.duration_s, min(enough_s, LONGEST_WINDOW_S))
        sample = measured(candidate, replace(load, rate=rate, duration_s=window_s), console, title)
        probes.append(probe(sample, slo))
        return sample

    for rate in rates_for(peak_rps) if asked_for is None else asked_for:
        yield offered(rate)
    while asked_for is None and (further := next_rate(probes)) is not None:
        yield offered(further)


def _recovery(candidate: Candidate, load: Load, peak_rps: float, console: Console) -> Sample:
    relief = replace(
        load,
        rate=max(1.0, round(RELIEF * peak_rps)),
        warmup_rate=max(1.0, round(OVERLOAD * peak_rps)),
        warmup_s=OVERLOAD_S,
    )
    return measured(candidate, relief, console, f"{candidate.label}, recovery: ")


def _show(  # noqa: PLR0913 - what a sweep gives
    peak: Sample,
    samples: Sequence[Sample],
    probes: Sequence[Probe],
    recovery: Sample,
    slo: Slo,
    console: Console,
) -> None:
    peak_rps = throughput_rps(peak)
    console.print(
        f"{peak.server}: peak {'≥ ' if limited_by(peak) == 'generator' else ''}{peak_rps:,.0f} requests/s in a closed "
        f"loop, {peak.clients:,} clients; limited by: {limited_by(peak)}",
        highlight=False,
    )
    console.print(_curve(samples, probes, peak_rps))
    console.print(f"knee       {knee(probes)} ({slo})", highlight=False)
    console.print(f"recovery   {_recovery_in_words(recovery, slo)}", highlight=False)


def _curve(samples: Sequence[Sample], probes: Sequence[Probe], peak_rps: float) -> Table:
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
    for sample, each in sorted(zip(samples, probes, strict=True), key=lambda pair: pair[0].rate):
        table.add_row(
            f"{each.rate:,.0f}",
            f"{each.rate / peak_rps:.0%}" if peak_rps else "–",
            f"{each.achieved_share:.1%}",
            *(in_words_ms(response(sample, QUANTILES[q])) for q in ("p50", "p99", "p999")),
            in_words_ms(quantile(sample.lag_ns, QUANTILES["p99"])),
            f"{MARKS[each.sustained]}{f': {each.why}' if each.why else ''}",
        )
    return table


def in_words_ms(found: Quantile) -> str:
    """Write a quantile in ms; a dash if it is not known."""
    if found.above_ns is not None:
        return f"> {found.above_ns / 1e6:,.0f}"
    return "–" if found.ns is None else f"{found.ns / 1e6:,.2f}"


def _recovery_in_words(sample: Sample, slo: Slo) -> str:
    seconds = recovery_s(sample, slo)
    course = f"after {OVERLOAD_S:g} s at {OVERLOAD:.0%} of its peak, then {RELIEF:.0%}"
    if seconds is None:
        return f"not within {sample.window_s:.1f} s, {course}"
    return f"{seconds:.2f} s, to {sample.window_s / len(sample.response_slices_ns):.2g} s, {course}"


def _as_json(
    peak: Sample, samples: Sequence[Sample], probes: Sequence[Probe], recovery: Sample, slo: Slo
) -> dict[str, Any]:
    found: Knee = knee(probes)
    return {
        "server": peak.server,
        "slo": {"quantile": slo.name, "limit_us": slo.limit_ns / 1e3},
        "peak": as_json(peak),
        "points": [
            {
                "rate": each.rate,
                "of_peak": each.rate / throughput_rps(peak) if peak.answered else None,
                "sustained": each.sustained,
                "why": each.why,
                **as_json(sample),
            }
            for sample, each in zip(samples, probes, strict=True)
        ],
        "knee": {"low_rps": found.low, "high_rps": found.high},
        "recovery": {"seconds": recovery_s(recovery, slo), **as_json(recovery)},
    }
