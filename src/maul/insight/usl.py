"""The Universal Scalability Law: how throughput grows with concurrency, and what holds it back.

X(N) = λN / (1 + σ(N-1) + κN(N-1)) (Gunther 2007): σ is contention (waiting for one thing), κ is coherency (everyone
telling everyone). N is measured: X·R by Little's law, R from send to end. Amdahl's law is κ = 0, linear is σ = κ = 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from maul.core.summary import Level, ScalingLaw
from maul.insight.resample import SEED, Interval
from maul.insight.words import show_rate

FloatArray = np.ndarray[Any, np.dtype[np.float64]]

LEVELS_MIN = 6
"""Three parameters want at least twice as many levels."""
SPREAD_MIN = 2.0
"""Concurrency must at least have doubled over the levels."""
COLLAPSE_RATIO = 0.98
"""The first level whose throughput falls below this share of the best before it has collapsed: the law ends there."""
EXTRAPOLATE_MAX = 2.0
"""Nothing is said of a concurrency beyond this many times the largest that was measured."""
AIC_GAIN_MIN = 2.0
"""A further parameter must earn this much (Burnham, Anderson 2002)."""
_DRAWS = 400
_MODELS = ("linear", "Amdahl", "USL")


@dataclass(frozen=True, slots=True)
class Fit:
    """X(N) with its parameters; `aic` is AICc of relative errors."""

    model: str
    per_s: float  # λ: what one alone gets
    contention: float  # σ
    coherency: float  # κ
    aic: float

    def throughput(self, n: FloatArray) -> FloatArray:
        """X at these concurrencies."""
        return self.per_s * n / (1 + self.contention * (n - 1) + self.coherency * n * (n - 1))

    @property
    def peak_n(self) -> float | None:
        """Where throughput is largest; None when it only ever rises."""
        return math.sqrt((1 - self.contention) / self.coherency) if self.coherency > 0 and self.contention < 1 else None


def fit(model: str, n: FloatArray, x: FloatArray) -> Fit | None:
    """The best fit of a model, all parameters >= 0; None when there is none.

    N/X = (1 + σ(N-1) + κN(N-1)) / λ is linear in 1/λ, σ/λ and κ/λ: non-negative least squares of the relative
    error finds the one optimum, without a first guess.
    """
    columns = [np.ones_like(n), n - 1, n * (n - 1)][: _MODELS.index(model) + 1]
    weights = x / n
    found, _ = nnls(np.column_stack(columns) * weights[:, None], np.ones_like(n))
    if found[0] <= 0:
        return None
    sigma, kappa = (float(v / found[0]) for v in (*found[1:], 0.0, 0.0)[:2])
    made = Fit(model, float(1 / found[0]), sigma, kappa, math.inf)
    errors = np.log(made.throughput(n) / x)
    if not np.isfinite(errors).all():
        return None
    free, count = len(columns) + 1, n.size
    spread = max(float(errors @ errors) / count, 1e-12)
    aic = count * math.log(spread) + 2 * free + 2 * free * (free + 1) / max(count - free - 1, 0.5)
    return Fit(model, made.per_s, sigma, kappa, aic)


def find_scaling(levels: Sequence[Level]) -> ScalingLaw | None:
    """The scaling law of a rising load; None when the levels cannot carry one."""
    points = _points(levels)
    if points is None:
        return None
    n, x = points
    fits = [made for model in _MODELS if (made := fit(model, n, x)) is not None]
    if not fits:
        return None
    best = fits[0]
    for further in fits[1:]:
        if further.aic < best.aic - AIC_GAIN_MIN:
            best = further
    drawn = _again(best, n, x)
    peak_n = best.peak_n
    if peak_n is not None and peak_n > EXTRAPOLATE_MAX * n.max():
        peak_n = None
    peak = float(best.throughput(np.array([peak_n]))[0]) if peak_n is not None else None
    contention, coherency = _interval(best.contention, drawn, 1), _interval(best.coherency, drawn, 2)
    return ScalingLaw(
        model=best.model,
        levels=n.size,
        in_flight_max=float(n.max()),
        per_s_alone=best.per_s,
        contention=best.contention,
        contention_low=contention.low,
        contention_high=contention.high,
        coherency=best.coherency,
        coherency_low=coherency.low,
        coherency_high=coherency.high,
        peak_in_flight=peak_n,
        peak_per_s=peak,
        says=_says(best, float(n.max()), peak_n, peak, (contention, coherency)),
    )


def _points(levels: Sequence[Level]) -> tuple[FloatArray, FloatArray] | None:
    """(N, X) in order of N, before the collapse."""
    usable = [
        (level.achieved_per_s * level.service_mean_ms / 1e3, level.achieved_per_s)
        for level in sorted(levels, key=lambda level: (level.offered_per_s, level.began_ns))
        if not level.generator_bound and level.achieved_per_s > 0 and level.service_mean_ms > 0
    ]
    kept: list[tuple[float, float]] = []
    best = 0.0
    for n, x in usable:
        if x < COLLAPSE_RATIO * best:
            break
        kept.append((n, x))
        best = max(best, x)
    points = np.array(sorted(kept), np.float64).reshape(-1, 2)
    in_flight, per_s = points[:, 0], points[:, 1]
    if np.unique(per_s).size < LEVELS_MIN or in_flight.max() < SPREAD_MIN * in_flight.min():
        return None
    return in_flight, per_s


def _again(best: Fit, n: FloatArray, x: FloatArray) -> FloatArray:
    """Parameters of fits to resampled residuals: (draws, 3)."""
    rng = np.random.default_rng(SEED)
    expected = best.throughput(n)
    free = int(best.model == "Amdahl") + 2 * int(best.model == "USL") + 1
    residuals = np.log(x / expected) * math.sqrt(n.size / max(n.size - free, 1))
    drawn = [fit(best.model, n, expected * np.exp(rng.choice(residuals, n.size))) for _ in range(_DRAWS)]
    return np.array([(f.per_s, f.contention, f.coherency) for f in drawn if f is not None]).reshape(-1, 3)


def _interval(value: float, drawn: FloatArray, column: int) -> Interval:
    if not len(drawn):
        return Interval(value, value, value)
    low, high = np.quantile(drawn[:, column], [0.025, 0.975])
    return Interval(value, float(low), float(high))


def _says(
    best: Fit, n_max: float, peak_n: float | None, peak: float | None, intervals: tuple[Interval, Interval]
) -> str:
    if best.model == "linear":
        return (
            f"Throughput grew in proportion to concurrency up to {n_max:.3g} in flight, {show_rate(best.per_s)} each: "
            "no contention was seen, and no peak can be told from it."
        )
    contention, coherency = intervals
    held = f"contention σ {contention.value:.3g} ({contention.low:.3g} to {contention.high:.3g})"
    if best.model == "USL":
        held += f", coherency κ {coherency.value:.2g} ({coherency.low:.2g} to {coherency.high:.2g})"
    law = f"{best.model}: one alone gets {show_rate(best.per_s)}; {held}, up to {n_max:.3g} in flight."
    if peak_n is not None and peak is not None:
        return f"{law} By it throughput peaks at {show_rate(peak)} with {peak_n:.3g} in flight."
    return f"{law} No peak within twice of that; beyond, it says nothing."
