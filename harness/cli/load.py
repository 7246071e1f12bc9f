"""`harness load`: one measurement of one server."""

import json

import click
from msgspec.structs import replace

from harness.analyse.samples.validity import assess
from harness.cli.exit_codes import FAILED
from harness.cli.load_options import Given, loading, measured
from harness.cli.load_table import as_json, show
from harness.cli.open_files import check_open_files
from harness.cli.options import json_option, write_to
from harness.cli.terminal import console_for
from harness.cli.waits import spread_option, wait_option
from harness.errors import UsageError
from harness.plan import CONSTANT, PASSES, Load, Waiting, pass_s


@click.command()
@loading(duration_s=5.0)
@click.option(
    "--rate", type=float, metavar="R", help="Requests per second, in an open loop; without it, a closed loop."
)
@wait_option(
    "Let the server ask an upstream that takes so long for each answer, such as 5ms; the generator is that, too."
)
@spread_option
@click.option(
    "--pool",
    type=click.IntRange(1, 100_000),
    help="Questions that it may have under way there; as many as clients if not given.",
)
@json_option("the figures")
def load(  # noqa: PLR0913 - one parameter for each option
    given: Given,
    rate: float | None,
    wait: float | None,
    spread: str | None,
    pool: int | None,
    json_file: str | None,
) -> int:
    """Load one server, NAME of ours or any by --server or --connect, and print what it did.

    In a closed loop each client asks again when it has its answer. With --rate it is an open loop: requests are sent
    when they were planned, whether or not those before are answered, and response times count from then.
    """
    candidate = given.candidate()
    if rate is None and given.arrivals is not None:
        raise UsageError("--arrivals says how an open loop's requests come: it needs --rate")
    order = given.closed_loop() if rate is None else given.open_loop(rate)
    if wait is not None:
        order = _relayed(
            given, order, Waiting(wait_s=wait, spread=spread or CONSTANT, pool=pool or given.clients)
        )
        if not candidate.relays:
            raise UsageError(f"{candidate.label} asks no upstream: its command has no {{upstream}}")
    elif spread is not None or pool is not None:
        raise UsageError("--spread and --pool say how a relay waits: they need --wait")
    console = console_for(to_errors=json_file == "-")
    with given.measuring() as measure:
        sample = measured(measure, candidate, order, console)
    show(sample, console)
    write_to(json_file, json.dumps(as_json(sample), indent=1) + "\n")
    return 0 if assess(sample).valid else FAILED


def _relayed(given: Given, load: Load, waiting: Waiting) -> Load:
    """Return a load of a relay; UsageError says what of it cannot be."""
    for name, value, usual in (
        ("pipeline", given.pipeline, 1),
        ("generators", given.generators or 1, 1),
        ("cluster", given.cluster, None),
        ("line", given.line, None),
    ):
        if value != usual:
            raise UsageError(f"--wait tells whose each question is, one at a time: leave out --{name}")
    if given.connect is not None:
        raise UsageError("--wait is for servers that are started, and told whom to ask: leave out --connect")
    what = f"{given.clients:,} clients and a pool of {waiting.pool:,}"
    check_open_files(given.clients + waiting.pool, what)
    relayed = replace(load, upstream=waiting)
    needed_s = PASSES * pass_s(relayed)
    if load.duration_s < needed_s:
        raise UsageError(
            f"each client is answered every {needed_s / PASSES:g} s at most: use --duration {needed_s:g} or more"
        )
    return relayed
