"""What `harness load` and `harness sweep` share: how a load is given on the command line, and what of it cannot be."""

import math
import os
import resource
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.candidates import Candidate, UsageError, selected
from harness.measure import Load, cores_for, measure
from harness.order import CONSTANT, OPEN
from harness.record import Sample

MOST_REQUESTS: Final = 50_000_000
"""An open loop plans no more at once: their times have to be kept in memory, 48 bytes each."""
FASTEST: Final = 1_000_000
"""No generator of ours has come near to so many requests a second."""
OTHER_FILES: Final = 50

Command = TypeVar("Command", bound=Callable[..., Any])


def load_options(command: Command) -> Command:
    """Add the options that say how a server is loaded."""
    for option in (
        click.option("--line", metavar="TEXT", help="What every request is; otherwise lists of three integers, all different."),
        click.option("--timeout", type=click.FloatRange(0.01, 600), default=5.0, show_default=True, help="Seconds to wait for a reply."),
        click.option("--generators", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that load the server, a core each."),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of random arrivals."),
        click.option("--arrivals", type=click.Choice(OPEN), help="How an open loop's requests arrive; constant if not given."),
        click.option("--pipeline", type=click.IntRange(1, 1000), default=1, show_default=True, help="Requests in flight each."),
        click.option("--clients", type=click.IntRange(1, 100_000), default=64, show_default=True, help="Connections."),
    ):  # fmt: skip
        command = option(command)
    return command


def one_server(
    name: str | None, servers: Sequence[str], declarations: Sequence[str], connect: str | None, clients: int
) -> Candidate:
    """Return the one server that was named; UsageError if there is not exactly one, or if it cannot serve so many."""
    if (name is not None) + len(servers) + (connect is not None) != 1:
        raise UsageError("one server is needed: a name, --server or --connect")
    (candidate,) = selected([name] if name else [], servers, declarations, connect)
    if clients > 1 and candidate.declares is not None and "concurrent" not in candidate.declares:
        raise UsageError(f"{candidate.label} serves one client at a time: use --clients 1")
    return candidate


def closed_load(  # noqa: PLR0913 - a load has that many sides
    *,
    clients: int,
    pipeline: int,
    warmup: float,
    duration: float,
    line: str | None,
    timeout: float,
    generators: int,
    seed: int,
) -> Load:
    """Return a closed loop as the options say; UsageError says what of it cannot be."""
    _check_line(line)
    _check_clients(clients, generators)
    server_cores, generator_cores = cores_for(generators)
    return Load(
        clients=clients,
        pipeline=pipeline,
        warmup_s=warmup,
        duration_s=duration,
        line=line,
        server_cores=server_cores,
        generator_cores=generator_cores,
        seed=seed,
        generators=generators,
        timeout_s=timeout,
    )


def check_rate(rate: float, load: Load) -> None:
    """Raise UsageError if an open loop of this rate cannot be."""
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"a rate is a number of requests per second above 0, not {rate:g}")
    if rate > FASTEST * load.generators:
        raise UsageError(
            f"{rate:,.0f} requests/s cannot be: a generator sends at most some 100,000, and never {FASTEST:,}"
        )
    planned = rate * (load.warmup_s + load.duration_s)
    if planned > MOST_REQUESTS:
        raise UsageError(f"{planned:,.0f} requests are too many to keep: at most {MOST_REQUESTS:,}")
    if rate * load.duration_s < 1:
        raise UsageError(
            f"no request falls into {load.duration_s:g} s at {rate:g} requests/s: use --duration {1 / rate:g} or more"
        )


def arrivals_of(rate: float | None, arrivals: str | None) -> str:
    """Return how requests arrive in an open loop."""
    if rate is None and arrivals is not None:
        raise UsageError("--arrivals says how an open loop's requests come: it needs --rate")
    return arrivals or CONSTANT


def measured(candidate: Candidate, load: Load, console: Console, title: str = "") -> Sample:
    """Measure, with live progress."""
    with Live(console=console, transient=True) as live:
        state = {"elapsed_s": 0.0, "sent": 0}

        def show(elapsed_s: float, sent: int) -> None:
            rate = (sent - state["sent"]) / max(elapsed_s - state["elapsed_s"], 1e-9)
            state.update(elapsed_s=elapsed_s, sent=sent)
            of_s = load.warmup_s + load.duration_s
            live.update(
                Text(f"{title}{elapsed_s:5.1f} of {of_s:g} s   {rate:9,.0f} requests/s   {sent:,} sent")
            )

        return measure(candidate, load, show)


def _check_line(line: str | None) -> None:
    if line is None:
        return
    if "\n" in line:
        raise UsageError("--line takes one line, without its end")
    if line.rstrip("\r").rstrip(" \t") == "quit":
        raise UsageError("--line quit would end every connection at once")


def _check_clients(clients: int, generators: int) -> None:
    if clients < generators:
        raise UsageError(f"{generators} generators need a client each: there are {clients}")
    cores = len(os.sched_getaffinity(0))
    if generators > 1 and cores <= generators:
        raise UsageError(
            f"{generators} generators need {generators + 1} cores, one of them for the server; here are {cores}"
        )
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if -(-clients // generators) + OTHER_FILES > most_files:
        raise UsageError(
            f"{clients:,} clients are too many: a process may have {most_files:,} files open here (ulimit -Hn)"
        )
