"""The hold: nothing but one attempt per second at most, until it is over or nobody may wait any longer."""

from itertools import pairwise

from conduct_stage import T0_NS, make_plan
from vigil_world import BLACK_HOLE, IDLE, FakeLookout, S, Thoughts, a_whole_one, freeze, make_world

from maul.conduct.hold import answers, hold
from maul.core.summary import Ending
from maul.core.vantage import Question, Reach, Vantage
from maul.guard.mitigation.actions import Ask, GiveUp, Resume, Verdict


def frozen(tmp_path, thoughts, **more):
    thoughts.by_look = {1: [freeze()], **{look + 1: actions for look, actions in thoughts.by_look.items()}}
    stage, lookout, _ = make_world(tmp_path, thoughts, **more)
    stage.vigil.second()
    assert stage.frozen
    return stage, lookout


def held(stage):
    return hold(stage, stage.vigil, stage.vigil.frozen)


def test_it_looks_once_a_second_in_silence_and_ends_with_what_was_decided(tmp_path):
    thoughts = Thoughts({30: [Resume(0.5, "going on")]})
    stage, _ = frozen(tmp_path, thoughts)
    assert held(stage) == Resume(0.5, "going on")
    window = thoughts.windows[-1]
    assert all(one.silent for one in window[1:])
    assert [(one.at_ns - T0_NS) // S for one in window] == [0, *range(30)]


def test_attempts_leave_one_at_a_time_whatever_is_asked_for(tmp_path):
    thoughts = Thoughts({1: [Ask(IDLE), Ask(IDLE), Ask(IDLE)], 2: [Ask(IDLE)], 9: [GiveUp("enough")]})
    stage, lookout = frozen(tmp_path, thoughts)
    assert held(stage) == GiveUp("enough")
    times = [at_ns for at_ns, _ in lookout.asked]
    assert len(times) == 4
    assert all(b - a >= S for a, b in pairwise(times))


def test_what_nobody_can_ask_is_not_asked_and_harms_nobody(tmp_path):
    thoughts = Thoughts({1: [Ask(Question(Vantage.EXTERNAL, "ext", "vip"))], 3: [GiveUp("enough")]})
    stage, lookout = frozen(tmp_path, thoughts)
    assert held(stage) == GiveUp("enough")
    assert lookout.asked == []


def test_a_person_is_told_what_is_waited_for_and_how_to_end_it(tmp_path):
    thoughts = Thoughts({1: [Ask(IDLE)], 5: [Verdict(BLACK_HOLE)], 16: [Ask(IDLE)], 80: [GiveUp("enough")]})
    stage, lookout = frozen(tmp_path, thoughts)
    lookout.reach = Reach.TIMEOUT
    held(stage)
    lines = [says for says in stage.progress.steps if says.startswith("held: ")]
    assert len(lines) in {2, 3}  # the first, the first answer, then one a minute
    assert "The address is dropped upstream since " in lines[-1]
    assert "idle local asked vip at " in lines[-1] and "timeout" in lines[-1]
    assert "asking once in 15.0 s; nothing else is sent; Ctrl-C ends" in lines[-1]
    assert len(stage.progress.looks) == 79
    assert stage.progress.looks[-1].phase == " held"
    assert ("held", lines[-1].removeprefix("held: ")) in stage.progress.alarms
    assert stage.progress.alarms[-1] == ("over", "enough")


def test_ctrl_c_and_the_kill_switch_end_it_within_a_second(tmp_path):
    for number, end in enumerate(("interrupted", "pulled")):
        thoughts = Thoughts()
        stage, _ = frozen(tmp_path / str(number), thoughts)

        def stop(window, phase, hurting, *, before=thoughts.__call__, stage=stage, end=end):
            if len(window) == 12:
                stage.stop.pull("signal", "SIGUSR1") if end == "pulled" else stage.stop.stop(end, Ending.INTERRUPTED)
            return before(window, phase, hurting)

        stop.stance = thoughts.stance  # type: ignore[attr-defined]
        stage.vigil._think = stop  # type: ignore[assignment]
        assert held(stage) is None
        assert (stage.clock.now_ns() - T0_NS) / S <= 12


def test_waiting_counts_as_time_of_the_run(tmp_path):
    plan = make_plan(("limits: {requests: 10000}", "limits: {requests: 10000, duration: 30s}"))
    stage, _ = frozen(tmp_path, Thoughts(), plan=plan)
    end = held(stage)
    assert isinstance(end, GiveUp)
    assert "limits.duration (30.0 s)" in end.says
    assert 30 <= (stage.clock.now_ns() - T0_NS) / S <= 32


def test_a_hold_that_nobody_ends_gives_up_by_itself(tmp_path):
    stage, _ = frozen(tmp_path, Thoughts(), probe_s=5.0, hold_max_s=10.0)
    end = held(stage)
    assert isinstance(end, GiveUp)
    assert 315 <= (stage.clock.now_ns() - T0_NS) / S <= 318


def test_whether_the_target_answers_is_asked_once(tmp_path):
    stage, lookout = frozen(tmp_path, Thoughts())
    for reach, expected in ((Reach.ANSWERED, True), (Reach.REJECTED, True), (Reach.TIMEOUT, False)):
        lookout.reach, lookout.asked = reach, []
        assert answers(stage, stage.vigil) is expected
        assert [question.vantage for _, question in lookout.asked] == [Vantage.IDLE]
    stage.vigil._lookouts = (FakeLookout(stage.clock, who="somebody else"),)  # type: ignore[assignment]
    assert answers(stage, stage.vigil) is None


def test_a_whole_story_as_it_should_go(tmp_path):
    thoughts = Thoughts()
    thoughts.by_look = {look - 1: actions for look, actions in a_whole_one(1).items() if look > 1}
    stage, lookout = frozen(tmp_path, thoughts)
    assert held(stage) == Resume(0.5, "going on with a part")
    assert len(lookout.asked) == 2
