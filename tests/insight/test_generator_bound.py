"""When is a step void, and when is it not?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_records import Record, load, ns, samples_of

from maul.core.histogram import LatencyKind
from maul.core.operation import ErrorClass, Outcome
from maul.core.summary import ErrorCount, PhaseSummary
from maul.insight import Gauges
from maul.insight.generator_bound import (
    GeneratorLimits,
    Signs,
    late_above_ms,
    signs_between,
    void_phases,
    void_reasons,
)

ONE = GeneratorLimits(cores=1, ceiling_per_s=10_000)
CALM = Signs(offered_per_s=1000, late_p99_ms=0.2, busy_cores=0.3, used_cores=0.5, hottest=("core0", 0.4), steal_ratio=0)


def changed(**signs: object) -> Signs:
    return Signs(**{name: getattr(CALM, name) for name in Signs.__dataclass_fields__} | signs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signs", "says"),
    [
        ({"exhausted": 3}, "3 operations found no local port or descriptor"),
        ({"offered_per_s": 8001.0}, "above 80 %"),
        ({"busy_cores": 0.9}, "used 90 % of its core"),
        ({"hottest": ("core7", 0.95)}, "core7 of the generator's machine was 95 % busy"),
        ({"late_p99_ms": 1.1}, "1.1 ms late"),
        ({"steal_ratio": 0.03}, "hypervisor took 3 %"),
    ],
)
def test_each_sign_alone_makes_a_step_void(signs: dict[str, object], says: str) -> None:
    (reason,) = void_reasons(changed(**signs), ONE)
    assert says in reason


@pytest.mark.parametrize(
    "signs",
    [
        {},
        {"offered_per_s": 8000.0},
        {"busy_cores": 0.89},
        {"late_p99_ms": 1.0},
        {"steal_ratio": 0.02},
        {"late_p99_ms": None, "busy_cores": None, "used_cores": None, "hottest": None, "steal_ratio": None},
    ],
)
def test_what_is_within_bounds_or_was_not_looked_at_is_no_reason(signs: dict[str, object]) -> None:
    assert void_reasons(changed(**signs), ONE) == []


def test_without_a_calibration_no_rate_is_too_high() -> None:
    assert void_reasons(changed(offered_per_s=1e6), GeneratorLimits()) == []


SMALL_MACHINE = {"shared": True, "full": True, "used_cores": 1.9, "hottest": ("core0", 0.97)}


def test_a_machine_that_the_target_filled_is_the_machine_s_wall() -> None:
    signs = changed(**SMALL_MACHINE, busy_cores=0.5, late_p99_ms=9.0, steal_ratio=0.1)
    assert void_reasons(signs, ONE) == []


def test_a_machine_that_the_generator_filled_is_the_generator_s_limit() -> None:
    reasons = void_reasons(changed(**SMALL_MACHINE, busy_cores=1.0, late_p99_ms=9.0), GeneratorLimits(cores=2))
    assert "53 % of that was the load generator: it took the machine from the target" in reasons[0]
    assert "9 ms late" in reasons[1]


def test_ports_and_ceilings_have_no_excuse_on_a_shared_machine() -> None:
    signs = changed(**SMALL_MACHINE, exhausted=1, offered_per_s=9000.0)
    assert len(void_reasons(signs, ONE)) == 2


@given(st.floats(0.001, 1e7), st.integers(1, 256))
def test_in_time_means_a_tenth_of_the_interval_or_a_millisecond(rate: float, shards: int) -> None:
    limit = late_above_ms(rate, shards)
    assert limit >= 1.0
    assert limit == pytest.approx(max(1.0, 100 * shards / rate))
    assert late_above_ms(0.0, shards) == 1.0


# ---------------------------------------------------------------- signs from a record


def test_signs_are_read_from_the_generator_s_own_machine() -> None:
    record = Record()
    record.readings = samples_of(
        0,
        10,
        {("process", "cpu_ratio", "maul"): 0.5, ("cpu", "steal_ratio", "all"): 0.01,
         ("cpu", "busy_ratio", "core0"): 1.0, ("cpu", "busy_ratio", "core1"): 0.875},
        host="here",
    )  # fmt: skip
    record.readings += samples_of(0, 10, {("cpu", "busy_ratio", "core0"): 1.0}, host="there")
    record.readings += samples_of(0, 10, {("process", "cpu_ratio", "store"): 0.8}, host="there")
    record.operate("steady", load(0, 100, 10, lag_ms=3))
    late = record.book.merged(LatencyKind.SCHEDULE)
    signs = signs_between(Gauges(record.samples), (ns(0), ns(10)), 100.0, late, 0)
    assert (signs.busy_cores, signs.hottest, signs.shared, signs.full) == (0.5, ("core0", 1.0), False, True)
    assert signs.used_cores == pytest.approx(1.875)
    assert signs.late_p99_ms == pytest.approx(3, rel=0.01)
    record.readings += samples_of(0, 10, {("process", "cpu_ratio", "gateway"): 0.8}, host="here")
    assert signs_between(Gauges(record.samples), (ns(0), ns(10)), 100.0, late, 0).shared


def phase(name: str, offered: int = 1000) -> PhaseSummary:
    return PhaseSummary(
        name=name, kind="load", began_ns=ns(0), ended_ns=ns(10), offered=offered, ok=offered, fail=0, unknown=0, late=0,
        dropped=0, bytes_sent=0, bytes_received=0, latency=[],
    )  # fmt: skip


def test_phases_are_void_by_their_own_signs() -> None:
    record = Record()
    record.operate("late", load(0, 100, 10, lag_ms=30))
    record.operate("short", load(0, 100, 10))
    error = ErrorCount(
        phase="short", op="get", outcome=Outcome.FAIL.name.lower(), error_class=ErrorClass.EXHAUSTED.name.lower(),
        count=7, first_ns=0, last_ns=0,
    )  # fmt: skip
    phases = [phase("late"), phase("short"), phase("calm")]
    found = void_phases(phases, record.book, Gauges(record.samples), [error], GeneratorLimits())
    assert set(found) == {"late", "short"}
    assert "7 operations" in found["short"][0]
    found = void_phases([phase("calm", 90_000)], record.book, Gauges(record.samples), [], ONE)
    assert "above 80 %" in found["calm"][0]
