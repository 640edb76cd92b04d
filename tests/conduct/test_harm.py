"""Faults beside a phase: at their time, within the blast radius, always healed, always told."""

import json
import threading

import pytest
from conduct_stage import FakeFault, events_of, fault_plan, make_plan, make_stage, refused

from maul.conduct.harm import DEADLINE_MARGIN_S, Harm
from maul.core.clock import FakeClock
from maul.core.errors import MachineError, UnhealedError
from maul.core.event import EventKind
from maul.core.summary import Ending, FaultSummary
from maul.faults.catalogue import FAULTS

LIMIT_S = 10.0  # of waiting for another thread; never reached unless something is broken


class Held(FakeClock):
    """Whoever can be interrupted waits until he is; all other waits pass at once."""

    def wait(self, seconds, stop=None):
        if stop is not None:
            assert stop.wait(LIMIT_S), "nobody ended this wait"
            return True
        return super().wait(seconds)


@pytest.fixture
def faults(monkeypatch):
    """Register fakes: the n-th fault that is made is the n-th of the list."""
    made = []
    monkeypatch.setitem(FAULTS, "test.fault", lambda target, host, clock: made.pop(0))
    return made


def told(stage):
    stage.writer.close()
    return events_of(stage.writer.path, EventKind.FAULT)


def summary_of(row):
    return FaultSummary.model_validate(json.loads(row["details"])["summary"])


def test_it_lives_its_whole_life_and_the_record_tells_it(tmp_path, faults):
    faults.append(fault := FakeFault())
    stage = make_stage(tmp_path)
    with Harm(stage, [fault_plan()]) as harm:
        for thread in harm._threads:
            thread.join(LIMIT_S)
    assert fault.acts == ["prepare", "inject", "prove_effect", "heal", "prove_healed", "clean"]
    began, ended = told(stage)
    assert (began["edge"], began["name"], began["says"]) == ("began", "kill", "hurt it")
    assert ended["edge"] == "ended"
    summary = summary_of(ended)
    assert (summary.proven, summary.healed, summary.target) == (True, True, "volume-r1-1")
    assert summary.effect == "it is down" and summary.undo == "restart: it is back"
    assert (summary.healed_ns - summary.began_ns) / 1e9 == pytest.approx(5.0, abs=0.2)
    assert stage.harmed == [summary]
    assert stage.journal.pending() == ()


def test_the_deadline_of_the_dead_man_is_some_time_after_the_hold(tmp_path, faults):
    deadlines = []
    stage = make_stage(tmp_path)
    faults.append(FakeFault(on_inject=lambda: deadlines.extend(stage.journal.pending())))
    with Harm(stage, [fault_plan(hold_s=5.0)]):
        pass
    (entry,) = deadlines
    assert (entry.deadline_ns - stage.began_ns) / 1e9 == pytest.approx(5.0 + DEADLINE_MARGIN_S, abs=0.5)


def test_before_it_is_due_nothing_is_touched(tmp_path, faults):
    faults.append(fault := FakeFault())
    stage = make_stage(tmp_path, clock=Held())
    with Harm(stage, [fault_plan(after_s=30.0)]):
        pass
    assert fault.acts == []
    (row,) = told(stage)
    assert (row["edge"], row["says"]) == ("instant", "the phase ended before it was due")


def test_a_stop_is_heard_before_it_is_due(tmp_path, faults):
    faults.append(fault := FakeFault())
    stage = make_stage(tmp_path)
    stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
    with Harm(stage, [fault_plan(after_s=30.0)]):
        pass
    assert fault.acts == []


@pytest.mark.parametrize("how", ["phase", "stop", "error"])
def test_when_the_phase_ends_early_it_is_healed_at_once(tmp_path, faults, how):
    hurt = threading.Event()
    faults.append(fault := FakeFault(on_inject=hurt.set))
    stage = make_stage(tmp_path, clock=Held())

    def live():
        with Harm(stage, [fault_plan(hold_s=3600.0)]):
            assert hurt.wait(LIMIT_S)
            if how == "stop":
                stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
            if how == "error":
                raise MachineError("no room")

    if how == "error":
        with pytest.raises(MachineError, match="no room"):
            live()
    else:
        live()
    assert fault.acts[-3:] == ["heal", "prove_healed", "clean"]
    assert summary_of(told(stage)[-1]).healed


@pytest.mark.parametrize("service", ["volume-r2-1", "gateway-r2-1", "filer-r2-1"])
def test_beyond_the_blast_radius_it_is_not_injected_and_says_why(tmp_path, faults, service):
    hurt = threading.Event()
    faults += [first := FakeFault(on_inject=hurt.set), second := FakeFault()]
    stage = make_stage(tmp_path, clock=Held())
    plans = [fault_plan("first", "volume-r1-1"), fault_plan("second", service)]
    with Harm(stage, plans[:1]) as harm:
        assert hurt.wait(LIMIT_S)
        harm._live_through(plans[1])
    assert first.acts[-1] == "clean" and second.acts == []
    rows = {row["name"]: row for row in told(stage) if row["edge"] == "ended"}
    summary = summary_of(rows["second"])
    assert (summary.proven, summary.healed, summary.undo) == (False, True, "nothing was hurt")
    assert "not injected" in summary.effect and "racks at once" in summary.effect


def test_who_says_beyond_redundancy_means_it(tmp_path, faults):
    hurt = threading.Event()
    faults += [FakeFault(on_inject=hurt.set), second := FakeFault()]
    stage = make_stage(tmp_path, clock=Held())
    with Harm(stage, [fault_plan("first", "volume-r1-1")]) as harm:
        assert hurt.wait(LIMIT_S)
        harm._over.set()
        harm._live_through(fault_plan("second", "volume-r2-1", beyond_redundancy=True))
    assert "inject" in second.acts


def test_what_was_refused_does_not_make_the_others_harm_forgotten(tmp_path, faults):
    """Two faults on one service, the second fails: the service is still hurt by the first."""
    hurt = threading.Event()
    faults += [FakeFault(on_inject=hurt.set), FakeFault(errors=refused("prepare")), third := FakeFault()]
    stage = make_stage(tmp_path, clock=Held())
    with Harm(stage, [fault_plan("first", "volume-r1-1")]) as harm:
        assert hurt.wait(LIMIT_S)
        harm._live_through(fault_plan("second", "volume-r1-1"))
        harm._live_through(fault_plan("third", "volume-r2-1"))
    assert third.acts == [], "a second rack was hurt while the first still was"


def test_a_healed_service_does_not_count_any_more(tmp_path, faults):
    faults += [FakeFault(), second := FakeFault()]
    stage = make_stage(tmp_path)
    with Harm(stage, []) as harm:
        harm._live_through(fault_plan("first", "volume-r1-1"))
        harm._live_through(fault_plan("second", "volume-r2-1"))
    assert second.acts[-1] == "clean"


@pytest.mark.parametrize(
    ("errors", "acts", "effect"),
    [
        (refused("prepare"), ["prepare"], "prepare did not work; look at it"),
        ({"prepare": OSError(13, "Permission denied")}, ["prepare"], "Permission denied"),
    ],
)
def test_what_cannot_be_prepared_is_told_with_its_reason(tmp_path, faults, errors, acts, effect):
    faults.append(fault := FakeFault(errors=errors))
    stage = make_stage(tmp_path)
    with Harm(stage, [fault_plan()]):
        pass
    assert fault.acts == acts
    (row,) = told(stage)
    summary = summary_of(row)
    assert effect in summary.effect and "\n" not in summary.effect
    assert (summary.proven, summary.healed) == (False, True)


def test_without_its_undo_on_disk_nothing_is_hurt_and_the_reason_is_told(tmp_path, faults):
    faults.append(fault := FakeFault())
    stage = make_stage(tmp_path)

    class Full:
        path = tmp_path / "undo.jsonl"

        def record(self, *given):
            raise MachineError("cannot write the undo journal: No space left on device")

    stage.journal = Full()
    with Harm(stage, [fault_plan()]):
        pass
    assert fault.acts == ["prepare", "clean"]
    summary = summary_of(told(stage)[-1])
    assert "No space left" in summary.effect
    assert (summary.healed, summary.undo) == (True, "nothing was hurt")


@pytest.mark.parametrize("act", ["inject", "prove_effect"])
def test_half_a_harm_is_healed(tmp_path, faults, act):
    faults.append(fault := FakeFault(errors=refused(act)))
    stage = make_stage(tmp_path)
    with Harm(stage, [fault_plan()]):
        pass
    assert fault.acts[-3:] == ["heal", "prove_healed", "clean"]
    summary = summary_of(told(stage)[-1])
    assert (summary.proven, summary.healed) == (False, True)
    assert f"{act} did not work" in summary.effect


def test_what_cannot_be_healed_is_told_and_stays_in_the_journal(tmp_path, faults):
    faults.append(fault := FakeFault(errors={"heal": UnhealedError("it does not start")}))
    stage = make_stage(tmp_path)
    with Harm(stage, [fault_plan()]):
        pass
    assert fault.acts.count("heal") == 3
    row = told(stage)[-1]
    assert row["says"].startswith("NOT HEALED")
    assert not summary_of(row).healed
    assert len(stage.journal.pending()) == 1


@pytest.mark.parametrize("act", ["prepare", "inject", "prove_effect"])
def test_a_bug_is_healed_first_and_then_raised_where_somebody_hears_it(tmp_path, faults, act, capfd):
    faults.append(fault := FakeFault(errors={act: ZeroDivisionError("a bug")}))
    stage = make_stage(tmp_path)
    with pytest.raises(ZeroDivisionError, match="a bug"), Harm(stage, [fault_plan()]):
        pass
    assert "Traceback" not in capfd.readouterr().err
    if act != "prepare":
        assert fault.acts[-1] == "clean" and summary_of(told(stage)[-1]).healed


def test_a_service_without_a_pidfile_is_not_hurt(tmp_path, faults):
    stage = make_stage(tmp_path)
    bare = [one.model_copy(update={"process": None}) for one in stage.site.services]
    stage.site = stage.site.model_copy(update={"services": tuple(bare)})
    with Harm(stage, [fault_plan()]):
        pass
    assert "does not say which process" in summary_of(told(stage)[-1]).effect


def test_without_faults_there_is_no_thread(tmp_path):
    stage = make_stage(tmp_path, make_plan())
    with Harm(stage, []) as harm:
        assert harm._threads == []
    assert told(stage) == []
