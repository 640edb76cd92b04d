"""The search of the limit against targets that are made up: it ends, and says nothing that they do not do."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maul.plan.search import (
    Answer,
    CoolDown,
    Cooled,
    Done,
    Goal,
    Judged,
    Soak,
    Soaked,
    Trial,
    Tried,
    Why,
    answer,
    next_move,
    rehearse,
)

GOAL = Goal(from_per_s=50, to_per_s=5000)
GOOD, BAD, VOID = Judged.GOOD, Judged.BAD, Judged.VOID


class Steady:
    """Holds everything up to its limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def trial(self, rate: float, seconds: float) -> Judged:
        return GOOD if rate <= self.limit else BAD

    def cool(self, seconds: float) -> tuple[float, bool]:
        return 3.0, True


class Noisy(Steady):
    """One trial in some is bad (or good) by chance."""

    def __init__(self, limit: float, seed: int, share: float) -> None:
        super().__init__(limit)
        self.random, self.share = random.Random(seed), share

    def trial(self, rate: float, seconds: float) -> Judged:
        said = super().trial(rate, seconds)
        if self.random.random() < self.share:
            return BAD if said is GOOD else GOOD
        return said


class Grudging(Steady):
    """After a bad trial it stays bad until it had some rest."""

    def __init__(self, limit: float, rest_s: float) -> None:
        super().__init__(limit)
        self.rest_s, self.hurt_s = rest_s, 0.0

    def trial(self, rate: float, seconds: float) -> Judged:
        if self.hurt_s > 0:
            return BAD
        said = super().trial(rate, seconds)
        self.hurt_s = self.rest_s if said is BAD else 0.0
        return said

    def cool(self, seconds: float) -> tuple[float, bool]:
        took, self.hurt_s = min(seconds, self.rest_s), max(0.0, self.hurt_s - seconds)
        return took, self.hurt_s == 0.0


class Behind(Steady):
    """The generator gives before the target does."""

    def __init__(self, limit: float, ours: float) -> None:
        super().__init__(limit)
        self.ours = ours

    def trial(self, rate: float, seconds: float) -> Judged:
        said = super().trial(rate, seconds)
        return VOID if rate > self.ours else said


class Scripted(Steady):
    """Answers in turn."""

    def __init__(self, *judged: Judged) -> None:
        self.judged = itertools.chain(judged, itertools.repeat(judged[-1]))

    def trial(self, rate: float, seconds: float) -> Judged:
        return next(self.judged)


def search(target: Steady, goal: Goal = GOAL) -> tuple[tuple, Answer]:
    history: tuple = ()
    for _ in range(goal.moves_max + 1):
        move = next_move(goal, history)
        if isinstance(move, Done):
            found = answer(goal, history)
            assert found.why is move.why
            return history, found
        assert goal.from_per_s * goal.soak_share * 0.999 <= move.rate_per_s <= goal.to_per_s
        assert 0 < move.seconds < math.inf
        if isinstance(move, CoolDown):
            took, recovered = target.cool(move.seconds)
            history += (Cooled(move.rate_per_s, took, recovered),)
        elif isinstance(move, Soak):
            history += (Soaked(move.rate_per_s, move.seconds, target.trial(move.rate_per_s, move.seconds)),)
        else:
            history += (Tried(move.rate_per_s, move.seconds, target.trial(move.rate_per_s, move.seconds)),)
    raise AssertionError("it did not end")


goals = st.builds(
    Goal,
    from_per_s=st.floats(0.01, 500),
    to_per_s=st.floats(600, 1e6),
    trial_s=st.floats(0.5, 20),
    confirm_s=st.floats(0.5, 120),
    width=st.floats(0.005, 0.5),
    moves_max=st.just(400),
    seconds_max=st.just(1e9),
)


@given(goal=goals, place=st.floats(0.001, 0.999))
@settings(max_examples=200, deadline=None)
def test_a_steady_target_is_found_within_the_width(goal, place):
    limit = goal.from_per_s * (goal.to_per_s / goal.from_per_s) ** place
    history, found = search(Steady(limit), goal)
    assert (found.why, found.confirmed, found.soak, found.recovered) == (Why.FOUND, True, GOOD, True)
    assert found.lower_per_s <= limit < found.upper_per_s
    assert found.upper_per_s / found.lower_per_s <= (1 + goal.width) * (1 + 1e-6)
    good_s = sum(one.seconds for one in history if isinstance(one, Tried) and one.rate_per_s == found.lower_per_s)
    assert good_s >= goal.confirm_s - 1e-6  # the lower bound had its whole time


@given(limit=st.floats(60, 4900), seed=st.integers(0, 2**32), share=st.floats(0, 0.3))
@settings(max_examples=200, deadline=None)
def test_noise_never_makes_it_endless_or_contradictory(limit, seed, share):
    _, found = search(Noisy(limit, seed, share))
    if found.lower_per_s is not None and found.upper_per_s is not None:
        assert found.lower_per_s < found.upper_per_s
    assert found.why in set(Why) - {Why.STOPPED, Why.GENERATOR, Why.NOT_RECOVERED}


def test_a_bad_moment_early_on_is_taken_back_by_longer_trials():
    """200/s seems bad once, in a short trial; the limit is far above."""
    calls = itertools.count()

    class Hiccup(Steady):
        def trial(self, rate, seconds):
            return BAD if next(calls) == 2 else super().trial(rate, seconds)

    _, found = search(Hiccup(1234.0))
    assert found.why is Why.FOUND
    assert found.lower_per_s <= 1234.0 < found.upper_per_s


@given(limit=st.floats(60, 4900), rest_s=st.floats(0.1, 29))
@settings(max_examples=100, deadline=None)
def test_a_target_that_bears_a_grudge_is_left_alone_until_it_has_recovered(limit, rest_s):
    history, found = search(Grudging(limit, rest_s))
    assert found.lower_per_s <= limit < found.upper_per_s
    for before, after in itertools.pairwise(history):
        if isinstance(before, Tried | Soaked) and before.judged is BAD:
            assert isinstance(after, Cooled)


def test_a_target_that_does_not_recover_ends_the_search():
    history, found = search(Grudging(300.0, rest_s=31.0))
    assert (found.why, found.recovered, found.soak) == (Why.NOT_RECOVERED, False, None)
    assert [type(one) for one in history[-2:]] == [Tried, Cooled]
    assert (found.lower_per_s, found.upper_per_s, found.confirmed) == (200.0, 400.0, False)


def test_a_limit_above_the_ceiling_is_a_lower_bound_and_nothing_else():
    history, found = search(Steady(1e9))
    assert found == Answer(5000.0, None, True, GOOD, None, Why.CEILING)
    assert isinstance(history[-1], Soaked) and history[-1].rate_per_s == 4750.0


def test_a_target_that_never_holds_is_told_after_enough_time_and_not_before():
    history, found = search(Steady(1.0))
    assert (found.why, found.lower_per_s, found.upper_per_s, found.soak) == (Why.FLOOR, None, 50.0, None)
    tried = [one for one in history if isinstance(one, Tried)]
    assert {one.rate_per_s for one in tried} == {50.0}
    assert sum(one.seconds for one in tried) > GOAL.exceed_ratio * GOAL.confirm_s  # one bad moment is no verdict


@given(ours=st.floats(60, 4900))
@settings(max_examples=100, deadline=None)
def test_where_we_are_the_limit_there_is_a_lower_bound_and_no_upper(ours):
    history, found = search(Behind(1e9, ours))
    assert (found.why, found.upper_per_s, found.soak, found.recovered) == (Why.GENERATOR, None, GOOD, None)
    assert found.lower_per_s <= ours < found.lower_per_s * (1 + GOAL.width) * (1 + 1e-6)
    assert not any(isinstance(one, Cooled) for one in history)  # the target was not hurt


def test_void_everywhere_knows_nothing():
    assert search(Behind(1e9, 1.0))[1] == Answer(None, None, True, None, None, Why.GENERATOR)


def test_one_void_trial_is_tried_again():
    history, found = search(Scripted(GOOD, VOID, GOOD))
    assert [one.rate_per_s for one in history[:3]] == [50.0, 100.0, 100.0]
    assert found.why is Why.CEILING


def test_a_target_below_our_own_limit_is_found_although_we_were_the_limit_above():
    _, found = search(Behind(130.0, ours=150.0))
    assert found.why is Why.FOUND
    assert found.lower_per_s <= 130.0 < found.upper_per_s


def test_a_soak_that_fails_is_followed_by_a_look_at_the_recovery():
    class Tires(Steady):
        def trial(self, rate, seconds):
            return BAD if seconds >= 30 else super().trial(rate, seconds)

    history, found = search(Tires(700.0))
    assert (found.why, found.soak, found.recovered) == (Why.FOUND, BAD, True)
    assert [type(one) for one in history[-2:]] == [Soaked, Cooled]
    assert history[-2].rate_per_s == pytest.approx(0.95 * found.lower_per_s, rel=1e-3)


def test_the_time_is_bounded_and_what_is_known_is_told():
    goal = Goal(from_per_s=50, to_per_s=5000, seconds_max=30)
    history, found = search(Steady(700.0), goal)
    assert (found.why, found.confirmed, found.soak) == (Why.OUT_OF_TIME, False, None)
    assert 400.0 <= found.lower_per_s <= 700.0 < found.upper_per_s <= 800.0
    assert sum(one.seconds for one in history) < 30 + goal.confirm_s + goal.cool_down_s


@given(judged=st.lists(st.sampled_from(list(Judged)), min_size=1, max_size=200), moves=st.integers(1, 60))
@settings(max_examples=300, deadline=None)
def test_whatever_a_target_answers_the_search_ends(judged, moves):
    goal = Goal(from_per_s=50, to_per_s=5000, moves_max=moves)
    history, found = search(Scripted(*judged), goal)
    assert len(history) <= moves
    if found.lower_per_s is not None and found.upper_per_s is not None:
        assert found.lower_per_s < found.upper_per_s


def test_what_was_learnt_before_a_stop_is_an_answer():
    history, _ = search(Steady(700.0))
    cut = answer(GOAL, history[:6])
    assert (cut.why, cut.lower_per_s, cut.upper_per_s, cut.confirmed) == (Why.STOPPED, 400.0, 800.0, False)
    assert answer(GOAL, ()) == Answer(None, None, True, None, None, Why.STOPPED)


def test_rare_operations_get_longer_trials():
    goal = Goal(from_per_s=2, to_per_s=100, operations_min=50)
    assert next_move(goal, ()) == Trial(2, 25.0)


def test_the_same_history_is_the_same_move_and_a_rehearsal_is_a_search():
    history, _ = search(Steady(700.0))
    assert rehearse(GOAL, 700.0, cool_down_s=3.0) == history
    assert {next_move(GOAL, history[:5]) for _ in range(3)} == {next_move(GOAL, history[:5])}


def test_on_two_cores_one_axis_takes_three_or_four_minutes():
    for limit in (300.0, 700.0, 1500.0):
        assert 100 < sum(one.seconds for one in rehearse(Goal(from_per_s=50, to_per_s=2000), limit)) < 240


def test_a_rate_that_held_above_one_that_did_not_is_no_lower_bound():
    history = (Tried(50, 20, GOOD), Tried(200, 20, GOOD), Tried(100, 20, BAD), Cooled(50, 3, recovered=True))
    found = answer(GOAL, history)
    assert (found.lower_per_s, found.upper_per_s) == (50, 100)
    assert next_move(GOAL, history) == Trial(70.71, 4.0)
