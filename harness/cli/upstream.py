"""`harness upstream`: a calculator that takes its time, in the foreground, for relays to ask."""

import os
import sys
from typing import Final

import click

from harness.cli.waits import ShareOfAll, spread_option, wait_option
from harness.plan import CONSTANT
from harness.record import PROJECT

MODULE: Final = "harness.drive.upstream_server"


@click.command()
@wait_option("What it takes for an answer.", default="5ms")
@spread_option
@click.option(
    "--fail",
    type=ShareOfAll(),
    default=0.0,
    metavar="N%",
    help="So many of the answers are an ERROR.  [default: 0%]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where it listens.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8081,
    show_default=True,
    help="Likewise; 0 takes a free one.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of random waits."
)
def upstream(wait: float, spread: str | None, fail: float, host: str, port: int, seed: int) -> None:  # noqa: PLR0913 - one parameter for each option
    """Run an upstream in the foreground: `harness serve NAME --upstream 127.0.0.1:8081` asks it.

    It speaks the protocol, lets each list wait for its answer, and answers all else at once. At the end it says how much it was asked.
    """
    os.chdir(PROJECT)
    words = (
        "--wait",
        str(wait),
        "--spread",
        spread or CONSTANT,
        "--fail",
        str(fail),
        "--host",
        host,
        "--port",
        str(port),
        "--seed",
        str(seed),
    )
    os.execv(sys.executable, [sys.executable, "-m", MODULE, *words])  # noqa: S606 - our own module
