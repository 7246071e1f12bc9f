"""One model for a design in blocks, log y = server + block, and the ratios of all pairs that follow from it.

What moves all servers of a block alike is the block's; what is left is error, estimated from all servers together, with
(B - 1)(S - 1) degrees of freedom in B blocks of S servers. Least squares, so that a cell may be missing. "Server" stands for
whatever is compared; with two of them it is the paired t-test.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean, variance
from typing import Final

import numpy as np
import numpy.typing as npt

from harness.analyse.statistics.inference import LogRatio, RatioTest, decide, decide_each, paired

Matrix = npt.NDArray[np.float64]
Pair = tuple[str, str]

UNEVEN: Final = 2.0
"""From this ratio of the standard deviations of two servers on, one error for all pairs is wrong by too much."""
FEWEST_DEGREES: Final = 5.0
"""A scatter of fewer degrees of freedom says nothing about another one."""
LEAST_VARIANCE: Final = 0.01
"""What is estimated as less, or as less than nothing, counts as this, in units of the mean variance."""


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

    def ratios(self) -> dict[Pair, LogRatio]:
        """Return the ratio b/a of each pair, with the error that all have in common."""
        found = {}
        for a, b in combinations(range(len(self.names)), 2):
            if self.reached[a, b]:
                spread = self.inverse[a, a] + self.inverse[b, b] - 2 * self.inverse[a, b]
                found[self.names[a], self.names[b]] = LogRatio(
                    float(self.effects[b] - self.effects[a]),
                    float(np.sqrt(self.variance * spread)),
                    self.degrees,
                    int(self._both(a, b).sum()),
                    len(self.names),
                )
        return found

    def ratios_alone(self) -> dict[Pair, LogRatio]:
        """Return the ratio b/a of each pair from its own differences by block, as if nobody else had been measured."""
        found = {}
        for a, b in combinations(range(len(self.names)), 2):
            both = self._both(a, b)
            ratio = paired([float(each) for each in self.logs[b, both] - self.logs[a, both]])
            if ratio is not None:
                found[self.names[a], self.names[b]] = ratio
        return found

    def judged(self, *, alone: bool = False) -> dict[Pair, RatioTest]:
        """Judge all pairs, as one family: with their common error, or each with its own."""
        if alone:
            ratios = self.ratios_alone()
            return dict(zip(ratios, decide_each(list(ratios.values())), strict=True))
        ratios = self.ratios()
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


def uneven(fits: Sequence[TwoWay]) -> bool:
    """Tell whether the servers' scatters differ by more than 2 : 1, over all workloads of a run.

    A common error suits all pairs as long as the servers scatter about alike; among eight of which one scatters three times
    as much, equal servers would be called different in 13 families of 100 instead of 5. One workload of a few blocks
    cannot tell: the largest of eight equal scatters is often three times the smallest. So the workloads of a run are taken
    together, each in units of its own error; and what chance alone would make of equal scatters is taken off: each is
    drawn towards their mean, on the logarithm, by the part of its distance that its degrees of freedom explain (an
    empirical Bayes estimate). This estimates a ratio, and tests nothing.
    """
    scatters = _scatters(fits)
    if len(scatters) < 2:
        return False
    logs, chance = zip(
        *((math.log(scatter), 1 / (2 * degrees)) for scatter, degrees in scatters), strict=True
    )
    centre, true_variance = fmean(logs), max(0.0, variance(logs) - fmean(chance))
    drawn_in = [
        centre + (log - centre) * true_variance / (true_variance + by_chance)
        for log, by_chance in zip(logs, chance, strict=True)
    ]
    ratio = math.exp(max(drawn_in) - min(drawn_in))
    return ratio > UNEVEN


def _scatters(fits: Sequence[TwoWay]) -> list[tuple[float, float]]:
    """Return each server's standard deviation in units of the error's, and its degrees of freedom, over several fits.

    The mean square of a server's own residuals is not its variance: the mean of a block, which is taken away, holds a part
    of everybody's. With S servers its expectation is ((S - 2) v + m) / (S - 1), where m is the mean of all variances
    (Grubbs 1948), of which v is solved for here, in units of m.
    """
    squares: dict[str, float] = {}
    degrees: dict[str, float] = {}
    for each in fits:
        servers = len(each.names)
        if servers < 3 or not each.variance:
            continue  # the residuals of two are the same but for their sign: they cannot be told apart
        for name, residuals in zip(each.names, each.residuals, strict=True):
            share = each.degrees * int(np.isfinite(residuals).sum()) / int(np.isfinite(each.residuals).sum())
            mean_square = float(np.nansum(residuals**2)) / each.variance
            own = (mean_square * (servers - 1) - share) / (servers - 2)
            squares[name] = squares.get(name, 0.0) + own
            degrees[name] = degrees.get(name, 0.0) + share
    return [
        (math.sqrt(max(LEAST_VARIANCE, squares[name] / degrees[name])), degrees[name])
        for name in squares
        if degrees[name] >= FEWEST_DEGREES
    ]
