"""The link guard in a simulated network: who is cut, how soon there is relief, who comes back, when it falls silent."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_world import CORE, CROSSES, GBIT, GENERATORS, T0, UP1, UP2, S, World, direction

from maul.guard.canary import CanaryBaseline
from maul.guard.link_trouble import Background, Trouble
from maul.guard.links import CUT, RISE, CanaryTerms, LinkTerms, NetworkLook, begin, decide_links
from maul.guard.network_words import CanaryReading, Freeze, LinkReading, SetParts, Tell, Thaw
from maul.guard.watch import StopRun


def after(change_s: int, before: float, then: float, until_s: int = 10**9):  # type: ignore[no-untyped-def]
    return lambda second: then if change_s <= second < until_s else before


def test_as_planned_nothing_happens() -> None:
    world = World(noise=0.02).run(120)
    assert world.actions == []
    assert world.parts[-1] == dict.fromkeys(GENERATORS, 1.0)


def test_an_uplink_is_halved_and_only_its_rack_is_cut() -> None:
    world = World(each_bps=2 * GBIT, capacity={UP1: after(20, 10 * GBIT, 4 * GBIT)}, noise=0.01).run(120)
    # 4 of ours and 1 of others into 4: one second of it may pass, one for the counters, one to be heeded
    assert world.ever_cut() == {"g1", "g2"}
    assert world.relieved_after(UP1, 20, 4 * GBIT) <= 3
    assert world.cuts()[0][1].reason in {"canary", Trouble.DISCARDS}
    assert world.customers_hurt[-1] <= 23, "it does not creep back to where frames were lost"
    first = world.cuts()[0][1]
    assert UP1 in first.says or "shop" in first.says
    assert all("g1" in cut.says for _, cut in world.cuts())


def test_the_canary_alone_names_everybody_on_its_path_and_discards_only_the_link() -> None:
    world = World(each_bps=2 * GBIT, capacity={UP1: after(20, 10 * GBIT, 4 * GBIT)})
    world.terms = LinkTerms(world.terms.directions, GENERATORS, world.terms.background, {}, S)
    world.run(60)
    at, cut = world.cuts()[0]
    assert (at, cut.reason, set(cut.parts)) == (20, Trouble.DISCARDS, {"g1", "g2"})
    assert cut.parts == {"g1": CUT, "g2": CUT}
    assert cut.details["link"] == UP1


def test_a_background_surge() -> None:
    surge = {UP1: after(20, GBIT, 5.5 * GBIT, 60)}
    world = World(each_bps=1.5 * GBIT, background=surge, noise=0.01).run(160)
    assert world.ever_cut() == {"g1", "g2"}
    assert world.relieved_after(UP1, 20, 6.2 * GBIT) <= 9
    assert world.parts[59]["g1"] < 0.5
    assert world.parts[-1] == dict.fromkeys(GENERATORS, 1.0), "when it is over everybody is back"
    assert world.customers_hurt == []


def test_a_link_goes_down_and_those_without_another_way_are_silent_until_it_is_back() -> None:
    world = World(down=lambda second: frozenset({UP1}) if 20 <= second < 40 else frozenset()).run(140)
    at, cut = next((at, cut) for at, cut in world.cuts() if cut.reason == Trouble.DOWN)
    assert (at, cut.parts) == (20, {"g1": 0.0, "g2": 0.0})
    assert all(parts["g1"] == 0.0 for parts in world.parts[22:40])
    assert world.parts[-1] == dict.fromkeys(GENERATORS, 1.0)


def test_stale_telemetry_freezes_then_stops() -> None:
    world = World(profile=lambda second: min(1.0, 0.2 + second / 100), stale=lambda second: second >= 30).run(60)
    kinds = [(at, type(one)) for at, one in world.actions if not isinstance(one, SetParts)]
    # the last reading came at 30; it is more than three polls old at 34, more than five at 36
    assert kinds == [(33, Freeze), (35, StopRun)]
    assert sum(world.seen[-1].values()) == 3 * world.plan_background, "silence"
    frozen = [sum(GBIT * parts[one] for one in GENERATORS) * world.profile(i) for i, parts in enumerate(world.parts)]
    assert frozen[35] <= frozen[33] * 1.021


def test_a_hiccup_of_the_telemetry_thaws() -> None:
    world = World(profile=lambda second: min(1.0, second / 100), stale=lambda second: 30 <= second < 34).run(60)
    assert [type(one) for _, one in world.actions if not isinstance(one, SetParts)] == [Freeze, Thaw]
    assert world.parts[-1] == dict.fromkeys(GENERATORS, 1.0)


def test_more_than_predicted_is_told_then_cut_once() -> None:
    surge = {UP1: after(20, GBIT, 3 * GBIT)}
    world = World(each_bps=GBIT, background=surge).run(120)
    found = [(at, type(one), getattr(one, "reason", "")) for at, one in world.actions if getattr(one, "says", "")]
    assert found == [(21, Tell, Trouble.SURPRISE), (24, SetParts, Trouble.SURPRISE)]
    assert world.ever_cut() == {"g1", "g2"}
    assert world.parts[-1]["g1"] > 0.5, "below the cap nobody is kept down for it"


def test_a_slow_source_is_given_its_time() -> None:
    world = World(each_bps=2 * GBIT, every=15, capacity={UP1: after(50, 10 * GBIT, 4 * GBIT)})
    world.terms = LinkTerms(world.terms.directions, GENERATORS, world.terms.background, {}, 15 * S)
    world.run(300)
    assert not any(isinstance(one, Freeze | StopRun) for _, one in world.actions)
    assert world.ever_cut() == {"g1", "g2"}
    assert world.relieved_after(UP1, 50, 4 * GBIT) <= 12


def test_customers_are_faster_than_slow_counters() -> None:
    """Nobody knows yet which link it is: all on the customers' path give way."""
    world = World(each_bps=2 * GBIT, every=15, capacity={UP1: after(46, 10 * GBIT, 4 * GBIT)}).run(60)
    assert world.cuts()[0][1].reason == "canary"
    assert world.relieved_after(UP1, 46, 4 * GBIT) <= 2


def test_planned_load_above_the_hold_line_is_not_touched() -> None:
    """The plan may fill a link up to its cap: holding is for those who come back after a cut."""
    world = World(each_bps=2.4 * GBIT, plan_background=GBIT, noise=0.01).run(60)
    assert world.actions == []


def test_a_reading_is_judged_by_what_was_sent_then() -> None:
    """When the profile falls at once, the counters still speak of before: no surprise."""
    world = World(each_bps=2 * GBIT, every=5, profile=after(40, 1.0, 0.05)).run(100)
    assert world.actions == []


def test_discards_from_before_are_not_ours() -> None:
    terms = World().terms
    terms = LinkTerms(terms.directions, GENERATORS, {UP1: Background(GBIT, GBIT, 100.0)})
    state = begin(terms, T0)
    for lost, expected in ((140.0, 0), (160.0, 1)):
        look = NetworkLook(T0 + S, {UP1: LinkReading(T0 + S, 2 * GBIT, lost, True)})
        assert len(decide_links(state, look, terms)[1]) == expected


def test_a_link_of_our_own_may_lose_frames() -> None:
    own = direction(UP1, GBIT)
    own = type(own)(**{**{name: getattr(own, name) for name in own.__slots__}, "shared": False})
    terms = LinkTerms({UP1: own}, GENERATORS, {})
    look = NetworkLook(T0 + S, {UP1: LinkReading(T0 + S, 2 * GBIT, 1e4, True)})
    assert decide_links(begin(terms, T0), look, terms)[1] == ()


knobs = st.builds(
    lambda start, length, factor: (start, length, factor),
    st.integers(5, 40),
    st.integers(1, 60),
    st.floats(0.1, 6.0),
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(CROSSES)), knobs, max_size=3),
    st.floats(0.2, 2.3),
    st.sampled_from([1, 2, 5]),
    st.integers(0, 1000),
)
def test_whatever_comes(surges: dict[str, tuple[int, int, float]], each: float, every: int, seed: int) -> None:
    """Scope, bounds, the shape of AIMD, recovery."""
    background = {
        name: after(start, GBIT, factor * GBIT, start + length) for name, (start, length, factor) in surges.items()
    }
    world = World(each_bps=each * GBIT, background=background, every=every, noise=0.01, seed=seed)
    world.terms = LinkTerms(world.terms.directions, GENERATORS, world.terms.background, {}, every * S)
    world.run(100)
    told = dict.fromkeys(GENERATORS, 1.0)
    for _, action in world.actions:
        assert isinstance(action, SetParts | Tell)
        if isinstance(action, Tell):
            continue
        for name, part in action.parts.items():
            assert 0.0 <= part <= 1.0
            down, up = told[name] * CUT, min(1.0, told[name] + RISE)
            assert part == pytest.approx(up) or part == pytest.approx(down if down >= 0.01 else 0.0)
        if action.says:
            assert set(action.parts) <= set(CROSSES[action.details["link"]])
        told |= action.parts
    touched = {name for link in surges for name in CROSSES[link]}
    assert world.ever_cut() <= touched


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([UP1, UP2]), st.integers(1, 40), st.floats(3.0, 6.0))
def test_everybody_is_back_when_the_heat_is_over(link: str, length: int, factor: float) -> None:
    world = World(each_bps=GBIT, background={link: after(10, GBIT, factor * GBIT, 10 + length)})
    world.terms = LinkTerms(world.terms.directions, GENERATORS, world.terms.background, {}, S)
    world.run(10 + length + 80)
    assert world.parts[-1] == dict.fromkeys(GENERATORS, 1.0)


def test_a_link_that_stays_too_small_is_tried_ever_more_rarely() -> None:
    world = (
        World(each_bps=2 * GBIT, capacity={UP1: after(20, 10 * GBIT, 3 * GBIT)}, cap_background=None) if False else None
    )
    world = World(each_bps=2 * GBIT, capacity={UP1: after(20, 10 * GBIT, 3 * GBIT)})
    world.terms = LinkTerms(world.terms.directions, GENERATORS, world.terms.background, {}, S)
    world.run(3600)
    times = [at for at, cut in world.cuts() if at > 30]
    assert 2 <= len(times) <= 4
    gaps = [b - a for a, b in pairwise(times)]
    assert all(b >= a for a, b in pairwise(gaps))


def test_the_core_is_everybodys() -> None:
    world = World(each_bps=2 * GBIT, background={CORE: after(10, GBIT, 8 * GBIT)}).run(60)
    assert world.ever_cut() == set(GENERATORS)


def test_who_is_still_slow_once_a_cut_can_have_shown_is_cut_at_the_first_reading_of_it() -> None:
    """Not at the second: the harm that was called while the cut was on its way does not start the count anew."""
    canaries = {"shop": CanaryTerms(frozenset({UP1}), CanaryBaseline(0.3, 0.0, 1000))}
    terms = LinkTerms({UP1: direction(UP1, GBIT)}, GENERATORS, {}, canaries, S)
    state, cut_at, told_at = begin(terms, T0), [], []
    for second in range(1, 10):
        at_ns = T0 + second * S
        reading = CanaryReading(at_ns, 50, 0.0, 9.0 if second <= 8 else 0.3)
        state, actions = decide_links(state, NetworkLook(at_ns, canaries={"shop": [reading]}), terms)
        cut_at += [second for action in actions if isinstance(action, SetParts) and action.says]
        told_at += [second for action in actions if isinstance(action, Tell)]
    # of a cut at 2 s a reading tells whose whole second lies 1.5 s later: that of 5 s
    assert (cut_at, told_at) == ([2, 5, 8], [4, 7])
