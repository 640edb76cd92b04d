"""Whatever is seen, heard and said: gentle, bounded, at most one freeze per onset, nothing without permission."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from respond_world import TERMS, UNKNOWN, World, dead, good, said, sentinel

from maul.core.vantage import Question, Reach, Vantage
from maul.guard.mitigation.actions import Ask, Freeze, GiveUp, Recovered, Resume, Verdict
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.respond import ALARMS_MAX, STOPS_MAX

REACHES = st.sampled_from([*Reach, None])
SECONDS = st.sampled_from(["good", "dead", "half", "gone", "stall"])
CAUSES = st.sampled_from([None, *Cause])
QUESTIONS = st.sampled_from(
    [
        None,
        Question(Vantage.IDLE, "g1", "control"),
        Question(Vantage.EXTERNAL, "ext", "vip", 80),
        Question(Vantage.EXTERNAL, "nobody", "vip"),
    ]
)
SPANS = st.lists(st.tuples(st.integers(1, 40), SECONDS, CAUSES, REACHES, QUESTIONS), min_size=1, max_size=12)
TERM = st.fixed_dictionaries(
    {
        "resume": st.sampled_from([0.0, 0.3, 0.5, 0.9]),
        "may_resume": st.booleans(),
        "retrigger": st.booleans(),
        "act": st.sampled_from(["freeze", "freeze", "watch"]),
        "hurting": st.sampled_from([(), (), ("kill",)]),
        "probe_s": st.sampled_from([5.0, 20.0]),
        "recovered_after_s": st.sampled_from([5.0, 60.0]),
        "hold_max_s": st.sampled_from([30.0, 200.0]),
        "other_port": st.sampled_from([0, 80]),
    }
)
SEEN = {
    "good": {"g1": good(), "g2": good()},
    "dead": {"g1": dead(), "g2": dead()},
    "half": {"g1": good(), "g2": dead()},
    "gone": {},
    "stall": {"g1": dead(opened=9.0), "g2": dead(opened=9.0)},
}


def lived(terms, spans, every_s=1.0):
    world = World(terms=replace(TERMS, **terms)).run(10, generators=SEEN["good"])
    for seconds, seen, cause, reach, question in spans:
        world.reach_of = lambda asked, at_s, reach=reach: reach
        for _ in range(seconds):
            diagnosis = replace(said(cause, world.at_s) if cause else UNKNOWN, separate=question)
            attempts = [sentinel("g1", world.at_s, reach)] if reach is not None and not world.frozen else []
            world.tick(SEEN[seen], attempts, diagnosis, every_s)
    return world


@settings(max_examples=150, deadline=None)
@given(TERM, SPANS, st.sampled_from([1.0, 0.5, 1.3]))
def test_gentle_bounded_and_never_without_permission(terms, spans, every_s):
    world = lived(terms, spans, every_s)
    asked = world.when(Ask)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(asked))
    assert all(world.terms.may_ask(action.question) for action in world.of(Ask))

    order = [action for _, action in world.log if not isinstance(action, Ask)]
    frozen = False
    for action in order:
        if isinstance(action, Freeze):
            assert not frozen
            frozen = True
        elif isinstance(action, Resume):
            assert frozen
            assert terms["resume"] > 0
            assert terms["may_resume"]
            assert 0 < action.part <= min(0.5, terms["resume"])
            frozen = False
        elif isinstance(action, Recovered):
            assert frozen
    if terms["act"] == "watch":
        assert not frozen
        assert not asked
    if not terms["retrigger"]:
        assert world.state.stops <= 2
    assert len(world.of(Freeze)) <= STOPS_MAX + ALARMS_MAX + 2
    assert len(world.of(GiveUp)) <= 1
    assert not world.of(GiveUp) or isinstance(world.log[-1][1], GiveUp)


@settings(max_examples=60, deadline=None)
@given(TERM, SPANS)
def test_nobody_asks_while_load_goes(terms, spans):
    world = lived(terms, spans)
    frozen = False
    for _, action in world.log:
        assert not isinstance(action, Ask) or frozen
        frozen = isinstance(action, Freeze) or (frozen and not isinstance(action, Resume | GiveUp))


@settings(max_examples=60, deadline=None)
@given(REACHES, CAUSES, TERM)
def test_a_freeze_comes_to_a_verdict_in_time_and_to_an_end(reach, cause, terms):
    world = lived({**terms, "hurting": (), "act": "freeze"}, [(3, "dead", None, Reach.TIMEOUT, None)])
    frozen_s = world.when(Freeze)[0]
    world.reach_of = lambda asked, at_s: reach
    world.run(700, diagnosis=said(cause, 10.5) if cause else UNKNOWN)
    assert world.when(Verdict)[0] <= frozen_s + terms["probe_s"] + 1
    assert world.of(GiveUp) or world.of(Resume)
    if reach is None or reach is not Reach.ANSWERED:
        assert not world.of(Resume)
