"""Where the scatter of a figure lies: between slices of a launch, between launches of a server, between blocks. Pure.

What is spent on cycles buys down the first, on blocks the first two; the third does not matter, since servers are compared within
blocks (Kalibera & Jones 2013: spend repetitions where the variance is).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.float64]


class Components(NamedTuple):
    """Standard deviations of logarithms, about the shares by which a figure scatters.

    Attributes:
        slice: of one slice, within its launch and apart from what its cycle did to all servers.
        launch: of a launch with infinitely many slices, apart from what its block did to all servers.
        block: of what a block does to all servers alike.
        cycles: of each block.
    """

    slice: float
    launch: float
    block: float
    cycles: int

    def of_a_launch(self, cycles: int) -> float:
        """Return the scatter of a launch's value that comes from so many slices."""
        return math.sqrt(self.launch**2 + self.slice**2 / cycles)

    def best_cycles(self, block_s: float, cycle_s: float) -> float:
        """Return the cycles in a block that give the narrowest intervals for the time.

        The variance of a ratio is proportional to (launch² + slice²/cycles) / blocks, and blocks to 1 / (block_s + cycles
        cycle_s): its minimum is where cycles = slice/launch · sqrt(block_s / cycle_s).

        Args:
            block_s: what a block takes besides its cycles.
            cycle_s: what a cycle takes.
        """
        if not self.launch:
            return math.inf
        return self.slice / self.launch * math.sqrt(block_s / cycle_s)


def components(logs: Table) -> Components:
    """Divide the scatter of logarithms, a table of blocks x cycles x servers without gaps, into its parts.

    By the mean squares of the nested design, each minus what the parts below it contribute; what comes out below 0 is 0.
    """
    blocks, cycles, servers = logs.shape
    in_cycle = logs - logs.mean(axis=2, keepdims=True)
    launches = in_cycle.mean(axis=1)
    within = in_cycle - launches[:, np.newaxis, :]
    slice_variance = float((within**2).sum()) / (blocks * (cycles - 1) * (servers - 1))
    apart = launches - launches.mean(axis=0)
    launch_mean_square = float((apart**2).sum()) / ((blocks - 1) * (servers - 1))
    launch_variance = max(0.0, launch_mean_square - slice_variance / cycles)
    block_variance = max(0.0, float(logs.mean(axis=(1, 2)).var(ddof=1)) - launch_mean_square / servers)
    return Components(
        math.sqrt(slice_variance), math.sqrt(launch_variance), math.sqrt(block_variance), cycles
    )
