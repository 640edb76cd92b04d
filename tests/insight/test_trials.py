"""A trial from operations made by hand: what holds, what does not, and what was cut off before it was steady."""

import numpy as np
import pyarrow as pa
import pytest

from maul.core.histogram import Histogram
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome
from maul.insight.gauges import Gauges
from maul.insight.generator_bound import GeneratorLimits
from maul.insight.levels import Objective
from maul.insight.trial_bound import bound_reasons
from maul.insight.trials import Answers, Recovery, measure_trial
from maul.record.tables import SCHEMAS

T0 = 1_700_000_000 * 10**9
MS = np.uint64(10**6)
QUICK = [Objective("quick", percentile=99.0, latency_below_ms=100.0)]
SURE = [Objective("sure", errors_below=0.01)]


def made(rate=100.0, seconds=4.0, wait_ms=5.0, **fields):
    """A constant rate; `wait_ms` a number, or one for each arrival."""
    count = round(rate * seconds)
    rows = np.zeros(count, OPERATION_DTYPE)
    rows["due_ns"] = T0 + (np.arange(count) / rate * 1e9).astype(np.uint64)
    rows["start_ns"] = rows["due_ns"] + MS // np.uint64(10)
    rows["end_ns"] = rows["due_ns"] + (np.broadcast_to(wait_ms, count) * 1e6).astype(np.uint64)
    rows["op"] = Op.GET
    for name, value in fields.items():
        rows[name] = value
    return rows


def judged(rows, objectives=QUICK, rate=100.0, seconds=4.0):
    return measure_trial(Answers.of([rows]), rate, seconds, objectives)


def test_a_calm_trial_holds_and_its_numbers_are_those_of_its_operations():
    facts = judged(made(wait_ms=5.0))
    assert facts.holds and facts.settled_s == 0.0
    assert (facts.p50_ms, facts.p99_ms, facts.error_ratio) == (5.0, 5.0, 0.0)
    assert facts.offered_per_s == pytest.approx(100, rel=0.01)
    assert facts.achieved_per_s == pytest.approx(100, rel=0.01)


def test_what_comes_before_the_steady_state_is_not_judged():
    slow_start = np.where(np.arange(400) < 60, 300.0, 5.0)
    facts = judged(made(wait_ms=slow_start))
    assert facts.holds, facts.why_not
    assert 0.5 <= facts.settled_s <= 1.5 and facts.p99_ms == 5.0


def test_a_percentile_above_its_promise_is_told():
    waits = np.where(np.arange(400) % 50 == 0, 150.0, 5.0)
    facts = judged(made(wait_ms=waits))
    assert facts.why_not == ("quick: p99 of all operations was 150 ms, not below 100 ms",)


def test_a_queue_that_grows_is_no_steady_state_whatever_the_objective():
    facts = judged(made(wait_ms=np.linspace(5, 2000, 400)), SURE)
    assert not facts.holds and facts.settled_s is None
    assert any("did not settle" in why for why in facts.why_not)
    assert any("of what was offered was achieved" in why for why in facts.why_not)


def test_dropped_arrivals_are_censored_never_left_out():
    dropped = np.arange(400) % 20 == 0
    rows = made(wait_ms=np.where(dropped, 5000.0, 5.0))
    rows["outcome"][dropped], rows["start_ns"][dropped] = Outcome.DROPPED, 0
    facts = judged(rows)
    assert facts.p99_ms == 5000.0 and facts.dropped_ratio == pytest.approx(0.05, abs=0.01)
    assert any("arrivals were dropped" in why for why in facts.why_not)


def test_errors_count_against_availability_and_quick_refusals_do_not_flatter_a_percentile():
    refused = np.arange(400) % 2 == 0
    rows = made(wait_ms=np.where(refused, 0.1, 50.0))
    rows["outcome"][refused], rows["error_class"][refused] = Outcome.FAIL, ErrorClass.SLOW_DOWN
    facts = judged(rows, QUICK + SURE)
    assert facts.p50_ms == 50.0 and facts.error_ratio == 0.5
    assert "sure: 50 % of all operations went wrong, not below 1 %" in facts.why_not


def test_an_objective_asks_only_its_own_operation():
    puts = np.arange(400) % 4 == 0
    rows = made(wait_ms=np.where(puts, 500.0, 5.0), op=np.where(puts, Op.PUT, Op.GET))
    assert judged(rows, [Objective("quick", latency_below_ms=100.0, op="get")]).holds
    assert not judged(rows, [Objective("quick", latency_below_ms=100.0, op="put")]).holds
    assert "no list was due" in judged(rows, [Objective("quick", latency_below_ms=1.0, op="list")]).why_not[0]


def test_what_we_stopped_ourselves_is_no_error():
    rows = made(seconds=4.0)
    rows["outcome"][-5:], rows["error_class"][-5:] = Outcome.UNKNOWN, ErrorClass.STOPPED
    assert judged(rows, SURE).error_ratio == 0.0


@pytest.mark.parametrize("count", [0, 1, 9])
def test_next_to_nothing_does_not_hold(count):
    facts = judged(made()[:count])
    assert not facts.holds and f"only {count} operations were due" in facts.why_not[0]


def test_a_trial_that_stopped_arriving_early_did_not_hold_a_rate_that_it_never_saw():
    """The guard ends a hopeless trial: its numbers are those of what there was."""
    facts = judged(made(seconds=1.0, wait_ms=900.0), seconds=4.0)
    assert not facts.holds
    assert facts.ended_ns - facts.began_ns < 1.01e9


def test_recovered_is_the_old_median_over_a_full_window_and_nearly_everything_answered():
    recovery = Recovery(baseline_p50_ms=10.0, rate_per_s=100.0)
    assert recovery.allowed_ms == pytest.approx(11.5)
    late = T0 + 4 * 10**9
    assert recovery.median_ms(Answers.of([made(wait_ms=10.5)]), late) == 10.5
    assert recovery.median_ms(Answers.of([made(wait_ms=10.5)]), T0 + 10**9) is None  # no full window yet
    assert recovery.median_ms(Answers.of([]), late) is None
    half = made(wait_ms=10.5)[::2]
    assert recovery.median_ms(Answers.of([half]), late) is None  # the other half is not back yet
    failing = made(wait_ms=10.5)
    failing["outcome"][::10] = Outcome.FAIL
    assert recovery.median_ms(Answers.of([failing]), late) is None
    assert Recovery(None, 100.0).allowed_ms == float("inf")


def test_recovered_looks_at_the_last_window_only():
    waits = np.where(np.arange(400) < 190, 900.0, 10.0)
    recovery = Recovery(10.0, 100.0)
    assert recovery.median_ms(Answers.of([made(wait_ms=waits)]), T0 + 4 * 10**9) == 10.0


def status(**fields):
    return {"elapsed_s": 4.0, "cpu_seconds": 0.4, "records_lost": 0, "errors": {}, **fields}


def gauges(shared, used, stolen=0.0):
    """What the probes read every second of a trial: the target here or not, the cores of the machine, steal."""
    subjects = {
        ("process", "cpu_ratio", "maul"): 0.5,
        ("cpu", "busy_ratio", "core0"): used,
        ("cpu", "busy_ratio", "core1"): used,
        ("cpu", "steal_ratio", "all"): stolen,
    }
    if shared:
        subjects["process", "cpu_ratio", "volume-r1-1"] = 0.6
    rows = [
        {
            "at_ns": T0 + second * 10**9,
            "host": "local",
            "probe": probe,
            "metric": metric,
            "subject": who,
            "value": value,
        }
        for second in range(5)
        for (probe, metric, who), value in subjects.items()
    ]
    return Gauges(pa.Table.from_pylist(rows, schema=SCHEMAS["samples"]))


def lateness(ms):
    late = Histogram()
    for _ in range(100):
        late.record(int(ms * 1e6))
    return late


NOBODY = Gauges(pa.Table.from_pylist([], schema=SCHEMAS["samples"]))


def test_we_were_the_limit_when_our_cores_were_full_or_something_of_ours_ran_out():
    facts, one, none = judged(made()), GeneratorLimits(1), Histogram()
    assert bound_reasons(status(), facts, none, NOBODY, one) == ()
    assert "98 % of its core" in bound_reasons(status(cpu_seconds=3.9), facts, none, NOBODY, one)[0]
    assert bound_reasons(status(cpu_seconds=3.9), facts, none, NOBODY, GeneratorLimits(2)) == ()  # one of two cores
    assert "descriptor" in bound_reasons(status(errors={"EXHAUSTED": 2}), facts, none, NOBODY, one)[0]
    above = GeneratorLimits(1, ceiling_per_s=110.0)
    assert "calibration" in bound_reasons(status(), facts, none, NOBODY, above)[0]
    assert "records were lost" in bound_reasons(status(records_lost=3), facts, none, NOBODY, one)[0]


def test_lateness_is_ours_only_on_a_machine_of_our_own():
    facts, one = judged(made()), GeneratorLimits(1)
    alone, shared = gauges(shared=False, used=0.5), gauges(shared=True, used=0.95)
    assert "took up 1 % of its arrivals" in bound_reasons(status(), facts, lateness(30), alone, one)[0]
    assert bound_reasons(status(), facts, lateness(0.2), alone, one) == ()
    assert bound_reasons(status(), facts, lateness(30), shared, one) == ()  # the target made it late as well
    assert bound_reasons(status(), facts, lateness(30), NOBODY, one) == ()  # nobody knows whose it was
    stolen = gauges(shared=False, used=0.5, stolen=0.1)
    assert "a hypervisor took 10 %" in bound_reasons(status(), facts, lateness(0.2), stolen, one)[0]
