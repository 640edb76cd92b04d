"""The answer to a suspicion, second by second: what freezes, how soon, what does not, and the whole way to the end."""

from dataclasses import replace

import pytest
from respond_world import ASKERS, BEGAN, TERMS, UNKNOWN, World, dead, good, said, sentinel

from maul.core.operation import ErrorClass
from maul.core.vantage import Question, Reach, Vantage
from maul.guard.mitigation.actions import Ask, Freeze, GiveUp, Recovered, Resume, Stance, Suspected, Verdict
from maul.guard.mitigation.causes import Cause

S = 1_000_000_000
TWO = {"g1": good(), "g2": good()}
HOLE = said(Cause.VIP_BLACK_HOLE, 10.3)


def silent_at_door(until_s):
    def reach(question, at_s):
        return Reach.TIMEOUT if question.endpoint == "vip" and at_s < until_s else Reach.ANSWERED

    return reach


def dropped(world, diagnosis=UNKNOWN, seconds=2):
    """Ten good seconds; after another 0.3 s the address is dropped."""
    world.run(10, generators=TWO)
    part = good(ok=300.0, in_flight=700.0)
    world.tick({"g1": part, "g2": part}, diagnosis=diagnosis)
    return world.run(seconds, generators={"g1": dead(), "g2": dead()}, diagnosis=diagnosis)


@pytest.mark.parametrize("diagnosis", [UNKNOWN, HOLE])
@pytest.mark.parametrize("per_s", [20.0, 1000.0, 50_000.0])
def test_a_drop_freezes_within_two_seconds(per_s, diagnosis):
    world = World().run(10, generators={"g1": good(per_s)})
    world.tick({"g1": good(per_s, ok=per_s * 0.3)}, diagnosis=diagnosis)  # dropped at 10.3 s
    world.run(3, generators={"g1": dead(per_s)}, diagnosis=diagnosis)
    assert len(world.of(Suspected)) == 1
    assert world.when(Freeze)[0] <= 12.3
    assert world.frozen


def test_a_trickle_takes_as_long_as_its_answers_are_apart_and_its_sentinel_is_faster():
    alone, helped = World(), World()
    for world in (alone, helped):
        world.run(30, generators={"g1": good(1.0)})
    for second in range(12):
        alone.tick({"g1": dead(1.0)}, diagnosis=UNKNOWN)
        gone = [sentinel("g1", 30 + second, Reach.TIMEOUT)]
        helped.tick({"g1": dead(1.0)}, gone, diagnosis=UNKNOWN)
    assert helped.when(Freeze) == [32.0]
    assert 36 <= alone.when(Freeze)[0] <= 41


def test_a_closed_loop_has_nothing_due_while_it_waits():
    world = World().run(10, generators={"g1": good(500.0, in_flight=64.0)})
    world.run(3, generators={"g1": dead(0.0, in_flight=64.0)}, diagnosis=UNKNOWN)
    assert world.when(Freeze) == [12.0]


def test_the_end_of_a_load_is_no_silence():
    world = World().run(10, generators=TWO)
    world.run(20, generators={"g1": dead(0.0), "g2": dead(0.0, in_flight=3.0)}, diagnosis=UNKNOWN)
    assert world.log == []


def test_one_silent_generator_of_two_freezes_all():
    world = World().run(10, generators=TWO)
    world.run(3, generators={"g1": good(), "g2": dead()}, diagnosis=UNKNOWN)
    assert world.when(Freeze) == [12.0]
    assert "1 of 2 generators: g2" in world.of(Freeze)[0].says


@pytest.mark.parametrize(
    "kind", [ErrorClass.SLOW_DOWN, ErrorClass.THROTTLED, ErrorClass.GATEWAY_ERROR, ErrorClass.INTERNAL_ERROR,
             ErrorClass.CONNECT_REFUSED, ErrorClass.EXHAUSTED, ErrorClass.TLS_FAILED],
)  # fmt: skip
def test_whoever_says_no_is_not_silent(kind):
    world = World().run(10, generators=TWO)
    refused = good(ok=0.0, failed={kind: 1000.0}, bytes_received=0.0)
    world.run(60, generators={"g1": refused, "g2": refused}, diagnosis=UNKNOWN)
    assert world.log == []


@pytest.mark.parametrize("kind", [ErrorClass.TIMEOUT, ErrorClass.RESET, ErrorClass.CONNECT_FAILED])
def test_what_ends_without_an_answer_is_silence(kind):
    world = World().run(10, generators=TWO)
    lost = good(ok=0.0, failed={kind: 1000.0}, bytes_received=0.0)
    world.run(3, generators={"g1": lost, "g2": lost}, diagnosis=UNKNOWN)
    assert world.when(Freeze) == [12.0]


def test_a_second_of_silence_is_only_told():
    world = World().run(10, generators=TWO)
    world.tick({"g1": dead(), "g2": dead()}, diagnosis=UNKNOWN)
    world.run(10, generators=TWO)
    assert [type(action) for _, action in world.log] == [Suspected]
    assert world.state.stance is Stance.NORMAL


def test_a_target_that_stalls_while_the_way_is_open_has_five_seconds():
    world = World().run(10, generators=TWO)
    stalled = dead(opened=20.0)
    world.run(4, generators={"g1": stalled, "g2": stalled}, diagnosis=UNKNOWN)
    assert not world.of(Freeze)
    world.run(1, generators={"g1": stalled, "g2": stalled}, diagnosis=UNKNOWN)
    assert world.when(Freeze) == [15.0]


def test_large_answers_that_still_arrive_are_no_silence():
    large = good(2.0, p50_ms=900.0, bytes_received=4e8)
    world = World().run(30, generators={"g1": large})
    world.run(20, generators={"g1": dead(2.0, bytes_received=3e8)}, diagnosis=UNKNOWN)
    assert world.log == []


def test_who_tells_nothing_for_a_second_is_not_silent():
    world = World().run(10, generators=TWO)
    for _ in range(20):
        world.tick({"g1": good()})
        world.tick({"g2": good()})
        world.tick({})
    assert world.log == []
    world.tick({"g1": dead()}, diagnosis=UNKNOWN)
    world.tick({"g2": good()}, diagnosis=UNKNOWN)
    world.tick({"g1": dead()}, diagnosis=UNKNOWN)
    assert world.of(Freeze), "what was remembered of a generator outlives a second without word of it"


def test_a_generator_that_is_lost_is_no_suspicion_for_ever():
    world = World().run(10, generators=TWO)
    world.tick({"g1": good(), "g2": dead()}, diagnosis=UNKNOWN)
    world.run(10, generators={"g1": good()}, diagnosis=UNKNOWN)
    assert world.state.stance is Stance.NORMAL


def test_another_phase_is_another_habit():
    world = World().run(10, generators=TWO)
    world.terms = replace(TERMS, phase="uploads")
    world.run(8, generators={"g1": dead(10.0)}, diagnosis=UNKNOWN)  # large ones: the first answers take their time
    assert world.log == []


@pytest.mark.parametrize("timeout_s", [10, 30])
@pytest.mark.parametrize("step_s", [1, 5, 20])
def test_a_ramp_into_saturation_never_freezes(step_s, timeout_s):
    """A queue before 1000 answers per second; whoever waited longer than the timeout is gone when his turn comes."""
    world, rate, waiting = World(), 600.0, 0.0
    for second in range(400):
        rate += 75.0 if second % step_s == 0 else 0.0
        waiting += rate
        wait_s = waiting / 1000.0
        ok = min(waiting, 1000.0) if wait_s < timeout_s else 0.0
        lost = waiting - 1000.0 * timeout_s if wait_s >= timeout_s else 0.0
        waiting -= ok + lost + (1000.0 if lost else 0.0)
        failed = {ErrorClass.TIMEOUT: lost} if lost else {}
        one = good(rate, ok=ok, failed=failed, in_flight=waiting, p50_ms=10 + 1000 * wait_s if ok else None)
        world.tick({"g1": one}, diagnosis=UNKNOWN)
    assert not world.of(Freeze)
    assert world.of(Suspected)  # it did fall silent in the end: without the slowing it would have been frozen


def test_our_own_fault_freezes_nothing_and_its_echo_neither():
    world = World(terms=replace(TERMS, hurting=("kill-balancer",))).run(10, generators=TWO)
    world.run(30, generators={"g1": dead(), "g2": dead()}, diagnosis=UNKNOWN)
    assert not world.of(Freeze)
    assert "kill-balancer" in world.of(Suspected)[0].says
    assert len(world.of(Verdict)) == 1
    world.terms = TERMS
    world.run(9, generators={"g1": dead(), "g2": dead()}, diagnosis=UNKNOWN)
    assert not world.of(Freeze)
    world.run(4, generators={"g1": dead(), "g2": dead()}, diagnosis=UNKNOWN)
    assert not world.of(Freeze), "what is usual is learnt anew: silence from the first second on is not an onset"


def test_a_protection_that_acts_during_our_own_fault_freezes():
    world = World(terms=replace(TERMS, hurting=("kill-volume",)))
    dropped(world, HOLE, 5)
    assert world.of(Freeze)


@pytest.mark.parametrize("cause", [Cause.BALANCER_HUNG, Cause.BACKENDS_DOWN, Cause.GENERATOR_EXHAUSTED])
def test_what_is_the_targets_doing_or_ours_is_told_and_the_load_goes_on(cause):
    world = dropped(World(), said(cause, 10.3), seconds=20)
    assert not world.of(Freeze)
    assert len(world.of(Suspected)) == 1
    assert [verdict.diagnosis.cause for verdict in world.of(Verdict)] == [cause]


def test_what_stands_is_told_once_though_nobody_is_silent():
    world = World().run(10, generators=TWO)
    throttled = said(Cause.APPLICATION_THROTTLE, 10.3)
    world.run(4, generators=TWO, diagnosis=throttled)
    assert world.log == []
    world.run(30, generators=TWO, diagnosis=throttled)
    world.run(30, generators=TWO)
    world.run(30, generators=TWO, diagnosis=throttled)
    assert [type(action) for _, action in world.log] == [Verdict]


def test_a_protection_without_silence_freezes_too_only_later():
    world = World().run(10, generators=TWO)
    world.run(8, generators=TWO, diagnosis=said(Cause.POLICER, 10.0))
    assert world.when(Freeze) == [15.0]


def test_watching_tells_and_does_nothing():
    world = World(terms=replace(TERMS, act="watch"))
    dropped(world, HOLE, 60)
    assert {type(action) for _, action in world.log} == {Suspected, Verdict}
    assert len(world.log) == 2


def test_the_whole_way_to_half_the_load():
    world = World(terms=replace(TERMS, resume=0.8), reach_of=silent_at_door(100.0))
    dropped(world, HOLE, 2)
    world.run(400, diagnosis=HOLE)
    kinds = [type(action) for _, action in world.log if not isinstance(action, Ask)]
    assert kinds == [Suspected, Freeze, Verdict, Recovered, Resume]
    assert world.of(Freeze)[0].onset_ns == BEGAN + round(10.3 * S)
    assert world.of(Resume)[0].part == 0.5, "never above half, whatever the campaign says"
    over = world.of(Recovered)[0]
    assert over.hold_s - over.quantum_s <= 89.7 <= over.hold_s
    assert world.state.stance is Stance.NORMAL
    again = dropped(World(terms=world.terms, state=world.state, at_s=world.at_s), UNKNOWN, 2)
    assert again.of(Freeze)
    again.run(300, diagnosis=UNKNOWN)
    assert not again.of(Resume)
    assert "trigger" in again.of(GiveUp)[0].says


def test_canaries_come_at_longer_and_longer_gaps_while_it_holds():
    world = World(reach_of=silent_at_door(9999.0))
    dropped(world, HOLE, 2)
    world.run(600, diagnosis=HOLE)
    told = world.when(Verdict)[0]
    canaries = [at - told for at, action in world.log if isinstance(action, Ask) and at > told]
    assert canaries == [15.0, 45.0, 105.0, 225.0, 345.0, 465.0, 585.0]


def test_it_is_given_up_in_the_end():
    world = World(terms=replace(TERMS, hold_max_s=300.0, resume=0.5), reach_of=silent_at_door(9999.0))
    dropped(world, HOLE, 2)
    world.run(400, diagnosis=HOLE)
    assert world.when(GiveUp) == [world.when(Freeze)[0] + 300.0]
    done = len(world.log)
    world.run(100, generators=TWO, diagnosis=HOLE)
    assert len(world.log) == done


@pytest.mark.parametrize(
    ("change", "word"), [({"resume": 0.0}, "mitigation.resume"), ({"may_resume": False, "resume": 0.5}, "permit")]
)
def test_nothing_is_resumed_without_the_word(change, word):
    world = World(terms=replace(TERMS, **change), reach_of=silent_at_door(50.0))
    dropped(world, HOLE, 2)
    world.run(400, diagnosis=HOLE)
    assert world.of(Recovered)
    assert not world.of(Resume)
    assert word in world.of(GiveUp)[0].says


def test_twice_the_time_that_it_took_to_act_must_pass_well():
    worlds = [World(terms=replace(TERMS, detect_s=detect_s), reach_of=silent_at_door(50.0)) for detect_s in (5.0, 90.0)]
    for world in worlds:
        dropped(world, HOLE, 2).run(600, diagnosis=HOLE)
    quick, slow = (world.when(Recovered)[0] for world in worlds)
    assert slow - quick == 120.0


def test_a_door_that_answers_while_control_does_not_is_not_over():
    world = World(terms=replace(TERMS, resume=0.5))
    world.reach_of = lambda question, at_s: Reach.TIMEOUT if question.endpoint == "control" else Reach.ANSWERED
    dropped(world, HOLE, 2).run(900, diagnosis=HOLE)
    assert not world.of(Recovered)


def test_who_was_never_answered_is_not_waited_for():
    world = World(terms=replace(TERMS, resume=0.5))
    world.reach_of = lambda question, at_s: Reach.TIMEOUT if question.who == "ext" else Reach.ANSWERED
    lookout = replace(sentinel("ext", 3.0, Reach.TIMEOUT), question=Question(Vantage.EXTERNAL, "ext", "vip"))
    world.tick(TWO, [lookout])
    dropped(world, HOLE, 2).run(200, diagnosis=HOLE)
    assert world.of(Recovered)


def test_a_false_alarm_is_short_and_counts_as_no_mitigation():
    world = World(terms=replace(TERMS, resume=0.5))
    dropped(world, UNKNOWN, 2)
    world.run(60, diagnosis=said(Cause.BACKENDS_DOWN, 10.3))
    assert world.of(Resume)
    assert world.when(Resume)[0] - world.when(Freeze)[0] <= 25
    assert world.state.stops == 0


def test_without_anybody_to_ask_it_ends_with_what_is_known():
    world = World(terms=replace(TERMS, askers=(), resume=0.5))
    dropped(world, HOLE, 2).run(60, diagnosis=HOLE)
    assert [type(action) for _, action in world.log] == [Suspected, Freeze, Verdict, GiveUp]


def test_what_the_network_says_later_makes_an_unknown_verdict_known_once():
    world = World(reach_of=silent_at_door(9999.0))
    dropped(world, UNKNOWN, 2).run(30, diagnosis=UNKNOWN)
    world.run(10, diagnosis=HOLE).run(10, diagnosis=said(Cause.LINK_DOWN, 10.3))
    assert [verdict.diagnosis.cause for verdict in world.of(Verdict)] == [None, Cause.VIP_BLACK_HOLE]


def test_what_tells_two_causes_apart_is_asked_first_and_then_everybody():
    telling = Question(Vantage.IDLE, "g2", "control")
    world = World()
    unsure = replace(UNKNOWN, separate=telling)
    dropped(world, unsure, 2).run(14, diagnosis=unsure)
    asked = [action.question for action in world.of(Ask)]
    assert asked[0] == telling
    assert {question.who for question in asked} == {asker.who for asker in ASKERS}
    assert any(question.large for question in asked)
    assert asked.count(telling) == 2


def test_a_question_that_is_not_ours_to_ask_is_never_asked():
    world = World()
    unsure = replace(UNKNOWN, separate=Question(Vantage.EXTERNAL, "stranger", "elsewhere"))
    dropped(world, unsure, 2).run(30, diagnosis=unsure)
    assert "stranger" not in {action.question.who for action in world.of(Ask)}
