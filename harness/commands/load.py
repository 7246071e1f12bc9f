"""`harness load`: one measurement of one server."""

import json
from collections.abc import Sequence
from dataclasses import replace

import click

from harness.commands.loading import arrivals_of, check_rate, closed_load, load_options, measured, one_server
from harness.commands.options import FAILED, connect_option, server_options, write_to
from harness.commands.shown import as_json, show
from harness.conformance.matrix import console_for
from harness.validity import judge


@click.command()
@click.argument("name", required=False)
@server_options
@connect_option
@load_options
@click.option(
    "--rate", type=float, metavar="R", help="Requests per second, in an open loop; without it, a closed loop."
)
@click.option(
    "--duration", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True, help="Seconds measured."
)
@click.option(
    "--warmup", type=click.FloatRange(0, 600), default=0.5, show_default=True, help="Seconds before that."
)
@click.option("--json", "json_file", metavar="FILE", help="Write the figures as JSON; - for standard output.")
def load(  # noqa: PLR0913 - one parameter for each option
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
    rate: float | None,
    duration: float,
    warmup: float,
    json_file: str | None,
) -> int:
    """Load one server, NAME of ours or any by --server or --connect, and print what it did.

    In a closed loop each client asks again when it has its answer. With --rate it is an open loop: requests are sent
    when they were planned, whether or not those before are answered, and response times count from then.
    """
    candidate = one_server(name, servers, declarations, connect, clients)
    order = closed_load(
        clients=clients,
        pipeline=pipeline,
        warmup=warmup,
        duration=duration,
        line=line,
        timeout=timeout,
        generators=generators,
        seed=seed,
    )
    kind = arrivals_of(rate, arrivals)
    if rate is not None:
        check_rate(rate, order)
        order = replace(order, arrivals=kind, rate=rate)
    console = console_for(to_errors=json_file == "-")
    sample = measured(candidate, order, console)
    show(sample, console)
    write_to(json_file, json.dumps(as_json(sample), indent=1) + "\n")
    return 0 if judge(sample).valid else FAILED
