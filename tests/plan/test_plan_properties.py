"""Whatever the campaign: a plan that is made respects its limits, adds up, repeats itself, and fits the engine."""

import json
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_plans import RUN_ID, SITE

from maul import campaign, plan, site
from maul.core.errors import CampaignError
from maul.plan import RuntimeState
from maul.plan.engine_plan import ClosedArrivals

PLACE = site.parse(SITE)

sizes = st.one_of(
    st.integers(0, 10**6),
    st.tuples(st.integers(0, 10**5), st.integers(10**5, 10**6)).map(lambda pair: {"uniform": list(pair)}),
    st.builds(
        lambda median, sigma: {"lognormal": {"median": median, "sigma": sigma, "max": 10**6}},
        st.integers(1, 10**5),
        st.floats(0.1, 3),
    ),
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.1, 9)), min_size=1, max_size=4).map(
        lambda rows: {"weighted": [{"size": size, "weight": weight} for size, weight in rows]}
    ),
)
mixes = st.builds(
    lambda put, share, others: {"put": put, "delete": put * share, **others},
    st.floats(0.5, 100),
    st.floats(0, 1),
    st.fixed_dictionaries({op: st.floats(0, 100) for op in ("get", "head", "list", "multipart")}),
)
rates = st.floats(0.01, 3000)
profiles = st.one_of(
    st.builds(lambda rate, length: {"rate": rate, "for": length}, rates, st.floats(0.1, 120)),
    st.builds(
        lambda low, high, over: {"ramp": {"from": low, "to": high, "over": over}}, rates, rates, st.floats(0.1, 60)
    ),
    st.builds(
        lambda low, factor, count, each: {"steps": {"from": low, "to": low * factor, "count": count, "each": each}},
        st.floats(0.01, 500), st.floats(1, 5), st.integers(2, 12), st.floats(0.1, 10),
    ),
)  # fmt: skip
WIDE = {"requests": 10**9, "bytes": "1000TB", "duration": 10_000, "bandwidth": "9TB/s", "rate": 3000}


@st.composite
def intents(draw):
    """Sound campaigns as plain data, under wide limits."""
    phases = [{"name": "fill", "kind": "prepare"}]
    for number in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["load", "warm-up"]))
        phases.append({"name": f"p{number}", "kind": kind, **draw(profiles)})
    phases += [{"name": "audit", "kind": "audit"}, {"name": "tidy", "kind": "clean-up"}]
    return {
        "version": 1,
        "name": "any",
        "target": {"endpoints": ["vip"], "bucket": "maul-any"},
        "workload": {"objects": draw(st.integers(1, 10**5)), "size": draw(sizes), "mix": draw(mixes)},
        "phases": phases,
        "limits": WIDE,
        "seed": draw(st.integers(0, 2**63 - 1)),
    }


def made(intent, cores=4, **limits):
    """The plan of an intent, with some of its limits narrowed."""
    text = json.dumps({**intent, "limits": {**intent["limits"], **limits}})
    return plan.build(campaign.parse(text, "c.yaml"), PLACE, RUN_ID, cores)


@settings(deadline=None, max_examples=60)
@given(intents(), st.sampled_from(["requests", "bytes"]), st.integers(1, 1000))
def test_a_plan_is_refused_exactly_when_it_exceeds_a_total(intent, key, less):
    needed = getattr(made(intent).expected, key)
    assert getattr(made(intent, **{key: needed}).limits, key) == needed
    with pytest.raises(CampaignError, match=rf"^c\.yaml:1:\d+: limits\.{key}: the plan "):
        made(intent, **{key: max(1, needed - less)})


@settings(deadline=None, max_examples=150)
@given(intents(), st.integers(1, 64))
def test_a_plan_respects_its_limits_and_adds_up(intent, cores):
    planned = made(intent, cores)
    assert planned.expected.requests <= planned.limits.requests
    assert planned.expected.bytes <= planned.limits.bytes
    timed = [phase for phase in planned.phases if phase.timed]
    assert math.fsum(phase.seconds for phase in timed) <= planned.limits.seconds
    for phase in planned.phases:
        assert sum(one.expected.operations for one in phase.passes) == phase.expected.operations
        assert sum(one.expected.bytes for one in phase.passes) == phase.expected.bytes
        assert phase.expected.operations <= phase.expected.requests
    assert sum(phase.expected.requests for phase in planned.phases) == planned.expected.requests
    for phase in timed:
        for segment in phase.passes[0].engine.arrivals.profile:
            peak = segment.rate if segment.kind == "constant" else max(segment.from_per_s, segment.to_per_s)
            assert peak <= planned.limits.rate_per_s


@settings(deadline=None, max_examples=100)
@given(intents(), st.integers(0, 10**6), st.integers(0, 10**7), st.floats(0, 2000))
def test_no_engine_is_ever_allowed_more_than_the_run(intent, ephemeral, requests, seconds):
    planned = made(intent)
    state = RuntimeState(epochs_used=3, ephemeral_next={0: ephemeral}, requests_used=requests, seconds_used=seconds)
    for phase in planned.phases:
        for one in phase.passes:
            engine = plan.engine_plan_for(planned, phase, one, state)
            if engine is None:
                assert one.region == "ephemeral"
                assert ephemeral == 0
                continue
            assert engine.epoch == 4
            assert 1 <= engine.shards <= engine.limits.in_flight
            assert engine.limits.rate_per_s <= planned.limits.rate_per_s
            assert engine.limits.in_flight <= planned.limits.in_flight
            if isinstance(engine.arrivals, ClosedArrivals):
                assert engine.arrivals.requests == engine.keyspace.objects
            if phase.kind == "clean-up":
                assert engine.limits.requests <= engine.keyspace.objects + 1000
            else:
                assert engine.limits.requests <= max(1, planned.limits.requests - requests)
                assert engine.limits.seconds <= max(1.0, planned.limits.seconds - seconds)


@settings(deadline=None, max_examples=60)
@given(intents())
def test_the_same_campaign_makes_the_same_plan_and_every_text_of_it(intent):
    planned = made(intent)
    again = made(intent)
    assert planned == again
    assert planned.hash == again.hash == plan.Plan.model_validate_json(plan.to_json(planned)).hash
    assert all(line == line.rstrip() and line.isprintable() for line in plan.explain(planned))


@settings(deadline=None, max_examples=60)
@given(intents(), st.integers(0, 2**63 - 1))
def test_another_seed_is_another_plan(intent, seed):
    assume(seed != intent["seed"])
    planned = made(intent)
    assert made({**intent, "seed": seed}).hash != planned.hash


@settings(deadline=None, max_examples=100)
@given(intents())
def test_the_engine_accepts_whatever_the_planner_makes(intent):
    engine_module = pytest.importorskip("maul._engine", reason="the engine is not built")
    planned = made(intent)
    for phase in planned.phases:
        for one in phase.passes:
            engine = plan.engine_plan_for(planned, phase, one, RuntimeState(ephemeral_next={0: 7}))
            engine_module.Engine(json.dumps(plan.with_secrets(engine, None, {})))
