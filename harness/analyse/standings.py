"""How servers stand while they are still being measured: figures with bars that can be compared by eye. Pure."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from harness.analyse.blocks import Launch, by_block
from harness.analyse.comparisons import Family, families
from harness.analyse.samples.metrics import Metric
from harness.analyse.statistics.two_way import EVEN


class Standing(NamedTuple):
    """A server's figure so far.

    Attributes:
        low, high: of its comparison bar, about half as wide as the interval of a ratio: where two bars do not overlap, the
            servers are known to differ. None as long as the scatter is not known.
    """

    server: str
    mean: float
    low: float | None
    high: float | None


def standings(launches: Sequence[Launch], workload: str, of: Metric) -> list[Standing]:
    """Return the servers under a workload, the best so far first; no letters, since these are for the end."""
    halves = half_bars(families(launches, workload, of))
    found = []
    for server, values in by_block(launches, workload, of).items():
        if values and min(values.values()) > 0:
            centre = fmean(map(math.log, values.values()))
            half = halves.get(server)
            low, high = (None, None) if half is None else (math.exp(centre - half), math.exp(centre + half))
            found.append(Standing(server, math.exp(centre), low, high))
    return sorted(found, key=lambda each: each.mean, reverse=of.higher_is_better)


def half_bars(found: Iterable[Family]) -> dict[str, float]:
    """Return half of each server's bar, on the logarithm: of the two of a pair they are no less than the interval's half-width.

    Whoever scatters least comes first, with half of its narrowest interval; each other one has what is left of its widest.
    """
    halves: dict[str, float] = {}
    for family in found:
        widths = {frozenset(pair): ratio.half_width() for pair, ratio in family.ratios.items()}
        for name in sorted(family.model.names, key=lambda each: family.scatters.get(each, EVEN).variance):
            mine = {other: widths[pair] for pair in widths if name in pair for other in pair - {name}}
            if mine and name not in halves:
                left = [width - halves[other] for other, width in mine.items() if other in halves]
                halves[name] = max(left, default=min(mine.values()) / 2)
    return halves
