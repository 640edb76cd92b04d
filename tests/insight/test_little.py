"""Little's law: constant arrivals of a known service time, and instruments that are right, wrong or silent."""

import pytest
from made_records import T0, Record, load, ramp, samples_of, spoil

from maul.core.operation import ErrorClass, Outcome
from maul.insight import Gauges, find_capacity
from maul.insight.little import little

SECONDS = (T0, T0 + 5)


def record(counted: float, **given: float) -> Record:
    made = ramp([200], seconds=5, **{"service_ms": 20.0, **given})
    for tenth in range(10):
        made.readings += samples_of(tenth / 10 - 0.5, 5, {("generator", "in_flight", ""): counted})
    return made


def test_what_is_in_flight_is_rate_times_service_time() -> None:
    made = record(4.0)
    found = little(Gauges(made.samples), made.book, "ramp", SECONDS)
    assert found is not None
    assert found.in_flight == 4.0
    assert found.rate_times_service == pytest.approx(200 * 0.020, rel=2e-3)
    assert found.gap == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize(("counted", "wrong"), [(3.9, False), (4.15, False), (3.7, True), (8.0, True)])
def test_instruments_that_disagree_are_told(counted: float, wrong: bool) -> None:
    made = record(counted)
    capacity = find_capacity(made.events, made.book, made.operations, made.samples, [])
    assert capacity is not None
    assert bool(capacity.warnings) is wrong
    assert capacity.levels[0].in_flight == pytest.approx(counted)
    if wrong:
        assert "200/s" in capacity.warnings[0] and "Little's law" in capacity.warnings[0]


def test_failures_are_in_flight_too() -> None:
    made = record(4.0)
    made.by_phase["ramp"] = [spoil(ops, 2, Outcome.FAIL, ErrorClass.SLOW_DOWN) for ops in made.by_phase["ramp"]]
    found = little(Gauges(made.samples), made.book, "ramp", SECONDS)
    assert found is not None
    assert found.gap == pytest.approx(0, abs=2e-3)


def test_nothing_is_claimed_where_nobody_looked_or_too_little_happened() -> None:
    silent = ramp([200], seconds=5)
    assert little(Gauges(silent.samples), silent.book, "ramp", SECONDS) is None
    (level,) = find_capacity(silent.events, silent.book, silent.operations, silent.samples, []).levels  # type: ignore[union-attr]
    assert (level.in_flight, level.little_gap) == (None, None)
    long = record(40.0, service_ms=200)  # a twenty-fifth of the stretch: its ends lie outside
    few = Record(by_phase={"ramp": [load(0, 10, 5)]}, readings=record(4.0).readings)
    for made, seconds in ((long, SECONDS), (few, SECONDS), (record(4.0), (T0, T0 + 2))):
        found = little(Gauges(made.samples), made.book, "ramp", seconds)
        assert found is not None
        assert found.gap is None
    idle = record(0.0)
    found = little(Gauges(idle.samples), idle.book, "ramp", SECONDS)
    assert found is not None
    assert found.gap is None


def test_one_operation_that_outlasts_much_of_the_stretch_makes_the_law_silent() -> None:
    made = record(4.0)
    made.by_phase["ramp"][0]["end_ns"][10] += 10**9  # an upload of a second among answers of 20 ms
    found = little(Gauges(made.samples), made.book, "ramp", SECONDS)
    assert found is not None
    assert found.gap is None
