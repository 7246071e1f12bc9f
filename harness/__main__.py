"""The command line: one subcommand for each job.

Exit codes: 0 done, and nothing judged failed; 1 something was judged and failed; 2 usage; 3 it could not be run;
130 after Ctrl-C.
"""

import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness import bench as study
from harness.analyse import doubts, invalidity, limited_by, quantile_ns, throughput_rps
from harness.candidates import Candidate, UsageError, selected
from harness.conformance.case import Verdict
from harness.conformance.judge import Judgement, judge, selected_cases
from harness.conformance.matrix import console_for, print_matrix, to_json, to_junit
from harness.launch import LaunchError
from harness.measure import Load, MeasureError, measure, two_cores
from harness.plan import PROFILES, WORKLOADS, Plan, by_name
from harness.record import Histogram, ResultsError, Sample, read_results
from implementations import CATALOGUE

FAILED: Final = 1
USAGE: Final = 2
COULD_NOT_RUN: Final = 3
INTERRUPTED: Final = 130

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}

Command = TypeVar("Command", bound=Callable[..., Any])


def main() -> NoReturn:
    """Run the command line; every trouble ends in one clear line on standard error."""
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM)
    )  # contexts end, servers with them
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except (click.Abort, KeyboardInterrupt):
        _fail(INTERRUPTED, "interrupted")
    except click.ClickException as error:
        _fail(USAGE, error.format_message())
    except UsageError as error:
        _fail(USAGE, str(error))
    except (LaunchError, MeasureError, ResultsError) as error:
        _fail(COULD_NOT_RUN, str(error))


def _fail(code: int, reason: str) -> NoReturn:
    first_line = " ".join(reason.split())
    print(f"harness: {first_line}", file=sys.stderr)
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
def cli() -> None:
    """Judge and measure servers of the calculator protocol."""


def server_options(command: Command) -> Command:
    """Add the options that name servers."""
    for option in (
        click.option("--declare", "declarations", multiple=True, metavar="LABEL=CAPABILITY,...", help="What it claims."),
        click.option(
            "--server", "servers", multiple=True, metavar="LABEL=COMMAND",
            help="Any server; COMMAND may use {host}, {port}, {max_clients}, {idle_timeout}, {grace}.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


connect_option = click.option("--connect", metavar="HOST:PORT", help="A server that runs already.")


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@click.option("--workloads", is_flag=True, help="The workloads instead of the servers.")
def list_command(*, as_json: bool, workloads: bool) -> None:
    """List the servers, with what they declare, or the workloads."""
    if workloads:
        rows: list[dict[str, Any]] = [
            {"name": w.name, "clients": w.clients, "pipeline": w.pipeline, "purpose": w.purpose}
            for w in WORKLOADS
        ]
    else:
        rows = [
            {"name": i.name, "model": i.model, "declares": sorted(i.declares), "file": i.file}
            for i in CATALOGUE
        ]
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(", ".join(cell) if isinstance(cell, list) else str(cell) for cell in row.values()))
    console_for(to_errors=False).print(table)


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("name")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def serve(name: str, options: Sequence[str]) -> NoReturn:
    """Run one of our servers in the foreground; its own options follow its name (--help lists them)."""
    (candidate,) = selected([name])
    interpreter, module_flag, module, *_ = candidate.command
    os.execv(interpreter, [interpreter, module_flag, module, *options])  # noqa: S606 - our own server


@cli.command()
@click.argument("names", nargs=-1)
@server_options
@connect_option
@click.option(
    "--case", "case_ids", multiple=True, metavar="ID,...", help="Only these cases, or groups, by letter."
)
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the verdicts as JSON; - for standard output."
)
@click.option("--junit", "junit_file", metavar="FILE", help="Write them as JUnit XML; - for standard output.")
def conform(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    connect: str | None,
    case_ids: Sequence[str],
    json_file: str | None,
    junit_file: str | None,
) -> int:
    """Say which promises of the protocol servers keep: NAMES of ours, or any by --server or --connect."""
    candidates = selected(names, servers, declarations, connect)
    cases = selected_cases(
        [case_id for listed in case_ids for case_id in listed.split(",") if case_id.strip()]
    )
    console = console_for(to_errors="-" in {json_file, junit_file})
    judgements: list[Judgement] = []
    with console.status("") as status:
        for candidate in candidates:
            done: list[Judgement] = []

            def note(
                judgement: Judgement, label: str = candidate.label, done: list[Judgement] = done
            ) -> None:
                done.append(judgement)
                status.update(f"{label}: {len(done)} of {len(cases)} cases")

            judgements += judge(candidate, cases, note)
    print_matrix(judgements, console)
    _write(json_file, to_json(judgements))
    _write(junit_file, to_junit(judgements))
    if any(judgement.verdict is Verdict.HARNESS for judgement in judgements):
        return COULD_NOT_RUN
    return FAILED if any(judgement.verdict.failed for judgement in judgements) else 0


@cli.command()
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
    _write(json_file, json.dumps(_load_as_json(sample), indent=1) + "\n")
    return FAILED if invalidity(sample) else 0


def _check_line(line: str | None) -> None:
    if line is None:
        return
    if "\n" in line:
        raise UsageError("--line takes one line, without its end")
    if line.rstrip("\r").rstrip(" \t") == "quit":
        raise UsageError("--line quit would end every connection at once")


@cli.command()
@click.argument("names", nargs=-1)
@server_options
@click.option("--quick", "profile", flag_value="quick", help="5 blocks, about 5 minutes for all of ours.")
@click.option("--full", "profile", flag_value="full", help="12 blocks.")
@click.option(
    "--workload", "workloads", multiple=True, metavar="NAME", help="Only these (harness list --workloads)."
)
@click.option("--blocks", type=click.IntRange(1, 1000), help="How many, instead of the profile's.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Decides on the order; random if not given.")
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="A new folder; under results/ if not given."
)
def bench(  # noqa: PLR0913 - one parameter for each option
    names: Sequence[str],
    servers: Sequence[str],
    declarations: Sequence[str],
    profile: str | None,
    workloads: Sequence[str],
    blocks: int | None,
    seed: int | None,
    out: Path | None,
) -> int:
    """Measure servers side by side and write a report: NAMES of ours, or any by --server; all of ours by default."""
    candidates = selected(names, servers, declarations)
    size = PROFILES[profile or "standard"]
    plan = Plan(
        servers=tuple(candidate.label for candidate in candidates),
        workloads=tuple(by_name(name).name for name in workloads)
        or tuple(workload.name for workload in WORKLOADS),
        one_client_only=frozenset(
            candidate.label for candidate in candidates if _serves_one_client(candidate)
        ),
        blocks=blocks or size.blocks,
        warmup_s=size.warmup_s,
        duration_s=size.duration_s,
        seed=secrets.randbelow(2**32) if seed is None else seed,
    )
    if not plan.cells():
        raise UsageError("nothing is left to measure: these servers cannot serve these workloads")
    command = ("harness", *sys.argv[1:])
    return 0 if study.bench(candidates, plan, out or study.new_folder(), command, Console()) else FAILED


def _serves_one_client(candidate: Candidate) -> bool:
    return candidate.declares is not None and "concurrent" not in candidate.declares


@cli.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; fail if the report is not what the results give.")
def report(folder: Path | None, *, check: bool) -> int:
    """Make report.md and its figures from a run's results; without DIR, from the reference run."""
    folder = folder or study.REFERENCE
    results = read_results(folder)
    for label in study.changed_since(results):
        print(f"note: {label} has changed since these results were measured", file=sys.stderr)
    if not check:
        print(study.shown(study.write_report(folder)))
        return 0
    stale = study.stale_files(folder)
    for path in stale:
        print(
            f"harness: {study.shown(path)} is not what {study.shown(folder)} gives: run `harness report`",
            file=sys.stderr,
        )
    return FAILED if stale else 0


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


def _write(file: str | None, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
    elif file is not None:
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}") from None


if __name__ == "__main__":
    main()
