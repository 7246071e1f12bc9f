"""What a run has come to: how precise its ratios are, how many pairs it decides, and what was left out. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.blocks import Launch, under
from harness.analyse.comparisons import UNDECIDED, Family, compare_all, families, half_width_of
from harness.analyse.samples.metrics import Metric, metric
from harness.analyse.samples.validity import Reason
from harness.record import Slice

HIT: Final = 0.2
"""A slice was hit if its generator waited for its core for a larger share of it. Cycles that were hit are left out, unless they are
too many."""
TO_ITSELF: Final = 2 / 3
"""A server is named for scattering by itself if without it intervals were narrower than this part."""


def was_hit(slice_: Slice) -> bool:
    """Tell whether something else ran on the generator's core for too much of a slice."""
    return slice_.waited_ns > HIT * slice_.length_s * 1e9


@dataclass(frozen=True)
class Precision:
    """How precise the ratios of a metric under a workload are; 95 % for all pairs of a family at once.

    Attributes:
        half_width: of the widest interval, as a share: of pinned servers if there are two, or else of those there are.
        widest: the server whose ratios alone make it so wide, if there is one; `without` it, it were this.
        with_free: likewise, of the pairs with a server that is free on all cores; None if there are none.
        pairs: of servers that are compared, `undecided` of which are neither equivalent nor different.
    """

    workload: str
    metric: str
    blocks: int
    half_width: float
    widest: str
    without: float
    with_free: float | None
    pairs: int
    undecided: int


def precision_of(launches: Sequence[Launch], workload: str, of: Metric) -> Precision | None:
    """Say how precise the ratios are; None if no two servers can be compared."""
    found = [family for family in families(launches, workload, of) if family.ratios]
    if not found:
        return None
    pinned = [family for family in found if not family.free] or found
    with_free = [half_width_of(family.ratios.values()) for family in found if family.free]
    widest = max(pinned, key=lambda family: half_width_of(family.ratios.values()))
    half_width = half_width_of(widest.ratios.values())
    server, without = _widest_server(widest)
    alone = without < TO_ITSELF * half_width
    pairs = compare_all(launches, workload, of)
    return Precision(
        workload,
        of.name,
        1 + max(launch.sample.cell.block for launch in under(launches, workload)),
        half_width,
        server if alone else "",
        without if alone else half_width,
        max(with_free) if pinned != found and with_free else None,
        len(pairs),
        sum(each.verdict == UNDECIDED for each in pairs),
    )


def _widest_server(family: Family) -> tuple[str, float]:
    """Return the server without which the widest interval is narrowest, and how wide it then is."""
    found = {
        name: [ratio for pair, ratio in family.ratios.items() if name not in pair]
        for name in family.model.names
    }
    others = {name: half_width_of(ratios) for name, ratios in found.items() if ratios}
    return min(others.items(), key=lambda each: each[1], default=("", math.inf))


@dataclass(frozen=True)
class Noise:
    """What others did to the machine while slices were measured.

    Attributes:
        slices: in all; `left_out` of them belong to cycles that were hit.
        blocks: of slices; in `shared` of them so many cycles were hit that none was left out.
        neighbours: launches, of `launches`, beside which others had a part of the machine.
    """

    slices: int
    left_out: int
    blocks: int
    shared: int
    launches: int
    neighbours: int


def noise_of(launches: Sequence[Launch]) -> Noise | None:
    """Count what was left out of slices, and why; None if there are none."""
    sliced = [launch for launch in launches if launch.sample.slices]
    if not sliced:
        return None
    slices = [each for launch in sliced for each in launch.sample.slices]
    blocks: dict[tuple[str, int, str], bool] = {}
    for launch in sliced:
        sample = launch.sample
        block = sample.cell.workload, sample.cell.block, sample.placement.regime
        hit = sample.placement.pinned and any(map(was_hit, sample.kept_slices))
        blocks[block] = blocks.get(block, False) or hit
    return Noise(
        slices=len(slices),
        left_out=sum(bool(each.reason) for each in slices),
        blocks=len(blocks),
        shared=sum(blocks.values()),
        launches=len(sliced),
        neighbours=sum(
            any(flag.reason is Reason.NEIGHBOUR for flag in launch.validity.flags) for launch in sliced
        ),
    )


def precision_sentence(found: Precision) -> str:
    """Say it in words."""
    title = metric(found.metric).title
    decided = found.pairs - found.undecided
    others = f", those without `{found.widest}` to ±{found.without:.0%}" if found.widest else ""
    free = (
        ""
        if found.with_free is None
        else f", those with a server that is free on all cores to ±{found.with_free:.0%},"
    )
    return (
        f"{found.workload}: ratios in {title} are known to ±{found.half_width:.0%} or better{others}{free} with {found.blocks} blocks; "
        f"{decided} of {found.pairs} pairs are decided"
    )


def noise_sentence(found: Noise) -> str:
    """Say in words what others did to the machine, and what was left out."""
    if not (found.left_out or found.shared or found.neighbours):
        return f"Nothing disturbed the {found.slices:,} slices."
    left_out = (
        f"{found.left_out:,} of {found.slices:,} slices were left out, with their whole cycles, since something else ran on the "
        "generator's core"
    )
    shared = (
        f"in {found.shared} of {found.blocks} blocks something else ran on the generator's core in more than a third of the cycles, so that all "
        "were kept"
    )
    beside = f"beside {found.neighbours} of {found.launches} launches others took a part of the machine, all servers alike"
    told = [
        text
        for text, count in (
            (left_out, found.left_out),
            (shared, found.shared),
            (beside, found.neighbours),
        )
        if count
    ]
    sentence = "; ".join(told)
    return f"{sentence[0].upper()}{sentence[1:]}."
