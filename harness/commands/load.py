"""`harness load`: one measurement of one server."""

import json
from collections.abc import Sequence
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.analyse import doubts, invalidity, limited_by, quantile_ns, throughput_rps
from harness.candidates import UsageError, selected
from harness.commands.options import FAILED, connect_option, server_options, write_to
from harness.conformance.matrix import console_for
from harness.measure import Load, measure, two_cores
from harness.record import Histogram, Sample

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}


@click.command()
@click.argument("name", required=False)
@server_options
@connect_option
@click.option("--clients", type=click.IntRange(1, 20_000), default=64, show_default=True, help="Connections.")
@click.option(
    "--pipeline", type=click.IntRange(1, 1000), default=1, show_default=True, help="Requests in flight each."
)
@click.option(
    "--duration", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True, help="Seconds measured."
)
@click.option(
    "--warmup", type=click.FloatRange(0, 600), default=0.5, show_default=True, help="Seconds before that."
)
@click.option(
    "--line", metavar="TEXT", help="What every request is; otherwise lists of three integers, all different."
)
@click.option("--json", "json_file", metavar="FILE", help="Write the figures as JSON; - for standard output.")
def load(  # noqa: PLR0913 - one parameter for each option
    name: str | None,
    servers: Sequence[str],
    declarations: Sequence[str],
    connect: str | None,
    clients: int,
    pipeline: int,
    duration: float,
    warmup: float,
    line: str | None,
    json_file: str | None,
) -> int:
    """Load one server in a closed loop, and print what it did: NAME of ours, or any by --server or --connect."""
    if (name is not None) + len(servers) + (connect is not None) != 1:
        raise UsageError("one server is needed: a name, --server or --connect")
    (candidate,) = selected([name] if name else [], servers, declarations, connect)
    _check_line(line)
    if clients > 1 and candidate.declares is not None and "concurrent" not in candidate.declares:
        raise UsageError(f"{candidate.label} serves one client at a time: use --clients 1")
    server_cores, generator_cores = two_cores()
    order = Load(clients, pipeline, warmup, duration, line, server_cores, generator_cores)
    console = console_for(to_errors=json_file == "-")
    with Live(console=console, transient=True) as live:
        state = {"elapsed_s": 0.0, "sent": 0}

        def show(elapsed_s: float, sent: int) -> None:
            rate = (sent - state["sent"]) / max(elapsed_s - state["elapsed_s"], 1e-9)
            state.update(elapsed_s=elapsed_s, sent=sent)
            live.update(
                Text(f"{elapsed_s:5.1f} of {warmup + duration:g} s   {rate:9,.0f} requests/s   {sent:,} sent")
            )

        sample = measure(candidate, order, show)
    _print_load(sample, console)
    write_to(json_file, json.dumps(_load_as_json(sample), indent=1) + "\n")
    return FAILED if invalidity(sample) else 0


def _check_line(line: str | None) -> None:
    if line is None:
        return
    if "\n" in line:
        raise UsageError("--line takes one line, without its end")
    if line.rstrip("\r").rstrip(" \t") == "quit":
        raise UsageError("--line quit would end every connection at once")


def _load_as_json(sample: Sample) -> dict[str, Any]:
    window_ns = sample.window_s * 1e9
    measured_process = sample.threads > 0
    return {
        "throughput_rps": throughput_rps(sample),
        "response_us": _quantiles_us(sample.response_ns, sample.response_max_ns),
        "service_us": _quantiles_us(sample.service_ns, sample.service_max_ns),
        "lag_us": _quantiles_us(sample.lag_ns, sample.lag_max_ns),
        "requests": {
            "planned": sample.sent,
            "sent": sample.sent,
            "ok": sample.ok,
            "wrong": sample.wrong,
            "error": sample.error,
            "timeout": sample.timeout,
            "in_flight": sample.in_flight,
            "never_sent": 0,
        },
        "server": {
            "cpu_us_per_request": sample.server_cpu_ns / 1e3 / max(1, sample.answered),
            "cpu_share": sample.server_cpu_ns / window_ns,
            "switches_per_request": (sample.switches_voluntary + sample.switches_involuntary)
            / max(1, sample.ok),
            "memory_ready_bytes": sample.memory_ready_bytes,
            "memory_connected_bytes": sample.memory_connected_bytes,
            "memory_peak_bytes": sample.memory_peak_bytes,
            "threads": sample.threads,
            "descriptors": sample.descriptors,
        }
        if measured_process
        else None,
        "generator": {
            "cpu_us_per_request": sample.generator_cpu_ns / 1e3 / max(1, sample.answered),
            "cpu_share": sample.generator_cpu_ns / window_ns,
        },
        "limited_by": limited_by(sample),
        "steal_share": sample.steal_share,
        "valid": not invalidity(sample),
        "reasons": invalidity(sample) + doubts(sample),
    }


def _quantiles_us(values: Histogram, max_ns: int) -> dict[str, float | None]:
    found = {name: quantile_ns(values, q) for name, q in QUANTILES.items()}
    found["max"] = max_ns if values else None
    return {name: None if ns is None else ns / 1e3 for name, ns in found.items()}


def _print_load(sample: Sample, console: Console) -> None:
    """Print one measurement as a person reads it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("µs")
    for column in (*QUANTILES, "max"):
        table.add_column(column.replace("p999", "p99.9"), justify="right")
    for title, values, max_ns in (
        ("response", sample.response_ns, sample.response_max_ns),
        ("service", sample.service_ns, sample.service_max_ns),
        ("lag", sample.lag_ns, sample.lag_max_ns),
    ):
        shown = _quantiles_us(values, max_ns).values()
        table.add_row(title, *("–" if us is None else f"{us:,.1f}" for us in shown))
    window_ns = sample.window_s * 1e9
    console.print(
        f"{sample.server}: {throughput_rps(sample):,.0f} requests/s over {sample.window_s:.1f} s, {sample.clients} "
        f"clients, {sample.pipeline} in flight each; limited by the {limited_by(sample)}",
        highlight=False,
    )
    console.print(table)
    if sample.threads:
        cpu_us = sample.server_cpu_ns / 1e3 / max(1, sample.answered)
        console.print(
            f"server     {cpu_us:.1f} µs CPU per request, {sample.server_cpu_ns / window_ns:.0%} of a core, "
            f"{sample.memory_peak_bytes / 2**20:.0f} MiB at most",
            highlight=False,
        )
    console.print(f"generator  {sample.generator_cpu_ns / window_ns:.0%} of a core", highlight=False)
    console.print(
        f"requests   {sample.sent:,} sent, {sample.ok:,} right, {sample.wrong:,} wrong, {sample.error:,} errors, "
        f"{sample.timeout + sample.in_flight:,} unanswered",
        highlight=False,
    )
    for reason in invalidity(sample):
        console.print(f"[bold red]invalid[/]    {reason}", highlight=False)
    for reason in doubts(sample):
        console.print(f"[yellow]doubtful[/]   {reason}", highlight=False)
