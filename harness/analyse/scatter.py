"""How much slices, launches and blocks of a run scatter. Pure."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from harness.analyse.blocks import Launch, under
from harness.analyse.statistics.components import Components, components
from harness.record import Slice

OF_SLICE: Final[dict[str, Callable[[Slice], float]]] = {
    "cpu_us_per_request": lambda each: each.cpu_ns / 1e3 / max(each.answered, 1),
    "throughput_rps": lambda each: each.answered / each.length_s,
}
"""The metrics that come from slices, of one of them."""


def scatter(launches: Sequence[Launch], workload: str, metric: str) -> Components | None:
    """Divide the scatter of a metric under a workload, over the blocks in which every server has every slice.

    None if there are not two such blocks, of two servers and two cycles at least.

    Args:
        launches: of servers of one regime.
        workload: under which.
        metric: "cpu_us_per_request" or "throughput_rps".
    """
    value = OF_SLICE[metric]
    blocks: dict[int, dict[str, Sequence[Slice]]] = {}
    for launch in under(launches, workload):
        cell, slices = launch.sample.cell, launch.sample.slices
        if launch.valid and slices and min(map(value, slices)) > 0:
            blocks.setdefault(cell.block, {})[cell.server] = slices
    if not blocks:
        return None
    servers = sorted({server for of_block in blocks.values() for server in of_block})
    cycles = max(len(slices) for of_block in blocks.values() for slices in of_block.values())
    whole = [
        of_block
        for of_block in blocks.values()
        if all(len(of_block.get(server, ())) == cycles for server in servers)
    ]
    if len(whole) < 2 or len(servers) < 2 or cycles < 2:
        return None
    logs = [
        [[math.log(value(of_block[server][cycle])) for server in servers] for cycle in range(cycles)]
        for of_block in whole
    ]
    return components(np.array(logs))
