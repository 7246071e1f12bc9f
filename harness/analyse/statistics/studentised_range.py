"""The studentised range: by how much the largest of several means exceeds the smallest, in standard errors (Tukey 1953).

`scipy.stats.studentized_range` knows it, too, but takes half a second for each quantile, and a report asks for hundreds:
here one takes milliseconds. The probability is a double integral of smooth functions,

    P(Q <= q) = ∫ P(range of k standard normal values <= q s) dP(s),    s = sqrt(chi-squared of n degrees / n),
    P(range <= w) = k ∫ φ(z) (Φ(z) - Φ(z - w))**(k-1) dz,

which Gauss and Legendre's rule sums to seven digits; the outer one runs over the logarithm of s, on which nothing is steep
even with one degree of freedom. scipy is the oracle in the tests.
"""

import math
from functools import lru_cache
from typing import Final

import numpy as np
from scipy import optimize, special

NODES: Final = 128
FARTHEST: Final = 9.0
"""Standard deviations; what a normal distribution has beyond is less than a double can add to 1."""
NEGLIGIBLE: Final = 1e-10
PRECISION: Final = 1e-9

_PLACES, _WEIGHTS = np.polynomial.legendre.leggauss(NODES)
_Z = FARTHEST * _PLACES
_BELOW_Z = special.ndtr(_Z)
_DENSITY = FARTHEST * _WEIGHTS * np.exp(-(_Z**2) / 2) / math.sqrt(2 * math.pi)


def probability(q: float, groups: int, degrees: float) -> float:
    """Return how likely it is that the studentised range of so many groups is not above q."""
    if q <= 0:
        return 0.0
    # The logarithm of s, between the quantiles that leave next to nothing out on either side.
    tails = special.chdtri(degrees, [1 - NEGLIGIBLE, NEGLIGIBLE])
    low, high = np.log(np.maximum(tails, 1e-300) / degrees) / 2
    log_s = (low + high) / 2 + (high - low) / 2 * _PLACES
    log_density = (
        degrees * (log_s - np.exp(2 * log_s) / 2)
        + math.log(2)
        + degrees / 2 * math.log(degrees / 2)
        - special.gammaln(degrees / 2)
    )
    between = _BELOW_Z - special.ndtr(_Z - q * np.exp(log_s)[:, np.newaxis])
    of_ranges = groups * (between ** (groups - 1) @ _DENSITY)
    beyond = (high - low) / 2 * (_WEIGHTS * np.exp(log_density)) @ (1 - of_ranges)
    return min(1.0, max(0.0, 1 - float(beyond)))


def quantile(share: float, groups: int, degrees: float) -> float:
    """Return the value that the studentised range of so many groups does not exceed with this probability.

    Between whole degrees of freedom it is interpolated over their reciprocals, as in textbooks: a little too much, if anything.
    """
    below = max(1, math.floor(degrees))
    of_below = _quantile(share, groups, below)
    if degrees <= below:
        return of_below if degrees == below else _quantile(share, groups, degrees)
    part = (1 / below - 1 / degrees) / (1 / below - 1 / (below + 1))
    return of_below + part * (_quantile(share, groups, below + 1) - of_below)


@lru_cache(maxsize=4096)
def _quantile(share: float, groups: int, degrees: float) -> float:
    def error(q: float) -> float:
        return probability(q, groups, degrees) - share

    low, high = 0.0, 2.0
    while error(high) < 0:
        low, high = high, 2 * high
    return float(optimize.brentq(error, low, high, xtol=PRECISION, rtol=PRECISION))
