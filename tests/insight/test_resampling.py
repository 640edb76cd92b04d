"""Intervals against arithmetic: of white noise, of autocorrelated noise, of histograms."""

import math

import numpy as np
import pytest

from maul.core.histogram import Histogram
from maul.insight.resample import (
    Bins,
    autocorrelation_time,
    block_length,
    block_weights,
    merged_bins,
)


def ar1(rho: float, size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.empty(size)
    values[0] = rng.normal() / math.sqrt(1 - rho**2)
    for i in range(1, size):
        values[i] = rho * values[i - 1] + rng.normal()
    return values


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelation_time_is_that_of_theory(rho: float) -> None:
    found = np.mean([autocorrelation_time(ar1(rho, 20_000, seed)) for seed in range(5)])
    assert found == pytest.approx((1 + rho) / (1 - rho), rel=0.15)


@pytest.mark.parametrize("values", [[], [1.0], [5.0] * 50, [0.1 + 0.2] * 50, [0.0] * 10])
def test_nothing_that_varies_has_no_autocorrelation(values: list[float]) -> None:
    assert autocorrelation_time(values) == 1.0


def test_blocks_follow_the_memory_of_the_series() -> None:
    assert block_length(ar1(0.9, 400, 2)) > block_length(ar1(0.0, 400, 2))
    assert block_length([1.0]) == 1
    assert block_length([]) == 1


def test_every_value_is_drawn_as_often_as_another() -> None:
    weights = block_weights(20, 6, 4000, np.random.default_rng(3))
    assert weights.shape == (4000, 20)
    assert weights.sum(axis=1) == pytest.approx(24)
    assert weights.mean(axis=0) == pytest.approx(1.2, rel=0.05)


def histograms(seed: int, seconds: int, each: int) -> list[Histogram]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(seconds):
        one = Histogram()
        for value in rng.lognormal(15, 1, each):
            one.record(int(value))
        made.append(one)
    return made


def test_weighted_bins_are_exactly_the_merged_histogram() -> None:
    parts = histograms(4, 12, 80)
    bins = Bins.of(parts)
    rng = np.random.default_rng(5)
    for weights in (np.ones(12), rng.integers(0, 3, 12).astype(float)):
        whole = Histogram()
        for part, times in zip(parts, weights, strict=True):
            for _ in range(int(times)):
                whole.merge(part)
        for percentile in (10.0, 50.0, 90.0, 99.0, 99.9, 100.0):
            (found,) = bins.percentile_ms(weights[None, :], percentile)
            assert found == whole.percentile(percentile) / 1e6


def test_empty_bins_have_no_percentile() -> None:
    assert np.isnan(Bins.of([Histogram(), Histogram()]).percentile_ms(np.ones((3, 2)), 50)).all()
    assert Bins.of([]).percentile_ms(np.ones((1, 0)), 50).size == 1


def test_merging_bins_loses_nothing() -> None:
    parts = histograms(7, 101, 10)
    merged = merged_bins(parts, 20)
    assert len(merged) <= 20
    assert sum(part.count for part in merged) == 1010
