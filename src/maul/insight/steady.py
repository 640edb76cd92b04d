"""Steady state: where a series stops warming up, and whether it still drifts after that.

Two opinions that fail differently. MSER-5 (White 1997; White, Cobb, Spratt 2000; Spratt 1998) finds the cut that
makes the mean of the rest most certain. Mann-Kendall (Mann 1945, Kendall 1975) asks whether the rest has a trend.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Values = Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]

BATCHES_MIN = 10
"""Fewer batches than this cannot show a steady half after a warm-up half."""
BATCHES_LEFT_MIN = 5
"""The statistic of fewer batches is small by chance (Hoad, Robinson, Davies 2010)."""
TREND_P_MIN = 0.05
"""A trend less probable by chance than this is a trend."""


@dataclass(frozen=True, slots=True)
class Steady:
    """What a series says about itself. `cut` values are warm-up; None: it never settled, or is too short."""

    cut: int | None
    trend_p: float | None  # of no trend after the cut; None: cannot be asked
    is_steady: bool


def mser5(values: Values, batch: int = 5) -> int | None:
    """How many leading values to cut so that the rest is steady; None when no steady state was seen.

    `values` are evenly spaced (one per second), finite. Their means over `batch` are searched for the cut d that
    minimises sum((y - mean(y))^2) / n^2 of the rest. None: the best cut lies in the second half, or there are
    fewer than ten values. A series of fewer than ten batches gets shorter ones. ValueError: a value is not finite.
    """
    series = _finite(values)
    batch = max(1, min(batch, series.size // BATCHES_MIN))
    count = series.size // batch
    if count < BATCHES_MIN:
        return None
    # What does not fill a batch is left out at the front: it is the warm-up that we can spare.
    spare = series.size - count * batch
    means = series[spare:].reshape(count, batch).mean(axis=1)
    means = means - means.mean()  # else the difference of two large sums loses what we look for
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    spread = np.maximum(squares - sums**2 / left, 0.0)
    floor = np.finfo(np.float64).eps * count * max(float(squares[0]), np.abs(series).max() ** 2)
    statistic = np.where(spread <= floor, 0.0, spread) / left.astype(np.float64) ** 2
    best = int(np.argmin(statistic[: count - BATCHES_LEFT_MIN + 1]))
    if best * 2 > count:
        return None
    return spare + best * batch if best else 0


def trend_p(values: Values) -> float | None:
    """The probability of such a trend by chance (Mann-Kendall; ties corrected); None of fewer than four values.

    Neighbours in time resemble each other, which makes small p common: judge batch means, not raw seconds.
    """
    series = _finite(values)
    if series.size < 4:
        return None
    if np.ptp(series) == 0:
        return 1.0
    return float(stats.kendalltau(np.arange(series.size), series).pvalue)


def steady(values: Values, batch: int = 5) -> Steady:
    """Both opinions on a series of one value per second: steady when MSER finds a cut and no trend follows it."""
    cut = mser5(values, batch)
    if cut is None:
        return Steady(None, None, is_steady=False)
    rest = _finite(values)[cut:]
    size = max(1, min(batch, rest.size // BATCHES_MIN))
    count = rest.size // size
    p = trend_p(rest[rest.size - count * size :].reshape(count, size).mean(axis=1))
    return Steady(cut, p, is_steady=p is not None and p >= TREND_P_MIN)


def _finite(values: Values) -> np.ndarray[Any, np.dtype[np.float64]]:
    series = np.asarray(values, np.float64)
    if series.ndim != 1 or not np.isfinite(series).all():
        raise ValueError("a steady state is asked of one series of finite values")
    return series
