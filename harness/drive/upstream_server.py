"""An upstream in a process of its own, to play with: `harness upstream` runs it.

Run as `python -m harness.drive.upstream_server --port 0 --wait 0.005`. It prints the readiness line of every server, ends at
SIGTERM and SIGINT with 0, and says how much it was asked.
"""

import argparse
import math
import random
import signal
import sys
from collections.abc import Iterator
from select import epoll
from types import FrameType
from typing import Final

from harness.drive.generator import get_ready
from harness.drive.questions import Questions, waits_ns
from harness.drive.upstream import Upstream
from harness.oracle import NO_ANSWER
from harness.plan import CONSTANT, SPREADS, Waiting

UNLIMITED: Final = 1_000_000
CANNOT_LISTEN: Final = 1


class FailingQuestions(Questions):
    """Questions of which some get an ERROR instead of their answers."""

    def __init__(self, waits_ns: Iterator[int], share: float, seed: int) -> None:
        """Begin with none.

        Args:
            waits_ns: how long each takes.
            share: how many fail, of all.
            seed: decides on which.
        """
        super().__init__(waits_ns)
        self._share = share
        self._drawn = random.Random(seed)  # noqa: S311 - no secret

    def ask(self, connection: int, client: int, answer: bytes, now_ns: int) -> None:
        """Take a question."""
        fails = self._drawn.random() < self._share
        super().ask(connection, client, NO_ANSWER if fails else answer, now_ns)


class Stopped(BaseException):
    """A stop signal has come."""


def serve(upstream: Upstream) -> None:
    """Answer until a signal comes."""
    while True:
        for descriptor, _ in upstream.await_events(math.inf):
            upstream.attend(descriptor)


def main() -> None:
    """Run the upstream in the foreground."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--wait", type=float, default=0.005)
    parser.add_argument("--spread", choices=SPREADS, default=CONSTANT)
    parser.add_argument("--fail", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    get_ready()
    waiting = Waiting(wait_s=given.wait, spread=given.spread, pool=UNLIMITED)
    questions = FailingQuestions(waits_ns(waiting, given.seed), given.fail, given.seed)
    try:
        upstream = Upstream(epoll(), questions, (given.host, given.port))
    except OSError as error:
        print(f"cannot listen on {given.host} {given.port}: {_reason(error)}", file=sys.stderr)
        sys.exit(CANNOT_LISTEN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    host, port = upstream.address
    print(f"Server up, running, and waiting for call on {host} {port}", flush=True)
    try:
        serve(upstream)
    except Stopped:
        print(f"{questions.asked:,} questions, {questions.most:,} under way at once at most", file=sys.stderr)


def _reason(error: OSError) -> str:
    """Return why it cannot listen, without the address, which `create_server()` repeats in brackets."""
    return str(error.strerror).partition(" (")[0]


def _stop(_: int, __: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    main()
