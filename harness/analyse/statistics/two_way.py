"""One model for a design in blocks, log y = server + block, and the ratios of all pairs that follow from it.

What moves all servers of a block alike is the block's; what is left is error, estimated from all servers together, with
(B - 1)(S - 1) degrees of freedom in B blocks of S servers. Least squares, so that a cell may be missing. "Server" stands for
whatever is compared; with two of them it is the paired t-test.

Servers may scatter differently: each has its own part in the error of its pairs, as far as the run knows it. A pair's own
differences by block would need no such estimate, but have so few degrees of freedom, three or four in a run of five minutes, that
their intervals are three times as wide.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean
from statistics import variance as variance_of
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.analyse.statistics.inference import LogRatio, RatioTest, decide

Matrix = npt.NDArray[np.float64]
Pair = tuple[str, str]

FEWEST_DEGREES: Final = 2.0
"""A scatter of fewer degrees of freedom says nothing about another one."""
LEAST_VARIANCE: Final = 0.05
"""What is estimated as less, or as less than nothing, counts as this, in units of the mean variance."""


@dataclass(frozen=True)
class Scatter:
    """How much the launches of one server scatter, beside those of all.

    Attributes:
        variance: in units of the variance that all servers of a fit have in common.
        degrees: of freedom, with which that is known.
    """

    variance: float
    degrees: float


EVEN: Final = Scatter(1.0, math.inf)
NO_SCATTERS: Final[Mapping[str, Scatter]] = MappingProxyType({})
"""All servers scatter alike."""


@dataclass(frozen=True)
class TwoWay:
    """The model, fitted.

    Attributes:
        names: of the servers.
        logs: a row for each server, a column for each block; NaN where nothing was measured.
        effects: of the servers, on the logarithm, up to a constant.
        inverse: of the servers' normal equations, generalised: times the error's variance, it is their covariance.
        reached: for each pair of servers whether blocks connect them, directly or by way of others.
        residuals: as the logarithms.
        degrees: of freedom, of the residuals.
    """

    names: tuple[str, ...]
    logs: Matrix
    effects: Matrix
    inverse: Matrix
    reached: npt.NDArray[np.bool_]
    residuals: Matrix
    degrees: int

    @cached_property
    def variance(self) -> float:
        """Return the error's variance, of one launch."""
        return float(np.nansum(self.residuals**2)) / self.degrees

    def ratios(self, scatters: Mapping[str, Scatter] = NO_SCATTERS) -> dict[Pair, LogRatio]:
        """Return the ratio b/a of each pair, with its error.

        Args:
            scatters: of the servers that do not scatter as all do; see `scatters`.
        """
        found = {}
        for a, b in combinations(range(len(self.names)), 2):
            if self.reached[a, b]:
                pair = self.names[a], self.names[b]
                spread = self.inverse[a, a] + self.inverse[b, b] - 2 * self.inverse[a, b]
                variance, unknown = _together([scatters.get(name, EVEN) for name in pair])
                found[pair] = LogRatio(
                    float(self.effects[b] - self.effects[a]),
                    float(np.sqrt(self.variance * variance * spread)),
                    1 / (1 / self.degrees + unknown),
                    int(self._both(a, b).sum()),
                    len(self.names),
                )
        return found

    def judged(self, scatters: Mapping[str, Scatter] = NO_SCATTERS) -> dict[Pair, RatioTest]:
        """Judge all pairs, as one family."""
        ratios = self.ratios(scatters)
        return dict(zip(ratios, decide(list(ratios.values())), strict=True))

    def _both(self, a: int, b: int) -> npt.NDArray[np.bool_]:
        there: npt.NDArray[np.bool_] = ~np.isnan(self.logs[a] + self.logs[b])
        return there


def fit(values: Mapping[str, Mapping[int, float]]) -> TwoWay | None:
    """Fit the model to positive values by server and block; None if they leave no error to estimate."""
    names = tuple(values)
    blocks = sorted({block for of_server in values.values() for block in of_server})
    logs = np.array([[np.log(values[name].get(block, np.nan)) for block in blocks] for name in names])
    return fit_logs(names, logs) if logs.size else None


def fit_logs(names: Sequence[str], logs: Matrix) -> TwoWay | None:
    """Fit the model to a table of logarithms; NaN is a missing cell.

    The blocks are eliminated: within each, the mean is taken away, of the logarithms and of who was there. What is left
    are as many equations as servers, of which one is too many for each group of servers that no block connects.
    """
    there = (~np.isnan(logs)).astype(np.float64)
    known = np.nan_to_num(logs)
    sizes = there.sum(axis=0)
    in_block = known.sum(axis=0) / sizes
    equations = np.diag(there.sum(axis=1)) - (there / sizes) @ there.T
    inverse = np.linalg.pinv(equations, rcond=1e-10, hermitian=True)
    effects = inverse @ (known - there * in_block).sum(axis=1)
    degrees = int(there.sum()) - len(sizes) - int(np.linalg.matrix_rank(equations, tol=1e-9, hermitian=True))
    if degrees < 1:
        return None
    block_effects = in_block - (there * effects[:, np.newaxis]).sum(axis=0) / sizes
    # Equations times their inverse project on what can be estimated: 0 where no chain of blocks leads from one to the other.
    reached = np.abs(equations @ inverse) > 1e-6
    residuals = logs - effects[:, np.newaxis] - block_effects
    return TwoWay(tuple(names), logs, effects, inverse, reached, residuals, degrees)


def scatters(fits: Sequence[TwoWay]) -> dict[str, Scatter]:
    """Return how much each server scatters beside the others, over several workloads of a run, in units of each one's error.

    One error suits all pairs as long as the servers scatter about alike; among eight of which one scatters three times as much,
    equal servers would be called different in 13 families of 100 instead of 5. But in few blocks chance alone makes the largest
    of eight equal scatters three times the smallest. So each is drawn towards the mean of all by as much as chance explains how
    they differ (empirical Bayes, as Smyth 2004 does it for genes): variances that differ by no more than chance become one, with
    the degrees of freedom of all. There is no test before the test. By simulation, 500 runs of each kind, the family-wise error
    is 3 to 6 % whatever the noise and the number of blocks.
    """
    own = _own_scatters(fits)
    if len(own) < 3:
        return {}
    by_chance = fmean(2 / each.degrees for each in own.values())
    truly = variance_of(each.variance for each in own.values()) - by_chance
    if truly <= 0:
        return {}
    # The degrees of freedom with which a variance of 1 would have to be known, to scatter by as much.
    of_mean = 2 / truly
    return {
        name: Scatter(
            max(LEAST_VARIANCE, (of_mean + each.degrees * each.variance) / (of_mean + each.degrees)),
            of_mean + each.degrees,
        )
        for name, each in own.items()
    }


def _own_scatters(fits: Sequence[TwoWay]) -> dict[str, Scatter]:
    """Return each server's scatter as its own residuals tell it.

    The mean square of a server's own residuals is not its variance: the mean of a block, which is taken away, holds a part
    of everybody's. With S servers its expectation is ((S - 2) v + m) / (S - 1), where m is the mean of all variances
    (Grubbs 1948), of which v is solved for here, in units of m. So are the degrees of freedom: solving for v scatters
    it by more than the residuals, with three servers as if there were half as many of them.
    """
    variances: dict[str, float] = {}
    degrees: dict[str, float] = {}
    for each in fits:
        servers = len(each.names)
        if servers < 3 or not each.variance:
            continue  # the residuals of two are the same but for their sign: they cannot be told apart
        for name, residuals in zip(each.names, each.residuals, strict=True):
            share = each.degrees * int(np.isfinite(residuals).sum()) / int(np.isfinite(each.residuals).sum())
            mean_square = float(np.nansum(residuals**2)) / share / each.variance
            own = (mean_square * (servers - 1) - 1) / (servers - 2)
            known = share * (servers - 2) / (servers - 1)
            variances[name] = variances.get(name, 0.0) + own * known
            degrees[name] = degrees.get(name, 0.0) + known
    return {
        name: Scatter(variances[name] / known, known)
        for name, known in degrees.items()
        if known >= FEWEST_DEGREES
    }


def _together(pair: Sequence[Scatter]) -> tuple[float, float]:
    """Return the mean of two variances, and one by its degrees of freedom (Satterthwaite 1946)."""
    total = sum(each.variance for each in pair)
    return total / 2, sum((each.variance / total) ** 2 / each.degrees for each in pair)
