"""The knee of a rising load: three methods that look at different things, believed where two of them agree.

- Kneedle (Satopää, Albrecht, Irwin, Raghavan 2011) on p99 over the offered rate: where the latency curve bends most.
- Power (Kleinrock 1979): the rate at which throughput / latency is largest.
- Broken stick (segmented regression) of the achieved over the offered rate: where answers stop keeping up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

import numpy as np
from scipy import stats

from maul.core.summary import Knee, KneeAnswer, Level
from maul.insight.levels import ACHIEVED_RATIO_MIN
from maul.insight.resample import SEED, Interval
from maul.insight.words import listed, show_rate

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

RATES_MIN = 5
"""Kneedle and power need a curve, not a corner."""
SIDE_POINTS_MIN = 4
"""A line through fewer points on a side of the break fits anything."""
LATENCY_GROWTH_MIN = 2.0
"""A latency that does not even double has no knee: what bends then is noise."""
POWER_DROP_MIN = 0.1
"""Power must fall by so much beyond its peak, or the peak was not passed."""
SLOPE_RATIO_MAX = 0.9
"""Beyond the break each further request brings at most this share of an answer, compared with below it."""
BREAK_P_MAX = 0.01
"""Two lines must explain more than one, by an F test."""
AGREE_RATIO = 0.1
"""Answers agree when they differ by at most this share, or by one step between rates."""
_GRID, _DRAWS = 200, 400


@dataclass(frozen=True, slots=True)
class _Curve:
    """Of each rate (rising) the try in the middle."""

    offered: FloatArray
    achieved: FloatArray
    p99_ms: FloatArray
    mean_ms: FloatArray


def find_knee(levels: Sequence[Level]) -> Knee | None:
    """Where two of three methods see a knee; None without a level that tells of the target."""
    valid = [level for level in levels if not level.generator_bound and level.p99_ms > 0 and level.offered_per_s > 0]
    if not valid:
        return None
    curve = _curve(valid)
    answers = [_kneedle_answer(curve), _power_answer(curve), _stick_answer(curve)]
    agreed = _agreeing(answers, curve.offered)
    short = _first_short(valid)
    if not agreed:
        return Knee(per_s=None, low_per_s=None, high_per_s=None, answers=answers, short_per_s=short,
                    says=_no_knee(answers))  # fmt: skip
    rates = sorted(answer.per_s for answer in agreed if answer.per_s is not None)
    knee = median_low(rates)
    names = listed(answer.method for answer in agreed)
    span = f" ({show_rate(rates[0])} to {show_rate(rates[-1])})" if rates[0] != rates[-1] else ""
    says = f"The knee is at about {show_rate(knee)}{span}: {names} agree."
    return Knee(per_s=knee, low_per_s=rates[0], high_per_s=rates[-1], answers=answers, short_per_s=short, says=says)


def kneedle(x: FloatArray, y: FloatArray, sensitivity: float = 1.0) -> int | None:
    """The index of the knee of a convex rising curve (x rising); None when there is none.

    Both axes are scaled to 0…1; the knee is the highest local maximum of x - y after which the difference falls
    below it by `sensitivity` mean steps of x.
    """
    if x.size < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    scaled_x, scaled_y = (x - x[0]) / (x[-1] - x[0]), (y - y.min()) / np.ptp(y)
    difference = scaled_x - scaled_y
    drop = sensitivity * float(np.diff(scaled_x).mean())
    peaks = [
        i
        for i in range(1, x.size - 1)
        if difference[i] > 0 and difference[i] >= difference[i - 1] and difference[i] > difference[i + 1]
    ]
    declared = [i for i in peaks if (difference[i:] < difference[i] - drop).any()]
    return max(declared, key=lambda i: float(difference[i]), default=None)


def broken_stick(x: FloatArray, y: FloatArray) -> Interval | None:
    """Where a line bends: the break with the least squared error and its bootstrap 95 % interval.

    None: fewer than four points on a side, a break nearer to an end than that, no bend downwards by a
    tenth of the slope, or none beyond noise (F test).
    """
    if x.size < 2 * SIDE_POINTS_MIN or np.unique(x).size < 2 * SIDE_POINTS_MIN:
        return None
    grid = np.linspace(x[SIDE_POINTS_MIN - 1], x[-SIDE_POINTS_MIN], _GRID)
    bases = [np.linalg.qr(_design(x, at))[0] for at in grid]
    best = int(np.argmax([np.sum((basis.T @ y) ** 2) for basis in bases]))
    if best in (0, _GRID - 1):
        return None  # the fit wants it nearer to the end than four points allow: where, they cannot tell
    fitted = bases[best] @ (bases[best].T @ y)
    residuals = y - fitted
    line = np.polyval(np.polyfit(x, y, 1), x)
    sse, sse_line = float(residuals @ residuals), float((y - line) @ (y - line))
    slopes = np.linalg.lstsq(_design(x, float(grid[best])), y, rcond=None)[0]
    if slopes[1] <= 0 or slopes[1] + slopes[2] > SLOPE_RATIO_MAX * slopes[1]:
        return None
    free = x.size - 4  # two slopes, a height and the place of the break
    floor = 1e-12 * float(y @ y)
    f_value = ((sse_line - sse) / 2) / (max(sse, floor) / free)
    if stats.f.sf(f_value, 2, free) > BREAK_P_MAX:
        return None
    rng = np.random.default_rng(SEED)
    again = fitted[:, None] + rng.choice(residuals * np.sqrt(x.size / free), (x.size, _DRAWS))
    chosen = np.argmax([np.sum((basis.T @ again) ** 2, axis=0) for basis in bases], axis=0)
    low, high = np.quantile(grid[chosen], [0.025, 0.975])
    return Interval(float(grid[best]), float(low), float(high))


def _design(x: FloatArray, at: float) -> FloatArray:
    return np.column_stack([np.ones_like(x), x, np.maximum(x - at, 0.0)])


def _curve(levels: Sequence[Level]) -> _Curve:
    by_rate: dict[float, list[Level]] = {}
    for level in levels:
        by_rate.setdefault(level.offered_per_s, []).append(level)
    rates = sorted(by_rate)

    def middle(name: str) -> FloatArray:
        return np.array([median_low(getattr(level, name) for level in by_rate[rate]) for rate in rates], np.float64)

    return _Curve(np.array(rates, np.float64), middle("achieved_per_s"), middle("p99_ms"), middle("mean_ms"))


def _kneedle_answer(curve: _Curve) -> KneeAnswer:
    method = "Kneedle (p99)"
    if curve.offered.size < RATES_MIN:
        return _none(method, f"needs {RATES_MIN} rates, there are {curve.offered.size}")
    if curve.p99_ms.max() < LATENCY_GROWTH_MIN * curve.p99_ms[0]:
        return _none(method, "p99 did not even double")
    at = kneedle(curve.offered, curve.p99_ms)
    return _none(method, "p99 has no bend") if at is None else _answer(method, float(curve.offered[at]))


def _power_answer(curve: _Curve) -> KneeAnswer:
    method = "power"
    if curve.offered.size < RATES_MIN:
        return _none(method, f"needs {RATES_MIN} rates, there are {curve.offered.size}")
    if not (curve.mean_ms > 0).all():
        return _none(method, "a level has no mean latency")
    power = curve.achieved / curve.mean_ms
    best = int(np.argmax(power))
    if power[best] <= 0 or best == power.size - 1 or power[best:].min() > (1 - POWER_DROP_MIN) * power[best]:
        return _none(method, "throughput / latency was still rising at the highest rate")
    return _answer(method, float(curve.offered[best]))


def _stick_answer(curve: _Curve) -> KneeAnswer:
    method = "broken stick"
    if curve.offered.size < 2 * SIDE_POINTS_MIN:
        return _none(method, f"needs {2 * SIDE_POINTS_MIN} rates, there are {curve.offered.size}")
    found = broken_stick(curve.offered, curve.achieved)
    if found is None:
        return _none(method, "achieved over offered does not bend, or too near to an end")
    return KneeAnswer(method=method, per_s=found.value, low_per_s=found.low, high_per_s=found.high, says="")


def _answer(method: str, per_s: float) -> KneeAnswer:
    return KneeAnswer(method=method, per_s=per_s, low_per_s=None, high_per_s=None, says="")


def _none(method: str, why: str) -> KneeAnswer:
    return KneeAnswer(method=method, per_s=None, low_per_s=None, high_per_s=None, says=why)


def _agreeing(answers: Sequence[KneeAnswer], rates: FloatArray) -> list[KneeAnswer]:
    """The largest set of answers near each other; empty when no two are."""
    known = sorted((a for a in answers if a.per_s is not None), key=lambda a: a.per_s or 0.0)
    for size in range(len(known), 1, -1):
        for first in range(len(known) - size + 1):
            low, high = known[first].per_s or 0.0, known[first + size - 1].per_s or 0.0
            if high - low <= max(AGREE_RATIO * high, _step(rates, low)):
                return known[first : first + size]
    return []


def _step(rates: FloatArray, at: float) -> float:
    """From a rate to the next one that was tried."""
    above = rates[rates > at * (1 + 1e-9)]
    return float(above[0] - at) * (1 + 1e-9) if above.size else 0.0


def _first_short(levels: Sequence[Level]) -> float | None:
    short = (v.offered_per_s for v in levels if v.achieved_per_s < ACHIEVED_RATIO_MIN * v.offered_per_s)
    return min(short, default=None)


def _no_knee(answers: Sequence[KneeAnswer]) -> str:
    shown = (f"{a.method} {show_rate(a.per_s) if a.per_s is not None else f'none ({a.says})'}" for a in answers)
    return f"No agreed knee: {listed(shown)}."
