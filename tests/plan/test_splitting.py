"""One plan over many agents: the parts are the whole, nothing twice, nothing not at all, no ceiling exceeded."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_plans import CAMPAIGN, RUN_ID, SITE

from maul import campaign, plan, site
from maul.core.errors import CampaignError, InternalError
from maul.plan import RuntimeState, engine_plan_for
from maul.plan.engine_plan import ClosedArrivals, EnginePlan, OpenArrivals
from maul.plan.fleet_model import Load
from maul.plan.lanes import GENERATION_KEYS, even_shards, lay_lanes
from maul.plan.muster import Muster, Post
from maul.plan.splitting import Gone, agents_max, is_sweep, shares_of, split, take_over_plans

PLAN = plan.build(campaign.parse(CAMPAIGN, "c.yaml"), site.parse(SITE), RUN_ID, 4)
LOAD = Load(requests_per_s=1000.0)


def engine_of(phase: str, **changes) -> EnginePlan:
    """The plan of a phase's first pass, as it begins."""
    found = PLAN.phase(phase)
    state = RuntimeState(epochs_used=4, ephemeral_next={0: 70})
    return engine_plan_for(PLAN, found, found.passes[0], state).model_copy(update=changes)


def limited(engine: EnginePlan, **limits) -> EnginePlan:
    return engine.model_copy(update={"limits": engine.limits.model_copy(update=limits)})


@st.composite
def musters(draw, most=9):
    """Agents of unequal widths and cores; some of the wheel may be held."""
    widths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=most))
    held = draw(st.integers(0, 10))
    posts, at = [], 0
    for number, width in enumerate(widths):
        posts.append(Post(f"a{number}", at, width, draw(st.integers(1, 9))))
        at += width
    return Muster(at + held, tuple(posts), LOAD)


def keys_of(engine: EnginePlan, below: int) -> set[int]:
    """The new keys that an engine may make, below a number."""
    lane, shards, start = engine.keyspace.ephemeral_lane, engine.shards, engine.keyspace.ephemeral_start
    around = lane.count * shards
    return {
        key
        for shard in range(shards)
        for key in range(start + lane.index * shards + shard, below, around)
    }  # fmt: skip


def assert_within(parts, whole: EnginePlan) -> None:
    """No ceiling of all together is above the whole's."""
    for name in ("rate_per_s", "bytes_per_s"):
        together = math.fsum(getattr(part.engine.limits, name) for part in parts)
        assert together <= getattr(whole.limits, name) * (1 + 1e-12), name
    for name in ("in_flight", "connections", "requests", "bytes"):
        assert sum(getattr(part.engine.limits, name) for part in parts) <= getattr(whole.limits, name), name
        assert all(getattr(part.engine.limits, name) >= 1 for part in parts), name
    assert all(part.engine.limits.seconds == whole.limits.seconds for part in parts)


def assert_apart(parts, whole: EnginePlan) -> None:
    """Epochs are nobody else's; each engine has a thread for what it has, and no more."""
    epochs = [part.engine.epoch for part in parts]
    assert epochs == list(range(whole.epoch, whole.epoch + len(parts)))
    for part in parts:
        limits = part.engine.limits
        assert 1 <= part.engine.shards <= min(limits.in_flight, limits.connections, part.post.cores)


@given(there=musters(), shards=st.integers(1, 8))
@settings(max_examples=150, deadline=None)
def test_the_parts_of_a_paced_load_are_its_arrivals_each_once(there, shards):
    whole = limited(engine_of("calm", shards=shards), in_flight=64, connections=128)
    parts = split(whole, there)
    taken = [0] * there.wheel
    for part in parts:
        share = part.engine.arrivals.share
        assert share.wheel == there.wheel and part.engine.arrivals.profile == whole.arrivals.profile
        for place in range(share.first, share.first + share.width):
            taken[place] += 1
    assert taken == [1] * (there.wheel - there.held) + [0] * there.held
    sets = [keys_of(part.engine, whole.keyspace.ephemeral_start + 400) for part in parts]
    assert sum(map(len, sets)) == len(set().union(*sets)), "two agents would make one key"
    assert_within(parts, whole)
    assert_apart(parts, whole)


@given(
    there=musters(),
    objects=st.integers(1, 200),
    start=st.integers(0, 50),
    concurrency=st.integers(1, 40),
    requests=st.integers(1, 400),
)
@settings(max_examples=150, deadline=None)
def test_the_parts_of_a_sweep_are_its_keys_each_once(there, objects, start, concurrency, requests):
    whole = limited(engine_of("fill"), in_flight=concurrency, connections=concurrency, requests=requests)
    keyspace = whole.keyspace.model_copy(update={"start": start, "objects": objects})
    loop = whole.arrivals.model_copy(update={"concurrency": concurrency, "requests": objects})
    whole = whole.model_copy(update={"keyspace": keyspace, "arrivals": loop})
    assert is_sweep(whole)
    parts = split(whole, there)
    seen = []
    for part in parts:
        assert part.engine.arrivals.requests == part.engine.keyspace.objects
        assert part.engine.keyspace.ephemeral_lane == whole.keyspace.ephemeral_lane  # else it would number in steps
        first = part.engine.keyspace.start
        seen += range(first, first + part.engine.keyspace.objects)
    assert seen == list(range(start, start + objects))
    assert sum(part.engine.arrivals.concurrency for part in parts) == concurrency
    assert_within(parts, whole)
    assert_apart(parts, whole)


@given(there=musters(), concurrency=st.integers(1, 60))
@settings(max_examples=80, deadline=None)
def test_a_closed_loop_is_shared_by_who_is_in_flight(there, concurrency):
    whole = limited(engine_of("calm", arrivals=ClosedArrivals(concurrency=concurrency, seconds=5.0)))
    assert not is_sweep(whole)
    parts = split(whole, there)
    together = sum(part.engine.arrivals.concurrency for part in parts)
    sent = there.wheel - there.held
    assert together == max(len(parts), concurrency * sum(p.post.width for p in parts) // there.wheel) <= concurrency
    assert together >= concurrency * sent / there.wheel - len(there.posts) or len(parts) < len(there.posts)
    assert_within(parts, whole)


def test_what_a_sole_agent_gets_is_the_whole_but_for_its_own_cores():
    whole = engine_of("calm")
    (part,) = split(whole, Muster(5, (Post("only", 0, 5, whole.shards),), LOAD))
    assert part.engine.limits == whole.limits and part.engine.epoch == whole.epoch
    assert part.engine.arrivals.share.width == part.engine.arrivals.share.wheel == 5
    assert part.engine.mix == whole.mix and part.engine.s3 == whole.s3


def test_a_rate_never_goes_above_what_an_agent_can_make():
    whole = limited(engine_of("calm"), rate_per_s=1000.0)
    slow, quick = split(whole, Muster(2, (Post("slow", 0, 1, 1, 120.0), Post("quick", 1, 1, 1)), LOAD))
    assert (slow.engine.limits.rate_per_s, quick.engine.limits.rate_per_s) == (120.0, 500.0)


def test_more_agents_than_connections_are_refused_and_told_why():
    whole = limited(engine_of("calm"), connections=2)
    there = Muster(3, tuple(Post(f"a{i}", i, 1) for i in range(3)), LOAD)
    with pytest.raises(CampaignError, match="3 agents share 2 connections"):
        split(whole, there)
    assert len(split(limited(engine_of("fill"), connections=2, in_flight=2), there)) == 2  # of a sweep some stay away


def test_a_run_that_has_used_up_its_requests_sends_no_more_than_the_last_one():
    there = Muster(3, tuple(Post(f"a{i}", i, 1) for i in range(3)), LOAD)
    (part,) = split(limited(engine_of("calm"), requests=1), there)
    assert part.engine.limits.requests == 1


def test_epochs_end():
    there = Muster(2, (Post("a", 0, 1), Post("b", 1, 1)), LOAD)
    assert [part.engine.epoch for part in split(engine_of("calm", epoch=65_534), there)] == [65_534, 65_535]
    with pytest.raises(InternalError, match="65535 engines"):
        split(engine_of("calm", epoch=65_535), there)


@given(shards=st.lists(st.integers(1, 64), min_size=1, max_size=12))
def test_lanes_never_meet(shards):
    even = even_shards(shards)
    assert all(0 < mine <= asked for mine, asked in zip(even, shards, strict=True))
    lanes = lay_lanes(even)
    around = {lane.count * count for lane, count in zip(lanes, even, strict=True)}
    assert len(around) == 1  # all go round together
    rows = [lane.index * count + shard for lane, count in zip(lanes, even, strict=True) for shard in range(count)]
    assert len(rows) == len(set(rows)) and max(rows) < around.pop()


def test_lanes_of_shards_that_would_meet_are_refused():
    with pytest.raises(ValueError, match="would meet"):
        lay_lanes([3, 2])


@given(total=st.integers(1, 10**6), weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_shares_add_up(total, weights):
    if total < len(weights):
        with pytest.raises(ValueError, match="cannot be shared"):
            shares_of(total, weights)
        return
    parts = shares_of(total, weights)
    assert sum(parts) == total and min(parts) >= 1
    spare = total - len(weights)
    assert all(abs(p - 1 - spare * w / sum(weights)) < 1 for p, w in zip(parts, weights, strict=True))


@given(there=musters(), cut=st.data(), used=st.integers(0, 500))
@settings(max_examples=100, deadline=None)
def test_who_takes_over_sends_the_lost_interval_under_the_lost_ceilings_with_new_keys(there, cut, used):
    whole = limited(engine_of("calm"), in_flight=64, connections=64, requests=100_000)
    gone, *others = split(whole, there)
    survivors = [part.post for part in others][: agents_max(gone.engine)]
    widths = [cut.draw(st.integers(0, gone.post.width // len(survivors))) for _ in survivors]
    at, taken = gone.post.first, []
    for post, width in zip(survivors, widths, strict=True):
        if width:
            taken.append(Post(post.name, at, width, post.cores))
            at += width
    parts = take_over_plans(whole, Gone(gone, used, used), taken, whole.epoch + len(others) + 1, generation=3)
    assert [part.agent for part in parts] == [post.name for post in taken]
    places = [
        place
        for part in parts
        for place in range(part.engine.arrivals.share.first, part.engine.arrivals.share.first + part.post.width)
    ]
    assert len(places) == len(set(places)) == sum(widths)
    assert set(places) <= set(range(gone.post.first, gone.post.first + gone.post.width))
    left = limited(gone.engine, requests=gone.engine.limits.requests - used)
    if parts:
        assert_within(parts, left)
    assert not {part.engine.epoch for part in parts} & {part.engine.epoch for part in [gone, *others]}
    assert all(part.engine.keyspace.ephemeral_start == 3 * GENERATION_KEYS for part in parts)
    assert all(isinstance(part.engine.arrivals, OpenArrivals) for part in parts)


def test_who_takes_over_a_closed_loop_works_for_the_rest_of_its_time():
    whole = engine_of("calm", arrivals=ClosedArrivals(concurrency=9, seconds=60.0))
    gone, *_ = split(whole, Muster(3, tuple(Post(f"a{i}", i, 1) for i in range(3)), LOAD))
    (part,) = take_over_plans(whole, Gone(gone, elapsed_s=22.0), [Post("a1", 0, 1)], 50, 1)
    assert (part.engine.arrivals.concurrency, part.engine.arrivals.seconds, part.engine.epoch) == (3, 38.0, 50)
