"""The classifier on a small world in which every cause is played: right, or unknown; never a false accusation."""

import random
from dataclasses import replace
from itertools import combinations

import pytest
from play_world import NS, START_NS, Setup, play, terms_of
from played_causes import plays, saturation

from maul.core.vantage import Vantage
from maul.guard.mitigation.causes import Cause, Family
from maul.guard.mitigation.classify import classify
from maul.guard.mitigation.confusion import EVERY, SIGHTS, Sight, blinded, judge
from maul.guard.mitigation.plays import Play

SETUPS = list(plays())
NAMES = [setup.name for setup in SETUPS]


def _played(setup: Setup) -> Play:
    return Play(setup.played, setup.name, terms_of(setup), START_NS + setup.before_s * NS, play(setup))


def test_every_cause_is_played() -> None:
    assert {setup.played for setup in SETUPS} | {Cause.BALANCER_SATURATED} == set(Cause)


@pytest.mark.parametrize("rate", [15.0, 60.0])
@pytest.mark.parametrize("setup", SETUPS, ids=NAMES)
def test_right_with_all_vantage_points(setup: Setup, rate: float) -> None:
    judged = judge(_played(replace(setup, rate=rate, seed=int(rate))), SIGHTS[0])
    assert judged.said is setup.played
    assert not judged.wrong


@pytest.mark.parametrize("setup", SETUPS, ids=NAMES)
def test_right_or_unknown_with_one_vantage_point_away(setup: Setup) -> None:
    """Never wrong at any second, and mostly right: who always says unknown is never wrong, either."""
    played = _played(replace(setup, seed=7))
    judged = [judge(played, sight) for sight in SIGHTS[:-1]]
    assert [(one.sight.name, one.wrong) for one in judged if one.wrong] == []
    assert sum(one.said is setup.played for one in judged) >= 5


@pytest.mark.parametrize("setup", SETUPS, ids=NAMES)
def test_right_or_unknown_with_any_vantage_points_away(setup: Setup) -> None:
    """Every third of all subsets, each at a few moments; whatever is said is so, and nobody is accused falsely."""
    seconds, terms = play(setup), terms_of(setup)
    subsets = [frozenset(gone) for count in range(len(Vantage) + 1) for gone in combinations(Vantage, count)]
    for gone in subsets[SETUPS.index(setup) % 3 :: 3]:
        seen, told = blinded(seconds, terms, gone, links=len(gone) % 3 != 2)
        for after_s in (3, 9, setup.after_s):
            diagnosis = classify(seen[: setup.before_s + after_s], told)
            assert diagnosis.cause in {setup.played, None}, (gone, after_s, diagnosis)


def test_generators_alone_tell_what_only_they_can() -> None:
    told = {setup.played for setup in SETUPS if judge(_played(setup), SIGHTS[-1]).said is setup.played}
    assert told >= {
        Cause.APPLICATION_THROTTLE,
        Cause.BACKENDS_DOWN,
        Cause.BALANCER_DOWN,
        Cause.GENERATOR_EXHAUSTED,
        Cause.GENERATORS_BANNED,
    }


@pytest.mark.parametrize("growth", [0.015, 0.04, 0.15, 0.5])
@pytest.mark.parametrize(("rate", "freeze_s"), [(20.0, None), (60.0, None), (30.0, 60), (20.0, 30)])
def test_a_ramp_to_saturation_accuses_nobody(growth: float, rate: float, freeze_s: int | None) -> None:
    setup = replace(saturation(int(1000 * growth), growth, rate, freeze_s), after_s=90)
    seconds, terms = play(setup), terms_of(setup)
    subsets = [frozenset(gone) for n in range(8) for gone in combinations(Vantage, n)]
    for gone in (frozenset[Vantage](), EVERY, *random.Random(freeze_s).sample(subsets, 6)):
        seen, told = blinded(seconds, terms, gone, links=len(gone) % 2 == 0)
        for index in range(5, len(seen), 5):
            cause = classify(seen[:index], told).cause
            assert cause is None or cause.family is not Family.PROTECTION, (gone, index, cause)
    if growth <= 0.15 and freeze_s is None:
        assert judge(_played(setup), SIGHTS[0]).said is Cause.BALANCER_SATURATED


def test_without_a_place_it_says_so() -> None:
    setup = SETUPS[0]
    judged = blinded(play(setup), terms_of(setup), EVERY, links=False)
    diagnosis = classify(*judged)
    assert diagnosis.cause is None
    assert "black hole on the way, place unknown" in diagnosis.says
    assert {Vantage.CONTROL, Vantage.IDLE} <= set(diagnosis.missing)
    assert diagnosis.ranked[0].evidence


def test_asks_what_tells_the_two_apart_and_then_knows() -> None:
    setup = next(one for one in SETUPS if one.played is Cause.PORT_DISCARD)
    seconds, terms = play(setup), terms_of(setup)
    before = classify(seconds[: setup.before_s + 3], terms)
    assert before.cause is None
    assert before.separate is not None
    assert (before.separate.vantage, before.separate.port) == (Vantage.IDLE, 80)
    assert "port" in before.separate_says
    after = classify(seconds, terms)
    assert (after.cause, after.separate) == (Cause.PORT_DISCARD, None)
    assert after.scope == ["198.51.100.10 port 8443"]
    assert after.direction == "towards the target"


def test_sight_names_are_unique() -> None:
    assert len({sight.name for sight in SIGHTS}) == len(SIGHTS)
    assert Sight("x", frozenset()).links
