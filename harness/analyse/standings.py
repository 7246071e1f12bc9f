"""How servers stand while they are still being measured: figures with bars that can be compared by eye. Pure."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from harness.analyse.blocks import Launch, by_block
from harness.analyse.comparisons import families
from harness.analyse.samples.metrics import Metric


class Standing(NamedTuple):
    """A server's figure so far.

    Attributes:
        low, high: of its comparison bar, half as wide as the interval of a ratio: where two servers are known to differ,
            their bars do not overlap. None as long as the scatter is not known.
    """

    server: str
    mean: float
    low: float | None
    high: float | None


def standings(launches: Sequence[Launch], workload: str, of: Metric) -> list[Standing]:
    """Return the servers under a workload, the best so far first; no letters, since these are for the end."""
    halves = {
        server: family.widest.half_width(family.confidence) / 2
        for family in families(launches, workload, of)
        if family.ratios
        for server in family.model.names
    }
    found = []
    for server, values in by_block(launches, workload, of).items():
        if values and min(values.values()) > 0:
            centre = fmean(map(math.log, values.values()))
            half = halves.get(server)
            low, high = (None, None) if half is None else (math.exp(centre - half), math.exp(centre + half))
            found.append(Standing(server, math.exp(centre), low, high))
    return sorted(found, key=lambda each: each.mean, reverse=of.higher_is_better)
