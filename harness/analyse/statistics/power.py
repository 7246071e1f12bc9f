"""What a design can tell apart: false verdicts, coverage and power, by simulation. Pure; seeds are given.

The very procedure that judges servers is run over made-up runs of which the truth is known: noise of several kinds, or what is
left of real launches when servers and blocks are taken away (Georges et al. 2007, section 3).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from harness.analyse.statistics.inference import (
    ALPHA,
    EQUIVALENCE,
    Direction,
    RatioTest,
    clopper_pearson,
    half_width,
)
from harness.analyse.statistics.two_way import Matrix, Pair, TwoWay, fit_logs, scatters

Values = npt.NDArray[np.float64]

POWER: Final = 0.8
"""An effect counts as resolved if this share of runs would call it different."""
LARGEST_EFFECT: Final = 10.0
TOLD_APART: Final = frozenset({Direction.ABOVE, Direction.BELOW})


@dataclass(frozen=True)
class Rate:
    """How often something happened in so many trials, with its exact (Clopper-Pearson) 95 % interval."""

    hits: int
    trials: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Return hits over trials."""
        return self.hits / self.trials


def rate(hits: int, trials: int) -> Rate:
    """Return a rate with its interval."""
    return Rate(hits, trials, *clopper_pearson(hits, trials))


@dataclass(frozen=True)
class Shape:
    """How large a made-up run is."""

    servers: int
    blocks: int
    workloads: int


Noise = Callable[[np.random.Generator, Shape], Matrix]
"""Makes up what is neither server nor block: a table of workloads by servers by blocks, of standard deviation 1 or so."""


def normal(rng: np.random.Generator, shape: Shape) -> Matrix:
    """Return noise as in textbooks."""
    return rng.normal(size=(shape.workloads, shape.servers, shape.blocks))


def heavy_tailed(rng: np.random.Generator, shape: Shape) -> Matrix:
    """Return noise with outliers: Student's t of three degrees of freedom."""
    return rng.standard_t(3, (shape.workloads, shape.servers, shape.blocks)) / math.sqrt(3)


def unequal(rng: np.random.Generator, shape: Shape) -> Matrix:
    """Return noise of which one server has three times as much as all others."""
    scatter = np.where(np.arange(shape.servers) == 0, 3.0, 1.0)
    return normal(rng, shape) * scatter[:, np.newaxis]


def two_states(rng: np.random.Generator, shape: Shape) -> Matrix:
    """Return the noise of a machine with two states, in which the ratios of the servers differ by as much as the noise.

    It changes between them within seconds, so that each block has a share of the second, three tenths in the long run; the
    truth is the mean over both.
    """
    second = rng.beta(0.6, 1.4, (shape.workloads, 1, shape.blocks))
    shifts = rng.normal(size=(shape.workloads, shape.servers, 1))
    return normal(rng, shape) + shifts * (second - 0.3)


NOISES: Final[Mapping[str, Noise]] = {
    "normal": normal,
    "heavy-tailed": heavy_tailed,
    "unequal": unequal,
    "two states": two_states,
}


def resampled(pools: Sequence[Values]) -> Noise:
    """Return a noise that is drawn from what really happened to servers.

    Not whole blocks are drawn, although they would keep what servers have in common: a dozen of blocks is a world of its
    own, in which by chance each pair scatters differently, and in which even normal noise lets one family in ten be told apart.

    Args:
        pools: of each server the residuals over all workloads, in units of each workload's error: of launches, or of slices.
    """

    def draw(rng: np.random.Generator, shape: Shape) -> Matrix:
        each = [rng.choice(pool, (shape.workloads, shape.blocks)) for pool in pools[: shape.servers]]
        return np.stack(each, axis=1)

    return draw


def verdicts(logs: Matrix) -> list[dict[Pair, RatioTest]]:
    """Judge a run as a real one is judged, given the logarithms of each workload, servers by blocks."""
    names = tuple(map(str, range(logs.shape[1])))
    models = [model for table in logs if (model := fit_logs(names, table)) is not None]
    of_servers = scatters(models)
    return [model.judged(of_servers) for model in models]


def family_errors(noise: Noise, shape: Shape, runs: int, seed: int) -> Rate:
    """Say in how many families of equal servers, one for each workload, two would be called different."""
    rng = np.random.default_rng(seed)
    families = [family for _ in range(runs) for family in verdicts(0.05 * noise(rng, shape))]
    return rate(
        sum(any(each.direction in TOLD_APART for each in family.values()) for family in families),
        len(families),
    )


def coverage(noise: Noise, shape: Shape, runs: int, seed: int) -> Rate:
    """Say in how many families the intervals of all pairs contain the truth, of servers that differ by 5 % each."""
    rng = np.random.default_rng(seed)
    effects = 0.05 * np.arange(shape.servers)
    families = [
        family for _ in range(runs) for family in verdicts(effects[:, np.newaxis] + 0.05 * noise(rng, shape))
    ]
    return rate(
        sum(all(map(_is_covered, *zip(*family.items(), strict=True))) for family in families), len(families)
    )


def _is_covered(pair: Pair, found: RatioTest) -> bool:
    truth = math.exp(0.05 * (int(pair[1]) - int(pair[0])))
    return found.low <= truth <= found.high


def power(effect: float, scatter: float, shape: Shape, runs: int, seed: int) -> Rate:
    """Say how often an effect is found, and in its direction.

    Args:
        effect: the true ratio of the second server and the first; all others equal the first.
        scatter: standard deviation of the logarithm of each launch.
        shape: of a run.
        runs: made up.
        seed: of the noise, which is normal.
    """
    rng = np.random.default_rng(seed)
    wanted = Direction.ABOVE if effect > 1 else Direction.BELOW
    effects = np.where(np.arange(shape.servers) == 1, math.log(effect), 0.0)
    found = [
        family["0", "1"].direction is wanted
        for _ in range(runs)
        for family in verdicts(effects[:, np.newaxis] + scatter * normal(rng, shape))
    ]
    return rate(sum(found), len(found))


def residual_pools(models: Sequence[TwoWay]) -> list[Values]:
    """Return each server's residuals over several models, in units of their errors, with a mean of 0."""
    pools: dict[str, list[Values]] = {}
    for model in models:
        for name, residuals in zip(model.names, model.residuals, strict=True) if model.variance else ():
            known = residuals[~np.isnan(residuals)] / math.sqrt(model.variance)
            pools.setdefault(name, []).append(known)
    joined = [np.concatenate(of_server) for of_server in pools.values()]
    return [pool - pool.mean() for pool in joined]


def resolvable(spread: float, blocks: int) -> float:
    """Return the smallest effect, as a share, that 80 % of runs of two servers would tell from none (noncentral t).

    It is at least 5 %: less is not looked for, and called equivalent if it is known well.

    Args:
        spread: standard deviation of the paired differences of logarithms.
        blocks: of a run.
    """
    error = spread / math.sqrt(blocks)
    critical = half_width(1.0, blocks - 1, 1 - ALPHA)

    def found(effect: float) -> bool:
        shift = math.log1p(effect) / error if error else math.inf
        return math.isinf(shift) or 1 - float(special.nctdtr(blocks - 1, shift, critical)) >= POWER

    low, high = 0.0, LARGEST_EFFECT
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return max(high, EQUIVALENCE - 1)
