"""How each server is drawn, everywhere."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from harness.plan import model_of

_VARIED: Final[dict[str, tuple[str, Literal["full", "none", "left"]]]] = {
    "uvloop": ("--", "none"),
    "recv64k": (":", "left"),
    "buffered": (":", "none"),
    "loops": ("--", "left"),
    "to_thread": ("-.", "left"),
    "blocking": ("-.", "none"),
}


@dataclass(frozen=True)
class Look:
    """How a server is drawn, everywhere.

    Attributes:
        tint: its colour, told apart by the colour-blind; a model's variants have the model's.
        mark: likewise.
        line: "-", or another for a variant.
        fill: "full", or another for a variant.
    """

    tint: str
    mark: str
    line: str = "-"
    fill: Literal["full", "none", "left"] = "full"


# Okabe and Ito's palette without its yellow, which is pale on white, and three colours of Tol's "muted".
_LOOKS: Final = {
    "blocking": Look("#555555", "o"),
    "threaded": Look("#E69F00", "s"),
    "thread_pool": Look("#999933", "h"),
    "select_generators": Look("#0072B2", "^"),
    "selectors_callbacks": Look("#56B4E9", "<"),
    "asyncio_protocol": Look("#117733", "d"),
    "asyncio_streams": Look("#009E73", "D"),
    "trio_nursery": Look("#CC79A7", "v"),
    "gevent_greenlets": Look("#D55E00", "P"),
    "processes": Look("#882255", "X"),
}


_OTHERS: Final = tuple(Look(tint, mark, "-.") for mark in "*p>" for tint in ("#000000", "#332288", "#AA4499"))


def look(server: str, servers: Sequence[str]) -> Look:
    """Return how a server is drawn: ours always the same, others by their place in the run."""
    model, varied = model_of(server), server.partition("@")[0].partition("+")[2]
    if model in _LOOKS:
        line, fill = _VARIED.get(varied, ("-", "full"))
        return replace(_LOOKS[model], line=line, fill=fill)
    others = [label for label in servers if model_of(label) not in _LOOKS]
    return _OTHERS[others.index(server) % len(_OTHERS)]
