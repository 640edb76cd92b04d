"""The guard's decision as a table: what it saw, what it says. No engine, no clock."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maul.core.operation import ErrorClass
from maul.guard import EndPhase, Snapshot, StopRun, WatchLimits, WatchState, after_pass, decide
from maul.guard.caps import MARKS_MAX, Mark, remember
from maul.guard.steps import StepRule
from maul.plan import LevelPlan, PhasePlan, RuntimeState
from maul.plan.model import Amount

S = 1_000_000_000
BEGAN = 1_700_000_000 * S
CALM = Snapshot(elapsed_s=0.0, offered=0, started=0, ok=0, fail=0, unknown=0, dropped=0, bytes_sent=0, bytes_received=0)
LIMITS = WatchLimits(
    requests=10_000,
    bytes=1_000_000,
    seconds=600.0,
    run_began_ns=BEGAN,
    error_ratio=0.6,
    error_window_ns=10 * S,
    disk_free_bytes=1000,
    before=RuntimeState(),
)


def reasons(snapshot, limits=LIMITS, at_s=1.0, state=None):
    _, actions = decide(state or WatchState(), snapshot, limits, BEGAN + round(at_s * S))
    return [action.reason for action in actions]


@pytest.mark.parametrize(
    ("seen", "limits", "at_s", "expected"),
    [
        ({}, {}, 1.0, []),
        ({"started": 10_000}, {}, 1.0, []),
        ({"started": 10_001}, {}, 1.0, ["limit:requests"]),
        ({"started": 4000}, {"before": RuntimeState(requests_used=6001)}, 1.0, ["limit:requests"]),
        ({"started": 5001}, {"requests_per_operation": 2.0}, 1.0, ["limit:requests"]),
        ({"bytes_sent": 600_000, "bytes_received": 400_000}, {}, 1.0, []),
        ({"bytes_sent": 600_000, "bytes_received": 400_001}, {}, 1.0, ["limit:bytes"]),
        ({"bytes_sent": 2}, {"before": RuntimeState(bytes_used=999_999)}, 1.0, ["limit:bytes"]),
        ({}, {}, 600.0, []),
        ({}, {}, 600.1, ["limit:duration"]),
        ({"disk_free_bytes": 1000}, {}, 1.0, []),
        ({"disk_free_bytes": 999}, {}, 1.0, ["disk-full"]),
        ({"disk_free_bytes": None}, {}, 1.0, []),
        ({"started": 10**6, "bytes_sent": 10**9}, {"own_ceilings": True}, 1e6, []),
        ({"disk_free_bytes": 0}, {"own_ceilings": True}, 1.0, ["disk-full"]),
        ({"started": 10**6, "bytes_sent": 10**9, "disk_free_bytes": 0}, {}, 601.0,
         ["disk-full", "limit:requests", "limit:bytes", "limit:duration"]),
    ],
)  # fmt: skip
def test_totals(seen, limits, at_s, expected):
    assert reasons(replace(CALM, **seen), replace(LIMITS, **limits), at_s) == expected


def test_an_action_is_given_once():
    state, first = decide(WatchState(), replace(CALM, started=10_001), LIMITS, BEGAN)
    _, second = decide(state, replace(CALM, started=10_002), LIMITS, BEGAN + S)
    assert first == (StopRun("limit:requests", "10,001 requests were sent, and limits.requests is 10,000"),)
    assert second == ()


def story(looks, limits=LIMITS):
    """Feed looks (seconds, ok, not ok so far) to the guard; give back (seconds, reason) of every action."""
    state, told = WatchState(), []
    for at_s, ok, bad in looks:
        snapshot = replace(CALM, elapsed_s=at_s, offered=ok + bad, ok=ok, fail=bad)
        state, actions = decide(state, snapshot, limits, BEGAN + round(at_s * S))
        told += [(at_s, action.reason) for action in actions]
    return told


def steady(seconds, ok_per_s, bad_per_s, tick_s=0.1, start=(0.0, 0, 0)):
    """Looks at a steady load."""
    begin_s, ok, bad = start
    ticks = round(seconds / tick_s)
    return [
        (begin_s + n * tick_s, ok + round(n * tick_s * ok_per_s), bad + round(n * tick_s * bad_per_s))
        for n in range(ticks + 1)
    ]


def test_errors_stop_the_run_when_the_window_is_full_of_them():
    (told,) = story(steady(30, 10, 90))
    assert told[1] == "error-ratio"
    assert 9.9 <= told[0] <= 10.5


def test_errors_below_the_ratio_are_borne():
    assert story(steady(60, 40, 60)) == []
    assert story(steady(60, 39, 61)) != []


def test_a_short_outage_is_borne_and_a_long_one_is_not():
    def outage(seconds):
        calm = steady(20, 100, 0)
        dead = steady(seconds, 0, 100, start=calm[-1])
        return story(calm + dead + steady(20, 100, 0, start=dead[-1]))

    assert outage(5.5) == []
    assert [reason for _, reason in outage(7)] == ["error-ratio"]


def test_few_operations_say_nothing():
    assert story(steady(60, 0, 1.5, tick_s=1.0)) == []
    assert story(steady(60, 0, 2.5, tick_s=1.0)) != []


def test_unknown_and_dropped_are_errors_too():
    for kind in ("fail", "unknown", "dropped"):
        state, _ = decide(WatchState(), CALM, LIMITS, BEGAN)
        seen = replace(CALM, ok=30, **{kind: 70})
        _, actions = decide(state, seen, LIMITS, BEGAN + 10 * S)
        assert [action.reason for action in actions] == ["error-ratio"]
        assert actions[0].says == (
            "70 of 100 operations of the last 10 s were not answered well (70%; limits.error_ratio is 60%)"
        )


def test_an_audit_may_miss_what_was_deleted():
    seen = replace(CALM, ok=10, fail=90, missing=90)
    for rightly, expected in ((False, []), (True, ["error-ratio"])):
        limits = replace(LIMITS, missing_is_error=rightly)
        state, _ = decide(WatchState(), CALM, limits, BEGAN)
        _, actions = decide(state, seen, limits, BEGAN + 10 * S)
        assert [action.reason for action in actions] == expected
    other = replace(seen, missing=5)
    state, _ = decide(WatchState(), CALM, replace(LIMITS, missing_is_error=False), BEGAN)
    assert reasons(other, replace(LIMITS, missing_is_error=False), 10.0, state) == ["error-ratio"]


LEVELS = tuple(LevelPlan(start_s=4.0 * n, end_s=4.0 * n + 4.0, rate_per_s=100.0 * 2**n) for n in range(5))


def rising(answered, levels_in_a_row=2, tick_s=0.1):
    """A rising load of which each level is answered to this part; gives (second, sentence) of the end, or None."""
    limits = replace(LIMITS, steps=StepRule(LEVELS, 0.9, levels_in_a_row), error_ratio=1.0)
    state, offered, ok, at_s = WatchState(), 0.0, 0.0, 0.0
    for level, part in zip(LEVELS, answered, strict=True):
        for _ in range(round(4 / tick_s)):
            at_s, offered, ok = (
                at_s + tick_s,
                offered + level.rate_per_s * tick_s,
                ok + level.rate_per_s * tick_s * part,
            )
            look = replace(CALM, elapsed_s=at_s + 1e-6, offered=round(offered), ok=round(ok))
            state, actions = decide(state, look, limits, BEGAN + round(at_s * S))
            if actions:
                return round(at_s, 1), actions
    return None


def test_steps_end_when_enough_levels_in_a_row_gave_way():
    at_s, actions = rising([1, 1, 0.8, 0.5, 0.4])
    assert at_s == 16.0
    assert actions == (
        EndPhase(
            "gave-way", "the target gave way: answered well 80% at 400/s, then 50% at 800/s (below 90% ends the steps)"
        ),
    )


@pytest.mark.parametrize(
    ("answered", "in_a_row", "ends_s"),
    [
        ([1, 1, 1, 1, 1], 1, None),
        ([0.91] * 5, 1, None),
        ([0.89, 1, 1, 1, 1], 1, 4.0),
        ([0.5, 1, 0.5, 1, 0.5], 2, None),
        ([1, 0.5, 0.5, 1, 1], 2, 12.0),
        ([0.1] * 5, 5, 20.0),
        ([0.1] * 4 + [1], 5, None),
        ([0.0] * 5, 1, 4.0),
    ],
)
def test_levels_in_a_row(answered, in_a_row, ends_s):
    end = rising(answered, in_a_row)
    assert (end[0] if end else None) == ends_s


def test_levels_that_nobody_looked_at_are_not_judged():
    limits = replace(LIMITS, steps=StepRule(LEVELS, 0.9, 1))
    look = replace(CALM, elapsed_s=8.0, offered=1200, ok=0)
    state, actions = decide(WatchState(), look, limits, BEGAN + 8 * S)
    assert actions == ()
    _, actions = decide(state, replace(look, elapsed_s=12.0, offered=2800), limits, BEGAN + 12 * S)
    assert [action.says for action in actions] == [
        "the target gave way: answered well 0% at 400/s (below 90% ends the steps)"
    ]


def test_a_level_without_arrivals_says_nothing():
    limits = replace(LIMITS, steps=StepRule(LEVELS, 0.9, 1))
    _, actions = decide(WatchState(), replace(CALM, elapsed_s=4.0), limits, BEGAN + 4 * S)
    assert actions == ()


def test_a_stop_comes_before_the_end_of_a_phase():
    limits = replace(LIMITS, steps=StepRule(LEVELS, 0.9, 1))
    look = replace(CALM, elapsed_s=4.0, offered=400, ok=1, started=10**6)
    _, actions = decide(WatchState(), look, limits, BEGAN + 4 * S)
    assert [type(action) for action in actions] == [StopRun, EndPhase]


@settings(deadline=None)
@given(st.lists(st.integers(0, 3 * S), min_size=1, max_size=300), st.integers(1, 20 * S))
def test_the_window_stays_short_and_reaches_back_far_enough(gaps_ns, length_ns):
    window, now_ns, looks = (), 0, []
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        looks.append(now_ns)
        window = remember(window, Mark(now_ns, 0, 0), length_ns)
        assert len(window) <= MARKS_MAX + 2
        ages = [now_ns - mark.at_ns for mark in window]
        assert ages == sorted(ages, reverse=True)
        assert all(age < length_ns for age in ages[1:])
        if now_ns - looks[0] >= length_ns:
            oldest = max(at_ns for at_ns in looks if now_ns - at_ns >= length_ns)
            assert now_ns - window[0].at_ns >= length_ns
            assert oldest - window[0].at_ns <= length_ns / MARKS_MAX


def test_a_snapshot_is_read_from_the_engines_status():
    status = {
        "state": "running", "elapsed_s": 1.5, "offered": 9, "started": 8, "completed": 7, "ok": 4, "fail": 2,
        "unknown": 1, "dropped": 1, "bytes_sent": 5, "bytes_received": 6, "late": 0,
    }  # fmt: skip
    for errors in ({"NO_SUCH_KEY": 2, "TIMEOUT": 1}, {ErrorClass.NO_SUCH_KEY: 2, ErrorClass.TIMEOUT: 1}):
        seen = Snapshot.of({**status, "errors": errors}, 77)
        assert seen == Snapshot(1.5, 9, 8, 4, 2, 1, 1, 5, 6, missing=2, disk_free_bytes=77)
    assert Snapshot.of({**status, "errors": {}}).missing == 0


def phase(kind):
    return PhasePlan(name="p", kind=kind, timed=False, seconds=1.0, expected=Amount(), endpoints=("vip",), passes=())


@pytest.mark.parametrize(
    ("stop_reason", "kind", "reason"),
    [
        ("completed", "load", None),
        ("gave-way", "load", None),
        ("limit:requests", "load", "limit:requests"),
        ("limit:seconds", "audit", "limit:seconds"),
        ("lease", "prepare", "lease"),
        ("limit:requests", "clean-up", None),
        ("lease", "clean-up", None),
    ],
)
def test_what_an_engines_end_means_for_the_run(stop_reason, kind, reason):
    action = after_pass(stop_reason, phase(kind))
    assert (action.reason if action else None) == reason
