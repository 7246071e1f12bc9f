"""What `harness load` and `harness sweep` share: how a load is given on the command line, and what of it cannot be."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar, cast

import click
from msgspec.structs import replace
from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.cli.cluster import Measure, check_workers, fleet_if_asked_for, measuring_by
from harness.cli.finite import FiniteRange
from harness.cli.open_files import check_open_files
from harness.cli.options import (
    cluster_options,
    connect_option,
    loop_option,
    measured_so,
    python_option,
    server_options,
    ways_options,
)
from harness.errors import UsageError
from harness.launch.candidates import Candidate
from harness.launch.selection import check_clients, selected
from harness.machine.resources import our_cores
from harness.plan import CONSTANT, OPEN, Load
from harness.record import Sample

MOST_REQUESTS: Final = 50_000_000
"""An open loop plans no more at once: their times have to be kept in memory, 48 bytes each."""
FASTEST: Final = 1_000_000
"""No generator of ours has come near to so many requests a second."""
MOST_WORKERS: Final = 1000

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Given:
    """What was said on the command line of which server is loaded, and how; by the names of the options."""

    name: str | None
    servers: Sequence[str]
    declarations: Sequence[str]
    connect: str | None
    python: str | None
    loops: Sequence[str]
    clients: int
    pipeline: int
    arrivals: str | None
    seed: int
    generators: int | None
    timeout: float
    line: str | None
    duration: float
    warmup: float
    fresh: bool
    placements: Sequence[str]
    cluster: str | None
    on: str | None

    @contextmanager
    def measuring(self) -> Iterator[Measure]:
        """Yield what measures: generators here, or on the workers of a cluster, which is reached for as long."""
        with fleet_if_asked_for(self.cluster, self.on, self.generators) as fleet:
            check_workers(fleet, self.clients)
            yield measuring_by(fleet, self.generators)

    def candidate(self) -> Candidate:
        """Return the server; UsageError if there is not exactly one, or if it cannot serve so many clients."""
        if (self.name is not None) + len(self.servers) + (self.connect is not None) != 1:
            raise UsageError("one server is needed: a name, --server or --connect")
        if len(self.loops) > 1:
            raise UsageError("a server runs on one loop: give one --loop")
        names = [self.name] if self.name else []
        *_, candidate = selected(
            names,
            self.servers,
            self.declarations,
            self.connect,
            [self.python] if self.python else [],
            self.loops,
        )  # on a loop that is given it is the last
        check_clients(candidate, self.clients)
        if len(self.placements) > 1:
            raise UsageError("one server is loaded, and has one --placement")
        if candidate.address is not None and (self.fresh or self.placements):
            raise UsageError("--fresh and --placement are for servers that are started: leave out --connect")
        if candidate.address is not None and self.on is not None:
            raise UsageError("--on is for a server that is started: leave out --connect")
        (candidate,) = measured_so([candidate], self.placements, fresh=self.fresh)
        return candidate

    def closed_loop(self) -> Load:
        """Return a closed loop; UsageError says what of it cannot be."""
        _check_line(self.line)
        if self.cluster is None:
            _check_clients(self.clients, self.generators or 1)
        return Load(
            clients=self.clients,
            pipeline=self.pipeline,
            warmup_s=self.warmup,
            duration_s=self.duration,
            line=self.line,
            seed=self.seed,
            timeout_s=self.timeout,
        )

    def open_loop(self, rate: float) -> Load:
        """Return an open loop; UsageError says what of it cannot be."""
        load = replace(self.closed_loop(), arrivals=self.arrivals or CONSTANT, rate=rate)
        check_rate(rate, load, self.most_generators)
        return load

    @property
    def most_generators(self) -> int:
        """Count the processes that load the server; of a cluster that is not known before it is reached."""
        return self.generators or (MOST_WORKERS if self.cluster else 1)


def loading(duration_s: float) -> Callable[[Command], Command]:
    """Add the options that say which server is loaded, and how; the command receives them as `given`."""
    options = (
        click.argument("name", required=False),
        server_options,
        connect_option,
        python_option,
        loop_option,
        ways_options,
        click.option("--clients", type=click.IntRange(1, 100_000), default=64, show_default=True, help="Connections."),
        click.option("--pipeline", type=click.IntRange(1, 1000), default=1, show_default=True, help="Requests in flight each."),
        click.option("--arrivals", type=click.Choice(OPEN), help="How an open loop's requests arrive; constant if not given."),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of random arrivals."),
        click.option(
            "--generators", type=click.IntRange(1, MOST_WORKERS),
            help="Processes that load the server, a core each.  [default: 1; with --cluster, one on each worker]",
        ),
        cluster_options,
        click.option("--timeout", type=FiniteRange(0.01, 600), default=5.0, show_default=True, help="Seconds to wait for a reply."),
        click.option("--line", metavar="TEXT", help="What every request is; otherwise lists of three integers, all different."),
        click.option("--duration", type=FiniteRange(0.1, 3600), default=duration_s, show_default=True, help="Seconds measured, at each rate."),
        click.option("--warmup", type=FiniteRange(0, 600), default=0.5, show_default=True, help="Seconds before that."),
    )  # fmt: skip

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_given(**said: object) -> object:
            of_load: dict[str, Any] = {field.name: said.pop(field.name) for field in fields(Given)}
            return command(given=Given(**of_load), **said)

        wrapped: Any = with_given
        for option in reversed(options):
            wrapped = option(wrapped)
        return cast("Command", wrapped)

    return decorate


def check_rate(rate: float, load: Load, generators: int) -> None:
    """Raise UsageError if an open loop of this rate cannot be."""
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"a rate is a number of requests per second above 0, not {rate:g}")
    if rate > FASTEST * generators:
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


def measured(measure: Measure, candidate: Candidate, load: Load, console: Console, title: str = "") -> Sample:
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
    check_generators(generators)
    check_open_files(-(-clients // generators), f"{clients:,} clients")


def check_generators(generators: int) -> None:
    """Raise UsageError if there is no core for each generator, and one for the server."""
    cores = len(our_cores())
    if generators > 1 and cores <= generators:
        raise UsageError(
            f"{generators} generators need {generators + 1} cores, one of them for the server; here are {cores}"
        )
