"""`harness load`: one measurement of one server."""

import json

import click

from harness.analyse.samples.validity import assess
from harness.cli.exit_codes import FAILED
from harness.cli.load_options import Given, loading, measured
from harness.cli.load_table import as_json, show
from harness.cli.options import json_option, write_to
from harness.cli.terminal import console_for
from harness.errors import UsageError


@click.command()
@loading(duration_s=5.0)
@click.option(
    "--rate", type=float, metavar="R", help="Requests per second, in an open loop; without it, a closed loop."
)
@json_option("the figures")
def load(given: Given, rate: float | None, json_file: str | None) -> int:
    """Load one server, NAME of ours or any by --server or --connect, and print what it did.

    In a closed loop each client asks again when it has its answer. With --rate it is an open loop: requests are sent
    when they were planned, whether or not those before are answered, and response times count from then.
    """
    candidate = given.candidate()
    if rate is None and given.arrivals is not None:
        raise UsageError("--arrivals says how an open loop's requests come: it needs --rate")
    order = given.closed_loop() if rate is None else given.open_loop(rate)
    console = console_for(to_errors=json_file == "-")
    sample = measured(candidate, order, given.generators, console)
    show(sample, console)
    write_to(json_file, json.dumps(as_json(sample), indent=1) + "\n")
    return 0 if assess(sample).valid else FAILED
