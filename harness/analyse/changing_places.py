"""Who answers more with few clients, and who with many: where two servers change places. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analyse.comparisons import BETTER, WORSE, Comparison, inverse
from harness.analyse.tables import Table
from harness.plan import Load, by_name, model_of


@dataclass(frozen=True)
class PlaceChange:
    """Two servers, one of which answers more with few clients, and the other with many.

    Attributes:
        few, many: which of them, with which.
        ratios: of `many` against `few` in requests/s, by the number of clients, the fewest first.
    """

    few: str
    many: str
    ratios: Mapping[int, Comparison]

    @property
    def up_to(self) -> int:
        """Return the most clients with which `few` is known to answer more."""
        return max(clients for clients, each in self.ratios.items() if each.verdict == WORSE)

    @property
    def beyond(self) -> int:
        """Return the fewest with which `many` is known to do so."""
        return min(clients for clients, each in self.ratios.items() if each.verdict == BETTER)

    @property
    def swing(self) -> float:
        """Return by how much the ratio changes, from the fewest clients to the most."""
        ratios = [each.ratio for each in self.ratios.values()]
        return ratios[-1] / ratios[0]


def by_clients(workloads: Iterable[str]) -> dict[int, str]:
    """Return the workloads that differ in nothing but the number of their clients, several of which ask at once; fewest first."""
    found = {
        load.clients: name
        for name in workloads
        if (load := by_name(name).load) == Load(clients=load.clients) and by_name(name).in_slices
    }
    return {clients: found[clients] for clients in sorted(found) if clients > 1}


def place_changes(tables: Mapping[str, Table]) -> tuple[PlaceChange, ...]:
    """Return all pairs of models that change places, those first whose ratio changes most; each no more than once."""
    return tuple(sorted(_place_changes(tables), key=lambda found: -found.swing))


def _place_changes(tables: Mapping[str, Table]) -> Iterator[PlaceChange]:
    ratios: dict[tuple[str, str], dict[int, Comparison]] = {}
    for clients, name in by_clients(tables).items():
        for each in tables[name].sound("throughput_rps"):
            if each.a == model_of(each.a) and each.b == model_of(each.b):
                for one in (each, inverse(each)):
                    ratios.setdefault((one.a, one.b), {})[clients] = one
    for (few, many), of_pair in ratios.items():
        worse, better = (
            [clients for clients, each in of_pair.items() if each.verdict == verdict]
            for verdict in (WORSE, BETTER)
        )
        if worse and better and max(worse) < min(better):
            yield PlaceChange(few, many, of_pair)


def turning(found: Sequence[PlaceChange]) -> tuple[PlaceChange, ...]:
    """Return the place_changes of the server that changes places with most others."""
    if not found:
        return ()
    count = Counter(server for each in found for server in (each.few, each.many))
    most = max(count, key=lambda server: count[server])
    return tuple(each for each in found if most in {each.few, each.many})
