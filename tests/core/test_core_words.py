"""The small words: verdicts, errors, ids, clocks, keys, events, summaries."""

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from maul.core import errors
from maul.core.clock import FakeClock, SystemClock
from maul.core.event import Edge, Event, EventKind
from maul.core.ids import RUN_ID_PATTERN, new_run_id, run_number
from maul.core.operation import REGION_LETTERS, REGION_SHIFT, ErrorClass, Region, key_name
from maul.core.sample import Sample
from maul.core.summary import Check, Ending, PhaseSummary
from maul.core.verdict import Verdict, worst


@given(st.lists(st.sampled_from(Verdict)))
def test_doubt_is_never_a_pass(verdicts):
    answer = worst(verdicts)
    if Verdict.FAIL in verdicts:
        assert answer is Verdict.FAIL
    elif Verdict.UNKNOWN in verdicts or not verdicts:
        assert answer is Verdict.UNKNOWN
    else:
        assert answer is Verdict.PASS


def test_every_error_names_its_exit_code():
    codes = {kind: kind.exit_code.value for kind in errors.MaulError.__subclasses__()}
    assert codes == {
        errors.CampaignError: 3,
        errors.PermitError: 4,
        errors.GuardError: 5,
        errors.UnhealedError: 6,
        errors.MachineError: 7,
        errors.TargetError: 7,
        errors.InternalError: 2,
    }


def test_a_message_has_what_where_and_cure():
    assert errors.MaulError("broke", "a.yaml:3", "mend it").message == "a.yaml:3: broke\n  mend it"
    assert str(errors.MaulError("broke")) == "broke"


def test_run_ids_sort_by_time_and_match_their_pattern():
    early, late = new_run_id(1_700_000_000_000_000_000), new_run_id(1_800_000_000_000_000_000)
    assert early < late
    assert re.fullmatch(RUN_ID_PATTERN, early)
    assert early.startswith("20231114-221320-")
    assert new_run_id(0) != new_run_id(0)


def test_run_numbers_are_stable_and_differ():
    # the value is in every body that was ever written: it must never change
    assert run_number("20261122-214512-3fa09c") == 16478913198152664213
    assert run_number("a") != run_number("b")


def test_the_fake_clock_moves_only_when_somebody_waits():
    clock, stop = FakeClock(5), threading.Event()
    assert clock.wait(2.5, stop) is False
    assert clock.now_ns() == 2_500_000_005
    stop.set()
    assert clock.wait(0, stop) is True


def test_the_system_clock_never_runs_backwards_and_hears_a_stop():
    clock, stop = SystemClock(), threading.Event()
    stop.set()
    before = clock.now_ns()
    assert clock.wait(60.0, stop) is True
    assert clock.wait(-1.0) is False
    assert clock.now_ns() >= before


@given(st.sampled_from(Region), st.integers(0, 2**48 - 1))
def test_key_names_tell_region_and_index(region, index):
    name = key_name("maul/r/", region << REGION_SHIFT | index)
    assert name[len("maul/r/")] == REGION_LETTERS[region]
    assert int(name[len("maul/r/") + 1 :], 16) == index


def test_a_key_of_no_region_is_refused():
    with pytest.raises(ValueError, match="is not a valid Region"):
        key_name("p/", 9 << REGION_SHIFT)


def test_error_classes_fit_a_byte():
    assert all(0 <= error < 256 for error in ErrorClass)
    assert len({error.value for error in ErrorClass}) == len(ErrorClass)


def test_events_and_samples_are_frozen():
    event = Event(1, EventKind.PHASE, Edge.BEGAN, "fill")
    sample = Sample(1, "cpu", "busy_ratio", "core0", 0.5)
    for value in (event, sample):
        with pytest.raises(AttributeError):
            value.at_ns = 2
    assert event.details == {}
    assert Event(1, EventKind.PHASE, Edge.BEGAN, "x").details is not event.details


def test_verdicts_travel_by_name():
    check = Check(name="durability", verdict=Verdict.FAIL, says="3 lost")
    assert '"FAIL"' in check.model_dump_json()
    assert Check.model_validate_json(check.model_dump_json()) == check
    with pytest.raises(KeyError):
        Check.model_validate({"name": "x", "verdict": "MAYBE", "says": ""})
    with pytest.raises(ValidationError):
        Check.model_validate({"name": "x", "verdict": "PASS", "says": "", "sas": ""})


def test_a_phase_without_length_has_no_rate():
    numbers = dict.fromkeys(("ok", "fail", "unknown", "late", "dropped", "bytes_sent", "bytes_received"), 0)
    phase = PhaseSummary(name="x", kind="load", began_ns=5, ended_ns=5, offered=0, latency=[], **numbers)
    assert phase.achieved_per_s == 0.0
    longer = phase.model_copy(update={"ended_ns": 2_000_000_005, "ok": 10})
    assert (longer.duration_s, longer.achieved_per_s) == (2.0, 5.0)
    assert Ending("killed") is Ending.KILLED
