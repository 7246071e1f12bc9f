"""How many connections a server holds at once, each of them answered: it is asked for more and more until it refuses."""

import time
from typing import Final

from harness.drive.fleet import BACKGROUND, GO_ON, as_line, background_outcome, worker
from harness.drive.orders import BackgroundOrder
from harness.errors import LaunchError
from harness.launch.candidates import Candidate
from harness.launch.process import launch
from harness.plan import IDLE
from harness.record import ConnectionLimit

GREETING_LIMIT_S: Final = 3.0
ANSWER_LIMIT_S: Final = 60.0
"""All are asked at the same moment: with a thread for each that takes a while."""


def limit_of(candidate: Candidate, wanted: int) -> ConnectionLimit:
    """Launch a server that is told to take all, or, if it refuses that, as many as it does by itself; and fill it.

    Raises:
        LaunchError: it does not start at all.
        MeasureError: the process with the clients has ended.
    """
    refused = ""
    if candidate.takes("max_clients"):
        try:
            return _filled(candidate, wanted, wanted + 1, "")
        except LaunchError as error:
            refused = str(error).partition("exit code 2, ")[2] or str(error)
    return _filled(candidate, wanted, None, refused)


def _filled(candidate: Candidate, wanted: int, told: int | None, refused: str) -> ConnectionLimit:
    """Connect clients until there are enough, or one is not greeted; then ask each of them once."""
    began_s = time.monotonic()
    with launch(candidate, max_clients=told) as launched, worker(BACKGROUND, ()) as background:
        order = BackgroundOrder(*launched.address, IDLE, wanted, GREETING_LIMIT_S, ANSWER_LIMIT_S)
        came = background.tell(as_line(order), "connected")
        background.tell(GO_ON, "started")
        held_s = time.monotonic() - began_s
        outcome = background_outcome(background)
        return ConnectionLimit(
            server=candidate.label,
            wanted=wanted,
            told=told,
            refused=refused,
            held=came["clients"],
            answered=outcome.ok,
            error="; ".join(filter(None, (came["refused"], outcome.fault))),
            held_s=round(held_s, 2),
            answered_s=round(time.monotonic() - began_s - held_s, 2),
        )


def kept(limit: ConnectionLimit, candidate: Candidate) -> bool:
    """Tell whether a server holds what it declares, one client at least, and answers all that it holds."""
    most = candidate.most_clients or limit.wanted
    declared = 1 if candidate.declares is None else min(most, limit.wanted)
    return limit.held >= declared and limit.answered == limit.held
