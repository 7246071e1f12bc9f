"""`harness namespaces`: a command of ours whose load comes from several hosts, which are network namespaces on this machine."""

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from threading import Thread
from typing import Final

import click

from harness.cli.waits import WaitTime
from harness.errors import UsageError
from harness.experiments.namespaces import Hosts, Wire, hosts
from harness.machine.guard import be_guarded

LOSS: Final = re.compile(r"(\d+(?:\.\d+)?) ?%")
LONGEST_RUN_S: Final = 86_400.0


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--hosts",
    "count",
    type=click.IntRange(1, 16),
    default=2,
    show_default=True,
    help="With a Dask worker on each.",
)
@click.option(
    "--delay",
    type=WaitTime(),
    default=None,
    metavar="TIME",
    help="Of each packet between hosts, each way, such as 1ms.",
)
@click.option("--loss", metavar="N%", help="So many of the packets are lost.")
@click.option(
    "--cut",
    type=WaitTime(LONGEST_RUN_S),
    default=None,
    metavar="TIME",
    help="So long after its generator has started, the last host is cut off from all others.",
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND ...")
def namespaces(
    count: int, delay: float | None, loss: str | None, cut: float | None, words: Sequence[str]
) -> int:
    """Run a command that takes --cluster, such as `load processes --clients 200`, with a cluster of hosts on this machine.

    Each host is a network namespace, with a clock of its own; the server runs beside the command, or --on host1. It takes root.
    """
    if "--cluster" in words or any(word.startswith("--cluster=") for word in words):
        raise UsageError("--cluster: the hosts are the cluster here")
    path = Wire(delay or 0.0, _share(loss))
    with hosts(count, path) as there:
        if cut is not None:
            Thread(target=_cut_later, args=(there, cut), daemon=True).start()
        command = [sys.executable, "-m", "harness", *words, "--cluster", there.scheduler]
        return run_to_its_end(command)


def run_to_its_end(command: Sequence[str]) -> int:
    """Run a command; if we are told to stop it is, too, and ends by itself, whatever that takes: it has a report to write."""
    be_guarded()
    with subprocess.Popen(command) as process:
        try:
            return process.wait()
        finally:
            process.terminate()  # of the same group, it may have been told before: that is one stop
            process.wait()


def _cut_later(there: Hosts, after_s: float) -> None:
    """Cut the last host off, so long after it has begun to take part."""
    if there.await_generator():
        time.sleep(after_s)
        there.cut_last()


def _share(loss: str | None) -> float:
    if loss is None:
        return 0.0
    given = LOSS.fullmatch(loss)
    if not given or float(given[1]) >= 100:
        raise UsageError(f"--loss takes a percentage below 100%, not {loss!r}")
    return float(given[1]) / 100
