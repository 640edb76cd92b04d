"""Who is there, and who takes over from whom: within every ceiling, under every cap; the rest is held, and said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.plan.fleet_model import FleetPlan, GeneratorPlan, LinkLoad, Load
from maul.plan.muster import Crossing, Muster, Post, muster, take_over, without

LOAD = Load(requests_per_s=1000.0)


def even(count: int, ceiling: float | None = None, width: int = 100, **more) -> Muster:
    """So many agents of equal widths."""
    posts = tuple(Post(f"a{place}", place * width, width, 1, ceiling) for place in range(count))
    return Muster(count * width, posts, LOAD, **more)


def test_three_of_four_take_a_third_each():
    cut = take_over(even(4), even(4).posts[1], 99)
    assert [(post.name, post.first, post.width) for post in cut.taken] == [
        ("a0", 100, 34), ("a2", 134, 33), ("a3", 167, 33),
    ]  # fmt: skip
    assert (cut.held, cut.why_held) == (0, "")


def test_ceilings_leave_in_proportion_and_hold_the_rest():
    # 4 x 250/s; a ceiling of 300/s leaves 50/s to each of three: 20 places each, 40 stay unsent
    there = even(4, ceiling=300.0)
    cut = take_over(there, there.posts[0], 99)
    assert [post.width for post in cut.taken] == [20, 20, 20]
    assert cut.held == 40 and cut.why_held == "the agents that are left have met their ceilings"


def test_who_has_more_room_takes_more():
    posts = (
        Post("gone", 0, 60),
        Post("full", 60, 20, 1, 200.0),
        Post("half", 80, 10, 1, 200.0),
        Post("idle", 90, 10, 1, 400.0),
    )
    cut = take_over(Muster(100, posts, LOAD), posts[0], 99)
    assert {post.name: post.width for post in cut.taken} == {"half": 10, "idle": 30} and cut.held == 20


def test_a_link_that_would_be_full_holds_its_agents_and_the_others_go_on():
    # one place brings 1 Mbit/s; the uplink of a1 and a2 has room for 30 places more than they send
    uplink = Crossing("tor-r1:up>spine:dn", 230e6, {"a1": 1e6, "a2": 1e6})
    there = even(4, links=(uplink,))
    cut = take_over(there, there.posts[0], 99)
    assert {post.name: post.width for post in cut.taken} == {"a1": 15, "a2": 15, "a3": 70} and cut.held == 0
    both = even(3, links=(uplink,))
    cut = take_over(both, both.posts[0], 99)
    assert cut.held == 70 and cut.why_held == "tor-r1:up>spine:dn would be fuller than its cap allows"


def test_a_link_that_is_too_full_already_gets_nothing_more():
    there = even(2, links=(Crossing("up", 50e6, {"a1": 1e6}),))
    assert take_over(there, there.posts[0], 99).held == 100


def test_nobody_is_left():
    cut = take_over(even(1), even(1).posts[0], 99)
    assert (cut.taken, cut.held, cut.why_held) == ((), 100, "no agent is left")


def test_no_more_take_part_than_there_are_connections_to_share():
    there = even(5)
    cut = take_over(there, there.posts[0], 2)
    assert len(cut.taken) == 2 and sum(post.width for post in cut.taken) == 100


def test_who_took_over_before_has_less_room_for_the_next():
    there = even(3, ceiling=500.0)  # room for 50 places each
    first = take_over(there, there.posts[0], 99)
    assert [post.width for post in first.taken] == [50, 50]
    later = without(there, {"a0"})
    assert [(post.first, post.width) for post in later.posts] == [(0, 150), (150, 150)]
    assert take_over(later, later.posts[0], 99).held == 150


def test_without_redistribution_the_lost_part_stays_unsent():
    later = without(even(4, redistribute=False), {"a1", "a2"})
    assert [(post.name, post.first, post.width) for post in later.posts] == [("a0", 0, 100), ("a3", 100, 100)]
    assert later.held == 200
    assert without(even(4), {"a0", "a1", "a2", "a3"}).posts == ()


def test_it_reads_the_plan():
    generators = [
        GeneratorPlan(
            name=name,
            host=name,
            rack="r1",
            first=first,
            width=width,
            load=Load(sent_bps=width * 8e5, received_bps=width * 4e5),
            requests_ceiling_per_s=top,
        )
        for name, first, width, top in (("b1", 0, 30, 900.0), ("b2", 30, 10, None))
    ]
    link = LinkLoad(
        name="x>y", capacity_bps=1e9, background_bps=1e8, shared=True, cap=0.6, ours_bps=4e7, worst_bps=0,
        worst_when=None, up={"b1": 1.0, "b2": 1.0}, down={"b1": 0.5, "b2": 0.5},
    )  # fmt: skip
    plan = FleetPlan(wheel=40, generators=tuple(generators), links=(link,), load=LOAD, on_loss="hold")
    there = muster(plan, {"b1": 8}, {"b1": 700.0, "b2": 100.0})
    assert [(post.cores, post.ceiling_per_s, post.host) for post in there.posts] == [(8, 700.0, "b1"), (1, 100.0, "b2")]
    (crossing,) = there.links
    assert crossing.ours_bps_max == pytest.approx(5e8)
    assert not there.redistribute and there.held == 0
    # 40 places are too few to be cut: there are 250 times as many, each a 250th
    assert there.wheel == 10_000 and [(post.first, post.width) for post in there.posts] == [(0, 7500), (7500, 2500)]
    assert crossing.per_place_bps == {"b1": pytest.approx(4e3), "b2": pytest.approx(4e3)}


@st.composite
def fleets(draw):
    count = draw(st.integers(1, 8))
    widths = draw(st.lists(st.integers(1, 200), min_size=count, max_size=count))
    held = draw(st.integers(0, 50))
    wheel = sum(widths) + held
    posts, at = [], 0
    for place, width in enumerate(widths):
        ceiling = draw(st.none() | st.floats(0, 3).map(lambda part, w=width: part * 1000 * w / wheel))
        posts.append(Post(f"a{place}", at, width, 1, ceiling))
        at += width
    links = []
    for number in range(draw(st.integers(0, 4))):
        crossing = draw(st.sets(st.sampled_from([post.name for post in posts])))
        per_place = {name: draw(st.floats(1e3, 1e6)) for name in sorted(crossing)}
        ours = sum(per_place[post.name] * post.width for post in posts if post.name in per_place)
        links.append(Crossing(f"l{number}", ours * draw(st.floats(0.5, 2)), per_place))
    return Muster(wheel, tuple(posts), LOAD, tuple(links))


@given(there=fleets(), data=st.data())
def test_no_cut_breaks_a_ceiling_or_a_cap_and_every_place_is_taken_once_or_held(there, data):
    gone = data.draw(st.sampled_from(there.posts))
    cut = take_over(there, gone, data.draw(st.integers(1, 9)))
    places = [place for post in cut.taken for place in range(post.first, post.first + post.width)]
    assert len(places) == len(set(places)) and set(places) <= set(range(gone.first, gone.first + gone.width))
    assert len(places) + cut.held == gone.width and bool(cut.held) == bool(cut.why_held)
    more = {post.name: post.width for post in cut.taken}
    rest = [post for post in there.posts if post != gone]
    for post in rest:
        own = 1000 * (post.width + more.get(post.name, 0)) / there.wheel
        grew = more.get(post.name, 0) > 0
        assert not grew or post.ceiling_per_s is None or own <= post.ceiling_per_s * (1 + 1e-9)
    for link in there.links:
        used = sum(link.per_place_bps.get(post.name, 0) * (post.width + more.get(post.name, 0)) for post in rest)
        grew = any(more.get(name) for name in link.per_place_bps)
        assert not grew or used <= link.ours_bps_max * (1 + 1e-6)


@given(there=fleets(), data=st.data())
def test_what_is_left_sends_no_more_than_before_and_its_intervals_lie_side_by_side(there, data):
    lost = data.draw(st.sets(st.sampled_from(there.names)))
    later = without(there, lost)
    assert set(later.names) == set(there.names) - lost
    at = 0
    for post in later.posts:
        assert post.first == at and post.width >= there.post(post.name).width
        at += post.width
    assert at <= there.wheel and later.wheel == there.wheel
