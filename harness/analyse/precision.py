"""How many blocks a wanted precision takes, and how far the time goes. Pure: samples and seconds in, numbers out.

A pilot tells how much launches differ; from that follow the blocks that each workload needs. They are chosen anew as
more is known, and at most doubled each time, since a pilot of few blocks knows their spread badly (Kalibera & Jones 2013).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from harness.analyse.blocks import Launch, under
from harness.analyse.comparisons import Family, families, half_width_of
from harness.analyse.samples.metrics import metric
from harness.analyse.statistics.inference import CONFIDENCE, LogRatio, half_width
from harness.record import PrecisionGoal

PILOT_BLOCKS: Final = 5
MOST_BLOCKS: Final = 100_000
"""More than anybody has time for; where a search for a number of blocks gives up."""


@dataclass(frozen=True)
class Reach:
    """How precise the ratios under one workload are.

    Attributes:
        blocks: measured.
        half_width: of the widest interval of a ratio, as a share: 95 % for all pairs of servers at once.
        needed: the blocks that the target takes, as far as is known by now; no fewer than were measured.
        reached: the half-width is not above the target's.
    """

    workload: str
    blocks: int
    half_width: float
    needed: int
    reached: bool


def reach(launches: Sequence[Launch], workload: str, target: PrecisionGoal) -> Reach | None:
    """Say how precise the ratios under a workload are; None if no two servers have two blocks in common."""
    found = [family for family in families(launches, workload, metric(target.metric)) if family.ratios]
    if not found:
        return None
    blocks = 1 + max(launch.sample.cell.block for launch in under(launches, workload))
    widest = max(half_width_of(family.ratios.values()) for family in found)
    reached = widest <= target.half_width
    needed = max(_needed(family, blocks, target) for family in found)
    return Reach(workload, blocks, widest, blocks if reached else max(blocks + 1, needed), reached)


def _needed(family: Family, blocks: int, target: PrecisionGoal) -> int:
    """Return the blocks to be measured for a family's ratios, if as many of them stay unusable as did so far."""
    ratio = max(family.ratios.values(), key=LogRatio.half_width)
    used = max(1, ratio.blocks)
    spread = ratio.error * math.sqrt(used)
    return math.ceil(blocks_for(spread, target.half_width, ratio.servers) * blocks / used)


def blocks_for(spread: float, wanted: float, servers: int = 2, confidence: float = CONFIDENCE) -> int:
    """Return the fewest blocks for which the interval of a ratio is no wider than wanted.

    Args:
        spread: the standard deviation of the differences of logarithms within blocks.
        wanted: the interval's half-width, as a share.
        servers: that have one error, and of which all pairs are looked at.
        confidence: of the interval.
    """

    def wide_enough(blocks: int) -> bool:
        degrees = (blocks - 1) * (servers - 1)
        return half_width(spread / math.sqrt(blocks), degrees, confidence, servers) <= math.log1p(wanted)

    enough = 2
    while not wide_enough(enough) and enough < MOST_BLOCKS:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if wide_enough(middle) else (middle, enough)
    return enough


def blocks_in_time(
    needed: Mapping[str, int], done: Mapping[str, int], seconds_per_block: Mapping[str, float], seconds: float
) -> dict[str, int]:
    """Choose how many blocks each workload shall have in all.

    What is needed, if there is time; at most double what was done; else as many as there is time for if no workload
    that needs more has fewer blocks than another: the last block buys the most where there are the fewest.

    Args:
        needed: blocks of each workload for the target, of those with a target to reach.
        done: blocks of each workload so far.
        seconds_per_block: what one takes.
        seconds: that are left.
    """
    wanted = {name: min(needed.get(name, 0), 2 * done[name]) for name in done}

    def at_most(level: int) -> dict[str, int]:
        return {name: max(done[name], min(wanted[name], level)) for name in done}

    def cost_s(chosen: Mapping[str, int]) -> float:
        return sum((chosen[name] - done[name]) * seconds_per_block[name] for name in done)

    level = max(wanted.values(), default=0)
    while level > 0 and cost_s(at_most(level)) > seconds:
        level -= 1
    return at_most(level)


def sentence(found: Reach, target: PrecisionGoal) -> str:
    """Say in words whether the target was reached, and what it would take."""
    got = f"{found.workload}: ±{found.half_width:.1%} with {found.blocks} blocks"
    if found.reached:
        return f"{got}, as asked for"
    return (
        f"{got}, not the ±{target.half_width:.1%} asked for: the best within {target.within_s / 60:g} minutes; "
        f"it would take about {found.needed:,} blocks"
    )
