"""Knee and scaling law against curves whose truth is known, and against curves that have none."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from made_records import ramp

from maul.core.summary import Level
from maul.insight import find_capacity
from maul.insight.knee import broken_stick, find_knee, kneedle
from maul.insight.usl import Fit, find_scaling, fit


def level(offered: float, achieved: float | None = None, ms: float = 5.0, **given: object) -> Level:
    known: dict[str, object] = {
        "began_ns": round(offered * 1e9),
        "ended_ns": round(offered * 1e9) + 10**10,
        "offered_per_s": offered,
        "achieved_per_s": offered if achieved is None else achieved,
        "p50_ms": ms, "p99_ms": 2 * ms, "p999_ms": 3 * ms, "service_p99_ms": 2 * ms,
        "mean_ms": ms, "service_mean_ms": ms,
        "error_ratio": 0.0, "dropped_ratio": 0.0, "lag_p99_ms": 0.1, "meets": True,
        **given,
    }  # fmt: skip
    return Level.model_validate(known)


def overloaded(rates: Sequence[float], capacity: float, noise: float = 0.0, seed: int = 1) -> list[Level]:
    """A target that answers `capacity` at most; beyond it the queue grows for ten seconds."""
    rng = np.random.default_rng(seed)
    made = []
    for rate in rates:
        waits_ms = max(0.0, 1 - capacity / rate) * 10_000 / 2
        ms = (4 / max(0.1, 1 - 0.8 * min(1, rate / capacity)) + waits_ms) * math.exp(noise * rng.normal())
        made.append(level(rate, min(rate, capacity) * (1 + 0.1 * noise * rng.normal()), ms))
    return made


RATES = [100.0 * k for k in range(1, 13)]


# ---------------------------------------------------------------- knee


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
def test_the_knee_of_an_overloaded_target_is_its_capacity(noise: float) -> None:
    knee = find_knee(overloaded(RATES, 700, noise))
    assert knee is not None
    assert knee.per_s is not None
    assert knee.per_s == pytest.approx(700, rel=0.15)
    assert knee.low_per_s is not None and knee.high_per_s is not None
    assert knee.low_per_s <= knee.per_s <= knee.high_per_s
    assert "agree" in knee.says
    assert knee.short_per_s == pytest.approx(800, abs=101)


def test_kneedle_where_calculus_puts_it() -> None:
    # 1 / (1 - x) on 0 … 0.95, both axes scaled: the distance to the diagonal peaks where the slope is the mean one
    x = np.linspace(0, 0.95, 96)
    y = 1 / (1 - x)
    slope = (y[-1] - y[0]) / 0.95
    at = kneedle(x, y)
    assert at is not None
    assert x[at] == pytest.approx(1 - 1 / math.sqrt(slope), abs=0.011)


def test_broken_stick_finds_the_break_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(2)
    x = np.linspace(100, 1200, 23)
    held = 0
    for _ in range(30):
        found = broken_stick(x, np.minimum(x, 640) + rng.normal(0, 10, x.size))
        assert found is not None
        assert found.value == pytest.approx(640, rel=0.08)
        held += found.low <= 640 <= found.high
    assert held >= 25


def test_a_break_among_the_last_points_is_not_placed() -> None:
    x = np.linspace(100, 1200, 12)
    assert broken_stick(x, np.minimum(x, 1050)) is None
    assert broken_stick(x, np.minimum(x, 150)) is None


def test_a_straight_line_has_no_break() -> None:
    rng = np.random.default_rng(3)
    x = np.linspace(100, 1200, 12)
    found = [broken_stick(x, x + rng.normal(0, 10, x.size)) for _ in range(100)]
    assert sum(each is not None for each in found) <= 3


FLAT = [level(rate) for rate in RATES]
NOISE = np.random.default_rng(4)
NO_KNEE: dict[str, list[Level]] = {
    "flat": FLAT,
    "three levels": overloaded([100, 200, 300], 200),
    "one level": [level(100.0)],
    "noisy and flat": [level(rate, rate, 5 * math.exp(0.1 * NOISE.normal())) for rate in RATES],
    "no latency was measured": [level(rate, rate, 5, mean_ms=0.0) for rate in RATES],
    "nothing was answered": [level(rate, 0.0, 5000.0) for rate in RATES],
    "all the same rate": [level(100.0, ms=5.0 + k) for k in range(10)],
}


@pytest.mark.parametrize("name", NO_KNEE)
def test_no_knee_is_claimed(name: str) -> None:
    knee = find_knee(NO_KNEE[name])
    assert knee is not None
    assert knee.per_s is None
    assert knee.says.startswith("No agreed knee: ")
    assert [answer.method for answer in knee.answers] == ["Kneedle (p99)", "power", "broken stick"]


def test_all_dropped_or_void_is_no_load_at_all() -> None:
    assert find_knee([]) is None
    assert find_knee([level(rate, 0.0, 0.0) for rate in RATES]) is None
    assert find_knee([level(rate, void=["it gave"]) for rate in RATES]) is None


def test_a_generators_own_limit_is_no_knee() -> None:
    levels = [
        v.model_copy(update={"void": ["it gave"] if v.offered_per_s > 500 else []}) for v in overloaded(RATES, 500)
    ]
    knee = find_knee(levels)
    assert knee == find_knee([v for v in levels if not v.generator_bound])
    assert knee is not None
    assert knee.short_per_s is None


def test_what_disagrees_is_told_with_all_answers() -> None:
    # p99 bends at 300, power at 600, throughput at 830
    levels = [level(r, min(r, 830), p99_ms=5 if r <= 300 else r / 10, mean_ms=5 if r <= 600 else 20) for r in RATES]
    knee = find_knee(levels)
    assert knee is not None
    assert [answer.per_s for answer in knee.answers] == [300, 600, pytest.approx(830, rel=0.02)]
    assert knee.per_s is None
    assert knee.says.startswith("No agreed knee: Kneedle (p99) 300/s, power 600/s and broken stick 8")


def test_a_rate_tried_again_counts_once() -> None:
    levels = overloaded(RATES, 700)
    stray = level(700.0, 100.0, 900.0)
    knee = find_knee([*levels, levels[6], stray])
    assert knee is not None
    assert knee.per_s == pytest.approx(700, rel=0.15)


# ---------------------------------------------------------------- scaling law


def scaled(law: Callable[[float], float], ns: Sequence[float], noise: float = 0.0, seed: int = 5) -> list[Level]:
    rng = np.random.default_rng(seed)
    made = []
    for n in ns:
        x = law(n) * math.exp(noise * rng.normal())
        made.append(level(x, x, 1e3 * n / x))
    return made


def usl(per_s: float, sigma: float, kappa: float) -> Callable[[float], float]:
    return lambda n: per_s * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))


NS = [1, 2, 4, 6, 8, 12, 16, 20, 24]


def test_the_law_is_found_again_exactly() -> None:
    law = find_scaling(scaled(usl(100, 0.05, 0.001), NS))
    assert law is not None
    assert law.model == "USL"
    assert (law.per_s_alone, law.contention, law.coherency) == pytest.approx((100, 0.05, 0.001), rel=1e-3)
    assert law.peak_in_flight == pytest.approx(math.sqrt(0.95 / 0.001), rel=1e-3)
    assert law.peak_per_s == pytest.approx(usl(100, 0.05, 0.001)(math.sqrt(950)), rel=1e-3)


def test_the_interval_holds_the_truth() -> None:
    found = [find_scaling(scaled(usl(100, 0.08, 0.002), NS, 0.02, seed)) for seed in range(30)]
    held = [law for law in found if law is not None and law.contention_low <= 0.08 <= law.contention_high]
    assert len(held) >= 22


@pytest.mark.parametrize(("sigma", "model"), [(0.0, "linear"), (0.2, "Amdahl")])
def test_no_further_parameter_without_need(sigma: float, model: str) -> None:
    found = [find_scaling(scaled(usl(50, sigma, 0.0), NS, 0.01, seed)) for seed in range(20)]
    assert sum(law is not None and law.model == model for law in found) >= 17
    assert all(law is not None and law.peak_per_s is None for law in found if law is None or law.model == model)


def test_a_peak_far_beyond_what_was_measured_is_not_told() -> None:
    law = find_scaling(scaled(usl(100, 0.05, 0.00005), [1, 2, 3, 4, 6, 8, 10]))
    assert law is not None
    assert (law.peak_in_flight, law.peak_per_s) == (None, None)
    assert law.model == "linear" or "says nothing" in law.says


def test_the_collapse_is_left_out() -> None:
    before = scaled(usl(100, 0.05, 0.001), NS)
    after = [level(2000.0 + k, 300.0 / (k + 1), 900.0) for k in range(4)]
    whole, alone = find_scaling([*before, *after]), find_scaling(before)
    assert whole == alone


@pytest.mark.parametrize(
    "levels",
    [
        [],
        scaled(usl(100, 0.1, 0.0), [1, 2, 3, 4, 5]),
        scaled(usl(100, 0.1, 0.0), [10, 10.1, 10.2, 10.3, 10.4, 10.5]),
        [level(rate, 0.0, 5000.0) for rate in RATES],
        [level(rate, void=["it gave"]) for rate in RATES],
        [level(rate, ms=0.0) for rate in RATES],
    ],
)
def test_too_little_carries_no_law(levels: list[Level]) -> None:
    assert find_scaling(levels) is None


def test_nonsense_gives_no_negative_parameter() -> None:
    rng = np.random.default_rng(6)
    for _ in range(50):
        n = np.sort(rng.uniform(0.1, 50, 8))
        x = rng.uniform(1, 500, 8)
        for model in ("linear", "Amdahl", "USL"):
            made = fit(model, n, x)
            assert made is None or (made.per_s > 0 and made.contention >= 0 and made.coherency >= 0)


def test_more_than_linear_is_not_called_contention() -> None:
    law = find_scaling(scaled(lambda n: 10 * n**1.2, NS))
    assert law is not None
    assert (law.model, law.contention, law.coherency) == ("linear", 0, 0)


def test_a_peak_needs_coherency() -> None:
    assert Fit("Amdahl", 10, 0.5, 0.0, 0.0).peak_n is None
    assert Fit("USL", 10, 1.5, 0.1, 0.0).peak_n is None


# ---------------------------------------------------------------- in the capacity of a record


def test_a_recorded_ramp_tells_its_knee() -> None:
    record = ramp([50 * k for k in range(1, 13)], seconds=4, capacity=390)
    capacity = find_capacity(record.events, record.book, record.operations, record.samples, [])
    assert capacity is not None
    assert capacity.knee is not None
    assert capacity.knee.per_s == pytest.approx(390, rel=0.15)
    assert capacity.knee.short_per_s == 400
