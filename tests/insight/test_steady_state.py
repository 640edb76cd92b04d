"""Where a series stops warming up: synthetic series whose truth is known."""

import math

import numpy as np
import pytest

from maul.insight.steady import mser5, steady, trend_p


def brute_mser(values: np.ndarray, batch: int) -> int:
    """The definition, word for word."""
    means = [values[i : i + batch].mean() for i in range(0, len(values) - batch + 1, batch)]
    found = [np.sum((np.array(means[d:]) - np.mean(means[d:])) ** 2) / (len(means) - d) ** 2 for d in range(len(means))]
    return int(np.argmin(found[: len(means) - 4])) * batch


def test_agrees_with_the_definition():
    rng = np.random.default_rng(1)
    for _ in range(50):
        values = rng.normal(100, 5, 200) + 60 * np.exp(-np.arange(200) / rng.uniform(2, 15))
        expected = brute_mser(values, 5)
        assert mser5(values) == (expected if expected <= 100 else None)


@pytest.mark.parametrize("warm", [10, 25, 60])
def test_cuts_what_is_warm_up(warm: int):
    rng = np.random.default_rng(2)
    values = np.concatenate([np.linspace(900, 110, warm), rng.normal(100, 3, 200)])
    cut = mser5(values)
    assert cut is not None
    assert warm - 5 <= cut <= warm + 10


def test_a_series_steady_from_the_start_loses_little():
    rng = np.random.default_rng(3)
    cuts = [mser5(rng.normal(100, 3, 300)) for _ in range(40)]
    kept = [cut for cut in cuts if cut is not None]
    assert len(kept) >= 38
    assert np.median(kept) <= 30


@pytest.mark.parametrize("line", [np.arange(200.0), -np.arange(200.0)])
def test_what_never_settles_is_said(line: np.ndarray):
    assert mser5(line) is None
    assert steady(line) == steady(line.tolist())
    assert not steady(line).is_steady


def test_what_only_begins_to_run_away_is_left_to_the_second_opinion():
    line = np.exp(np.arange(200) / 40)
    assert mser5(line) == 0  # no cut of the front makes its end calmer
    assert not steady(line).is_steady


def test_a_step_in_the_second_half_is_no_steady_state():
    values = np.concatenate([np.full(140, 10.0), np.full(60, 50.0)]) + np.random.default_rng(4).normal(0, 1, 200)
    assert mser5(values) is None


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 9])
def test_too_short_is_no_answer(values: list[float]):
    assert mser5(values) is None
    assert not steady(values).is_steady


def test_constants_are_steady_from_the_start_whatever_their_size():
    for constant in (0.0, 0.1, 1e-9, 1e15 + 0.1):
        assert mser5([constant] * 60) == 0
        assert steady([constant] * 60).is_steady


def test_short_series_get_shorter_batches():
    values = [500.0, 300.0, *([10.0, 11.0, 10.5, 9.5] * 5)]
    assert mser5(values) == 2


def test_the_cut_counts_what_did_not_fill_a_batch():
    rng = np.random.default_rng(5)
    values = np.concatenate([np.full(13, 400.0), rng.normal(100, 1, 100)])
    cut = mser5(values)
    assert cut is not None
    assert cut >= 13
    assert (values[cut:] < 200).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_none_are_refused(bad: float):
    with pytest.raises(ValueError, match="finite"):
        mser5([1.0] * 20 + [bad])


def test_trend_is_seen_and_noise_is_not():
    rng = np.random.default_rng(6)
    drift = trend_p(np.arange(60) * 0.2 + rng.normal(0, 2, 60))
    assert drift is not None
    assert drift < 1e-3
    false = [p for _ in range(200) if (p := trend_p(rng.normal(0, 1, 40))) is not None and p < 0.05]
    assert 2 <= len(false) <= 20  # five in a hundred


def test_a_slow_drift_that_mser_may_miss_is_not_steady():
    rng = np.random.default_rng(7)
    answers = [steady(np.arange(300) * 0.05 + rng.normal(0, 3, 300)).is_steady for _ in range(20)]
    assert not any(answers)


def test_steady_after_a_warm_up():
    rng = np.random.default_rng(8)
    answers = [
        steady(np.concatenate([np.linspace(300, 110, 30), rng.normal(100, 5, 270)])).is_steady for _ in range(30)
    ]
    assert sum(answers) >= 25
