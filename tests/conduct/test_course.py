"""What is left of a run once somebody upstream stopped its traffic."""

import json
import types

import pytest
from conduct_stage import events_of, make_plan
from vigil_world import Thoughts, a_whole_one, black_hole_after, freeze, make_world, play

from maul.conduct.course import Course
from maul.conduct.phases import run_phase
from maul.core.event import EventKind
from maul.core.summary import Ending
from maul.core.vantage import Reach
from maul.guard.mitigation.actions import GiveUp, Recovered
from maul.plan.budget import phase_peak_per_s
from maul.plan.resuming import RATE_PART

RISING = ("steps: {from: 10/s, to: 30/s, count: 3, each: 2s}", "steps: {from: 10/s, to: 24/s, count: 3, each: 2s}")
MANY = (("objects: 100", "objects: 2000"), ("requests: 10000", "requests: 100000"))


def follow(stage):
    course = Course(stage, lambda phase: run_phase(stage, phase))
    course.follow()
    stage.writer.close()
    return course


def phases_of(stage):
    return [row["name"] for row in events_of(stage.writer.path, EventKind.PHASE) if row["edge"] == "began"]


def told(stage, name):
    rows = [row for row in events_of(stage.writer.path, EventKind.MITIGATION) if row["name"] == name]
    return [{**json.loads(row["details"]), "says": row["says"]} for row in rows]


def stopped_in_calm(tmp_path, by_look, **more):
    """Half a second of filling at 200/s, then calm at 50/s."""
    thoughts = Thoughts(by_look)

    def once(engine):
        first = engine["arrivals"]["mode"] == "open" and not calm
        calm.append(engine) if engine["arrivals"]["mode"] == "open" else None
        return black_hole_after(play(engine), 5.0) if first else play(engine)

    calm: list[dict] = []
    return (*make_world(tmp_path, thoughts, once, **more), thoughts)


def test_without_a_mitigation_all_phases_run_as_planned(tmp_path):
    stage, _, given = make_world(tmp_path, Thoughts())
    follow(stage)
    assert phases_of(stage) == ["fill", "calm", "rising", "audit", "tidy"]
    assert stage.stop.ending is Ending.COMPLETED
    rates = {one.engine.limits.rate_per_s for one in stage.plan.phase("audit").passes}
    assert {engine["limits"]["rate_per_s"] for engine in given[3:5]} == rates


def test_it_resumes_below_leaves_out_what_goes_higher_and_paces_the_sweeps(tmp_path):
    stage, lookout, given, _ = stopped_in_calm(tmp_path, a_whole_one(6))
    course = follow(stage)
    assert phases_of(stage) == ["fill", "calm", "calm-resumed", "audit", "tidy"]
    assert stage.stop.ending is Ending.COMPLETED and not course.tidied
    assert lookout.hushed == [True, False]
    (frozen,), (resumed,) = told(stage, "frozen"), told(stage, "resumed")
    assert (resumed["phase"], resumed["of"], resumed["part"]) == ("calm-resumed", "calm", 0.5)
    assert resumed["rate_per_s"] == pytest.approx(RATE_PART * 0.5 * frozen["answered_per_s"])
    piece = given[2]
    (steady,) = piece["arrivals"]["profile"]
    assert (steady["kind"], steady["seconds"]) == ("constant", 4.0)
    assert steady["rate"] == resumed["rate_per_s"]
    assert piece["limits"]["rate_per_s"] == pytest.approx(0.5 * frozen["answered_per_s"])
    assert piece["epoch"] == 3
    assert all(engine["limits"]["rate_per_s"] <= 0.4 * frozen["answered_per_s"] for engine in given[3:])
    (left_out,) = [row for row in events_of(stage.writer.path, EventKind.NOTE) if row["name"] == "left out"]
    assert "rising is left out: it goes up to 30/s, and at 50/s traffic was stopped" in left_out["says"]


def test_a_later_load_that_stays_below_half_runs(tmp_path):
    stage, *_ = stopped_in_calm(tmp_path, a_whole_one(6), plan=make_plan(RISING))
    assert phase_peak_per_s(stage.plan.phase("rising")) <= 25
    follow(stage)
    assert "rising" in phases_of(stage)


def test_a_permit_that_says_retrigger_lets_later_phases_go_as_planned(tmp_path):
    stage, *_ = stopped_in_calm(tmp_path, a_whole_one(6))
    permit = types.SimpleNamespace(permit=types.SimpleNamespace(retrigger=True))
    door = types.SimpleNamespace(**{name: getattr(stage.target.door, name) for name in ("endpoints", "accounts")})
    door.permission = types.SimpleNamespace(permit=permit)
    stage.target = types.SimpleNamespace(door=door, ca_pems={}, addresses={})  # type: ignore[assignment]
    follow(stage)
    assert phases_of(stage) == ["fill", "calm", "calm-resumed", "rising", "audit", "tidy"]


def test_nobody_may_go_on_and_the_target_answers_so_what_was_written_goes_gently(tmp_path):
    by_look = {6: [freeze()], 20: [Recovered("over", 15.0, 5.0)], 21: [GiveUp("nothing more is sent: so it says")]}
    stage, _, given, thoughts = stopped_in_calm(tmp_path, by_look)
    course = follow(stage)
    assert phases_of(stage) == ["fill", "calm", "audit", "tidy"]
    assert course.tidied
    assert (stage.stop.ending, stage.stop.reason) == (Ending.GUARD, "nothing more is sent: so it says")
    assert stage.stopped
    (given_up,) = told(stage, "given up")
    assert (given_up["answers"], given_up["hold_at_least_s"]) == (True, None)
    assert thoughts.fresh == 1
    assert all(engine["limits"]["rate_per_s"] <= 20.1 for engine in given[2:])


@pytest.mark.parametrize("reach", [Reach.TIMEOUT, None])
def test_a_target_that_does_not_answer_is_left_alone(tmp_path, reach):
    stage, lookout, given, _ = stopped_in_calm(tmp_path, {6: [freeze()], 20: [GiveUp("nothing more is sent")]})
    lookout.reach, lookout.who = (reach, "local") if reach is not None else (Reach.ANSWERED, "nobody here")
    course = follow(stage)
    assert phases_of(stage) == ["fill", "calm"]
    assert not course.tidied and stage.stop.ending is Ending.GUARD
    (given_up,) = told(stage, "given up")
    assert given_up["answers"] is (False if reach is not None else None)
    assert given_up["hold_at_least_s"] >= 14
    assert len(given) == 2


def test_stopped_again_while_it_tidies_up_it_ends_for_good(tmp_path):
    by_look = {6: [freeze()], 10: [GiveUp("nothing more is sent")], 14: [freeze()]}
    stage, *_ = stopped_in_calm(tmp_path, by_look)
    course = follow(stage)
    assert phases_of(stage) == ["fill", "calm", "audit"]
    assert not course.tidied
    assert stage.stop.reason == "nothing more is sent"


def test_stopped_again_after_it_resumed_it_holds_again_and_goes_lower(tmp_path):
    again = {look: actions for look, actions in a_whole_one(49).items() if look < 89}
    stage, *_ = stopped_in_calm(tmp_path, {**a_whole_one(6), **again, 90: [GiveUp("nothing more is sent: twice")]})
    follow(stage)
    assert [row["phase"] for row in told(stage, "frozen")] == ["calm", "calm-resumed"]
    assert stage.stop.reason == "nothing more is sent: twice"


def test_a_filling_that_was_stopped_leaves_nothing_to_load(tmp_path):
    stage, _, _, _ = stopped_in_calm(tmp_path, a_whole_one(1), plan=make_plan(*MANY))
    follow(stage)
    assert phases_of(stage) == ["fill", "audit", "tidy"]
    says = [row["says"] for row in events_of(stage.writer.path, EventKind.NOTE) if row["name"] == "left out"]
    assert says == [
        "calm is left out: fill did not come to its end",
        "rising is left out: fill did not come to its end",
    ]


def test_an_audit_that_was_stopped_is_made_again_at_a_lesser_pace(tmp_path):
    stage, *_ = make_world(tmp_path, Thoughts(a_whole_one(30)), play, plan=make_plan(*MANY))
    follow(stage)
    names = phases_of(stage)
    frozen_in = told(stage, "frozen")[0]["phase"]
    if frozen_in == "audit":
        assert names == ["fill", "calm", "rising", "audit", "audit", "tidy"]
    else:
        pytest.fail(f"the play froze {frozen_in}")


def test_ctrl_c_while_it_holds_ends_the_run_as_ever(tmp_path):
    stage, *_ = stopped_in_calm(tmp_path, {6: [freeze()]})
    real = stage.vigil._think

    def think(window, phase, hurting):
        if real.looks == 10:
            stage.stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
        return real(window, phase, hurting)

    think.stance = real.stance  # type: ignore[attr-defined]
    stage.vigil._think = think  # type: ignore[assignment]
    follow(stage)
    assert phases_of(stage) == ["fill", "calm"]
    assert stage.stop.ending is Ending.INTERRUPTED
