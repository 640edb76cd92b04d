"""How sure a figure of a time series is: a moving-block bootstrap that respects autocorrelation.

Neighbouring seconds resemble each other, so the textbook error of a mean is too small.
Autocorrelation time by the initial positive sequence: Geyer 1992. Moving blocks:
Künsch 1989, closed to a ring so that the ends weigh as much as the middle (Politis, Romano 1992).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maul.core.histogram import Histogram

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

SEED = 20_251_123
"""Of every bootstrap: the same record gives the same interval."""
DRAWS = 1000
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
