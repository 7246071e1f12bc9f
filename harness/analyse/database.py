"""What relays that ask a database say of those that ask our own upstream: does the same hold there? Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final

from harness.record import EffectResult

NAME: Final = "database"
"""Of the effect."""
DATABASE: Final = "the database"
UPSTREAM: Final = "our upstream"
REACHED: Final = 0.85
"""Of the ceiling: who has reached so much had no other limit."""
CLEARLY: Final = 1.1
"""One measurement of each does not tell less apart."""

Figures = Mapping[str, float]


def label_of(model: str, whom: str, clients: int) -> str:
    """Name a side of the experiment: a relay, whom it asks, and for how many clients."""
    return f"{model}, {whom}, {clients} clients"


@dataclass(frozen=True)
class RelaysCompared:
    """The relays with so many clients.

    Attributes:
        clients: how many.
        of_database, of_upstream: what was measured where they asked the one, and the other, by relay.
    """

    clients: int
    of_database: Mapping[str, Figures]
    of_upstream: Mapping[str, Figures]

    @property
    def short(self) -> list[str]:
        """Return the relays that did not reach the ceiling where they asked the database."""
        return [model for model, figures in self.of_database.items() if figures["share"] < REACHED]

    @property
    def reversed_pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of which the first is clearly cheaper at the database, and the second at our upstream."""
        return [
            (first, second)
            for first, second in permutations(self.of_database, 2)
            if _cheaper(self.of_database, first, second) and _cheaper(self.of_upstream, second, first)
        ]

    @property
    def added_us(self) -> dict[str, float]:
        """Return how much more CPU a request takes of each relay where it asks the database."""
        return {
            model: figures["cpu_us"] - self.of_upstream[model]["cpu_us"]
            for model, figures in self.of_database.items()
        }


def _cheaper(figures: Mapping[str, Figures], first: str, second: str) -> bool:
    return figures[first]["cpu_us"] * CLEARLY < figures[second]["cpu_us"]


def compared_by_clients(result: EffectResult) -> list[RelaysCompared]:
    """Lay out what was measured, by the number of clients; the sides that block are not among it."""
    found = {each.arm.label: each.arm.figures for each in result.arms}
    clients_counts = sorted({int(figures["clients"]) for figures in found.values()})
    models = list(dict.fromkeys(label.partition(",")[0] for label in found))

    def of(whom: str, clients: int) -> dict[str, Figures]:
        return {model: found[label] for model in models if (label := label_of(model, whom, clients)) in found}

    return [
        RelaysCompared(clients, of(DATABASE, clients), of(UPSTREAM, clients)) for clients in clients_counts
    ]
