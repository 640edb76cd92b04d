"""How sure a figure of a time series is: batch means, and a moving-block bootstrap that respects autocorrelation.

Neighbouring seconds resemble each other, so the textbook error of a mean is too small. Batch means: Law, Simulation
Modeling and Analysis, ch. 9. Autocorrelation time by the initial positive sequence: Geyer 1992. Moving blocks:
Künsch 1989, closed to a ring so that the ends weigh as much as the middle (Politis, Romano 1992).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from maul.core.histogram import Histogram

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

SEED = 20_251_123
"""Of every bootstrap: the same record gives the same interval."""
DRAWS = 1000
BATCH_PER_TAU = 10
"""A batch of so many autocorrelation times is nearly independent of the next."""
BATCHES_MIN, BATCHES_MAX = 5, 30
BINS_MAX = 400
"""Longer series are merged, exactly, into this many bins."""
_CHUNK = 100
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


def autocorrelation_time(values: Sequence[float] | FloatArray) -> float:
    """How many values are worth one independent value: 1 for white noise, at most their number."""
    series = np.asarray(values, np.float64)
    size = series.size
    centred = series - series.mean() if size else series
    power = float(centred @ centred)
    if size < 4 or power <= np.finfo(np.float64).eps * size * float(np.abs(series).max()) ** 2:
        return 1.0
    spectrum = np.fft.rfft(centred, 2 * size)
    rho = np.fft.irfft(spectrum * np.conj(spectrum))[:size] / power
    pairs = rho[0 : size - 1 : 2] + rho[1:size:2]  # of a reversible chain these are positive: noise ends them
    ends = np.flatnonzero(pairs <= 0)
    kept = pairs[: ends[0]] if ends.size else pairs
    return float(min(max(1.0, 2 * kept.sum() - 1), size))


def mean_interval(values: Sequence[float] | FloatArray, confidence: float = 0.95) -> Interval | None:
    """The mean of a steady series by batch means; None when it is too short for batches that are independent."""
    series = np.asarray(values, np.float64)
    if not series.size:
        return None
    least = math.ceil(BATCH_PER_TAU * autocorrelation_time(series)) if np.ptp(series) else 1
    size = max(least, series.size // BATCHES_MAX, 1)
    count = series.size // size
    if count < BATCHES_MIN:
        return None
    means = series[series.size - count * size :].reshape(count, size).mean(axis=1)
    half = float(stats.t.ppf((1 + confidence) / 2, count - 1) * means.std(ddof=1) / math.sqrt(count))
    mean = float(series.mean())
    return Interval(mean, mean - half, mean + half)


def block_length(values: Sequence[float] | FloatArray) -> int:
    """Of a moving-block bootstrap: n^(1/3), or two autocorrelation times, at most a quarter of the series."""
    size = np.size(values)
    wanted = max(round(size ** (1 / 3)), math.ceil(2 * autocorrelation_time(values)))
    return max(1, int(min(wanted, size // 4)))


def block_weights(size: int, length: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """How often each of `size` values is drawn: (draws, size), every row adds up to about `size`."""
    blocks = math.ceil(size / length)
    starts = rng.integers(0, size, (draws, blocks))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(draws, -1) % size
    flat = drawn + np.arange(draws)[:, None] * size
    return np.bincount(flat.ravel(), minlength=draws * size).reshape(draws, size).astype(np.float64)


class Bins:
    """Exact distributions of consecutive stretches of time; any weighting of them has percentiles."""

    def __init__(self, values_ns: FloatArray, counts: FloatArray) -> None:
        """`counts` is (bins, values). Use `of`."""
        self._values, self._counts = values_ns, counts

    @classmethod
    def of(cls, histograms: Sequence[Histogram]) -> "Bins":
        """One bin for each histogram, in order of time."""
        slots = [histogram.slots() for histogram in histograms]
        values = np.unique(np.array([value for bin_ in slots for value, _ in bin_], np.float64))
        counts = np.zeros((len(slots), values.size))
        for row, bin_ in zip(counts, slots, strict=True):
            if bin_:
                found, many = np.array(bin_, np.float64).T
                row[np.searchsorted(values, found)] = many
        return cls(values, counts)

    @property
    def size(self) -> int:
        """How many bins."""
        return len(self._counts)

    @property
    def total(self) -> float:
        """How many values in all."""
        return float(self._counts.sum())

    def percentile_ms(self, weights: FloatArray, percentile: float) -> FloatArray:
        """Of each row of weights (draws, bins) the percentile, ms, as an HdrHistogram defines it; NaN of nothing."""
        answers = np.full(len(weights), np.nan)
        for first in range(0, len(weights) if self._values.size else 0, _CHUNK):
            below = np.cumsum(weights[first : first + _CHUNK] @ self._counts, axis=1)
            total = below[:, -1]
            wanted = np.maximum(np.ceil(total * percentile / 100 - 1e-6), 1)
            at = (below < wanted[:, None]).sum(axis=1)
            some = total > 0
            answers[first : first + _CHUNK][some] = self._values[at[some]] / _NS_PER_MS
        return answers


def percentile_interval(
    histograms: Sequence[Histogram], percentile: float, confidence: float = 0.95, draws: int = DRAWS
) -> Interval | None:
    """A percentile (ms) of a steady stretch of one histogram per second; None of fewer than eight seconds."""
    bins = Bins.of(merged_bins(histograms))
    if bins.size < 8 or not bins.total:
        return None
    each = bins.percentile_ms(np.eye(bins.size), percentile)
    weights = block_weights(bins.size, block_length(np.nan_to_num(each)), draws, np.random.default_rng(SEED))
    drawn = bins.percentile_ms(weights, percentile)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(bins.percentile_ms(np.ones((1, bins.size)), percentile)[0]), float(low), float(high))


def merged_bins(histograms: Sequence[Histogram], bins_max: int = BINS_MAX) -> list[Histogram]:
    """Neighbours merged, exactly, until there are at most `bins_max`."""
    per_bin = max(1, math.ceil(len(histograms) / bins_max))
    merged = []
    for first in range(0, len(histograms), per_bin):
        whole = Histogram()
        for part in histograms[first : first + per_bin]:
            whole.merge(part)
        merged.append(whole)
    return merged
