"""Whether draws follow a law with a given standard deviation: what the tests of all frameworks ask."""

import math

import numpy as np
from scipy import stats

# Laws of mean 0 and variance 1.
NORMAL = stats.norm()
UNIFORM = stats.uniform(-math.sqrt(3.0), 2.0 * math.sqrt(3.0))
TRUNCATED = stats.truncnorm(-2.0, 2.0, scale=1.0 / stats.truncnorm(-2.0, 2.0).std())


def assert_law(draws: np.ndarray, std: float, law) -> None:
    """Hold the measured standard deviation to six of its own, and all draws to the law's distribution function.

    A true law fails the first test about twice in 1e9 seeds, the second (Kolmogorov-Smirnov) once in 1e6. With 60,000
    draws, the first notices a scale that is 2 % wrong, the second a truncation.
    """
    units = np.asarray(draws, dtype=np.float64).ravel() / std
    band = 6.0 * math.sqrt((float(law.stats("k")) + 2.0) / 4.0 / units.size)
    assert abs(units.std() - 1.0) <= band, f"std {units.std():.4f} of the wanted, allowed 1 +- {band:.4f}"
    assert stats.kstest(units, law.cdf).pvalue > 1e-6
    # Rounding to a short dtype may carry the outermost draw over the edge by half a unit in the last place.
    assert np.abs(units).max() <= law.support()[1] * (1.0 + 2.0**-8)
