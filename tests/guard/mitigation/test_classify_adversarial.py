"""What looks like a cause and is none; two at once; half of it; bad clocks; missing seconds."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from play_world import LOST, NS, OK, PUBLIC, START_NS, Exchange, Fate, Setup, play, terms_of
from played_causes import plays, towards

from maul.core.vantage import Attempt, Reach, Vantage
from maul.guard.mitigation.causes import Cause, Family
from maul.guard.mitigation.classify import classify
from maul.guard.mitigation.confusion import EVERY, blinded
from maul.guard.mitigation.diagnosis import Diagnosis
from maul.guard.mitigation.signals import GeneratorSecond, Second
from maul.guard.mitigation.terms import ClassifyTerms

SIGHTS = [frozenset(gone) for count in (0, 1, 7) for gone in combinations(Vantage, count)]


def _each(seconds: Sequence[Second], terms: ClassifyTerms, start: int = 10) -> list[Diagnosis]:
    return [classify(seconds[: index + 1], terms) for index in range(start, len(seconds))]


def _causes(seconds: Sequence[Second], terms: ClassifyTerms) -> set[Cause]:
    return {one.cause for one in _each(seconds, terms) if one.cause is not None}


def test_nothing_is_wrong() -> None:
    setup = Setup(freeze_s=None, seed=11)
    for rate in (2.0, 30.0, 200.0):
        seconds = play(replace(setup, rate=rate))
        assert all(one.healthy for one in _each(seconds, terms_of(setup)))


def test_one_burst_of_timeouts_is_no_cause() -> None:
    def burst(one: Exchange, rng: random.Random) -> Fate:
        return LOST if one.at_s < 0.6 and one.door == "vip" and rng.random() < 0.5 else OK

    setup = Setup(play=burst, freeze_s=None)
    for gone in SIGHTS:
        seen, told = blinded(play(setup), terms_of(setup), gone)
        assert _causes(seen, told) == set()
    long = replace(setup, after_s=60)
    assert classify(play(long), terms_of(long)).healthy


@pytest.mark.parametrize("everybody", [True, False])
def test_a_generator_that_stands_still_is_not_the_target(everybody: bool) -> None:
    """A pause of three seconds: what is due waits, nothing is in flight."""
    setup = Setup(freeze_s=None, after_s=20)
    seconds = play(setup)
    for index in range(15, 18):
        for name in ("gen1", "gen2", "gen3", "gen4") if everybody else ("gen2",):
            before = seconds[index].generators[name]
            paused = GeneratorSecond(before.rack, 30, backlog=30.0 * (index - 14), in_flight=2, connections=20)
            generators = {**seconds[index].generators, name: paused}
            seconds[index] = replace(seconds[index], generators=generators)
    for gone in SIGHTS:
        seen, told = blinded(seconds[:18], terms_of(setup), gone)
        said = _each(seen, told, 14)
        assert {one.cause for one in said} == {None}
    if everybody:
        assert "stood still" in classify(seconds[:18], terms_of(setup)).says


def test_flapping_is_one_thing_and_accuses_nobody_wrongly() -> None:
    """Two seconds dead, one alive, again and again, for everybody and at every door: no protection does that."""

    def flap(one: Exchange, rng: random.Random) -> Fate:
        return LOST if one.at_s % 3 < 2 and one.door in {*PUBLIC, "private"} else OK

    setup = Setup(play=flap, freeze_s=None, after_s=40)
    for gone in SIGHTS:
        seen, told = blinded(play(setup), terms_of(setup), gone)
        assert all(cause.family is not Family.PROTECTION for cause in _causes(seen, told)), gone


def test_half_recovered_keeps_its_onset() -> None:
    def half(one: Exchange, rng: random.Random) -> Fate:
        if one.door != "vip" or one.at_s > 20:
            return OK
        return LOST if one.at_s < 8 or one.kind == "external" or rng.random() < 0.5 else OK

    setup = Setup(play=half, freeze_s=None, after_s=40)
    onsets = {one.onset_ns for one in _each(play(setup), terms_of(setup), 17) if not one.healthy}
    assert onsets == {START_NS + 15 * NS}


def test_it_came_back_and_is_past_after_a_while() -> None:
    setup = Setup(play=towards({"vip"}, until_s=8), freeze_s=None, after_s=60)
    said = _each(play(setup), terms_of(setup))
    assert said[-1].healthy
    assert not said[16].healthy


def test_two_at_once_is_never_a_third() -> None:
    """The link of a rack dies while the address is dropped for all: one of them, or unknown."""
    by_name = {setup.name: setup for setup in plays()}
    hole, cut = by_name["vip-black-hole: silent"], by_name["link-down: of a rack"]

    def both(one: Exchange, rng: random.Random) -> Fate:
        first = hole.play(one, rng)
        return cut.play(one, rng) if first.word == "ok" else first

    setup = replace(hole, play=both, links=cut.links)
    for gone in SIGHTS:
        seen, told = blinded(play(setup), terms_of(setup), gone)
        assert _causes(seen, told) <= {Cause.VIP_BLACK_HOLE, Cause.LINK_DOWN}, gone


def test_rejections_in_a_black_hole_of_others_do_not_hide_it() -> None:
    """Two generators get 503, two get nothing: not a throttle, and not a black hole of the address."""

    def mixed(one: Exchange, rng: random.Random) -> Fate:
        if one.kind != "generator" or one.door != "vip":
            return OK
        return Fate("503") if one.rack == "r1" else LOST

    setup = Setup(play=mixed)
    assert _causes(play(setup), terms_of(setup)) <= {Cause.GENERATORS_BANNED}


def _timed_out(attempt: Attempt) -> Attempt:
    return Attempt(attempt.at_ns, attempt.question, Reach.TIMEOUT)


def test_a_control_address_that_never_answered_says_nothing() -> None:
    hole = next(iter(plays()))

    def shut(one: Exchange, rng: random.Random) -> Fate:
        return LOST if one.door in {"control", "vip"} else OK

    setup = replace(hole, play=shut)
    seconds = [
        replace(
            each, attempts=[_timed_out(one) if one.question.endpoint == "control" else one for one in each.attempts]
        )
        for each in play(setup)
    ]
    told = classify(seconds, terms_of(setup))
    assert all("the control address was not" not in says for one in told.ranked for says in one.evidence)


def test_silence_of_our_own_is_no_loss() -> None:
    """Frozen for no reason: the load is silent, everybody is answered."""
    setup = Setup(freeze_s=2)
    assert {one.cause for one in _each(play(setup), terms_of(setup))} == {None}
    assert classify(play(setup), terms_of(setup)).healthy


def test_no_load_at_all_is_judged_by_attempts() -> None:
    hole = next(iter(plays()))
    seconds = [replace(each, generators={}, silent=True) for each in play(replace(hole, freeze_s=0))]
    said = classify(seconds, terms_of(hole))
    assert said.cause in {Cause.VIP_BLACK_HOLE, None}
    assert not said.healthy
    assert said.onset_ns is not None


def test_nothing_seen_is_not_healthy() -> None:
    assert not classify([], ClassifyTerms()).healthy
    assert not classify([Second(START_NS)], ClassifyTerms()).healthy


def test_one_generator_only() -> None:
    hole = replace(next(iter(plays())), generators=(("local", ""),), rate=200.0)
    assert _causes(play(hole), terms_of(hole)) == {Cause.VIP_BLACK_HOLE}
    seen, told = blinded(play(hole), terms_of(hole), EVERY, links=False)
    assert _causes(seen, told) == set()


SETUPS = list(plays())


@settings(max_examples=40, deadline=None)
@given(
    which=st.sampled_from(SETUPS),
    lost=st.sets(st.integers(0, 40), max_size=10),
    skew_s=st.sampled_from([0.0, -2.0, 0.3, 3600.0, -86_400.0]),
    seed=st.integers(0, 1000),
    gone=st.sets(st.sampled_from(list(Vantage))),
)
def test_missing_seconds_and_wrong_clocks_never_accuse(
    which: Setup, lost: set[int], skew_s: float, seed: int, gone: set[Vantage]
) -> None:
    """Whole seconds are missing, and the clocks of those who ask from elsewhere are off."""
    seconds = [
        replace(
            each,
            attempts=[
                replace(one, at_ns=one.at_ns + round(skew_s * NS))
                if one.question.vantage is not Vantage.SENTINEL
                else one
                for one in each.attempts
            ],
        )
        for index, each in enumerate(play(replace(which, seed=seed)))
        if index not in lost
    ]
    seen, told = blinded(seconds, terms_of(which), frozenset(gone))
    assert which.played is not None
    for cause in {classify(seen[:index], told).cause for index in range(14, len(seen) + 1, 5)} - {None}:
        assert cause is not None
        assert cause is which.played or Family.PROTECTION not in {cause.family}, cause


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_nonsense_is_survived(data: st.DataObject) -> None:
    number = st.sampled_from([0.0, 1.0, 5.0, 1e9])
    generator = st.builds(
        GeneratorSecond, due=number, ok=number, in_flight=number, backlog=number, p50_ms=st.none() | number
    )
    second = st.builds(
        Second,
        at_ns=st.integers(0, 10**10),
        generators=st.dictionaries(st.sampled_from("abc"), generator, max_size=3),
        silent=st.booleans(),
    )
    classify(data.draw(st.lists(second, max_size=20)), ClassifyTerms(loaded=["vip"]))
