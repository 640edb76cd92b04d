"""What `maul limit` would do: its phases, what it counts with, and what it refuses, with the arithmetic."""

import pytest

from maul import campaign
from maul.core.errors import CampaignError
from maul.lab.sketch import sketch_site
from maul.plan import LimitWish, Overrides, RuntimeState, build, engine_plan_for, explain, trial_pass
from maul.plan.model import Plan
from maul.plan.search import Goal

RUN = "20261122-214512-3fa09c"
TEXT = """\
version: 1
name: small
target: {endpoints: [vip], bucket: maul-test}
workload: {objects: 100, size: 4KiB, mix: {get: 3, put: 2, delete: 1}}
phases:
  - {name: stock, kind: prepare, concurrency: 4}
  - {name: calm, kind: load, rate: 50/s, for: 20s}
  - {name: audit, kind: audit}
faults:
  - {name: kill, fault: process.kill, role: volume, phase: calm, after: 5s, hold: 5s}
objectives:
  - {name: sure, phases: [calm], errors_below: 1%}
  - {name: quick-puts, phases: [calm], op: put, percentile: 99, latency_below: 100ms}
limit: {requests: {from: 50/s, to: 800/s}, bytes: {from: 4MiB/s, to: 80MiB/s, size: 2MiB, objects: 3}}
limits: {requests: 1000000, bytes: 100GB, duration: 1h}
"""


def limited(*changes, **wish) -> Plan:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    wanted = Overrides(limit=LimitWish(**wish))
    return build(campaign.parse(text, "c.yaml"), sketch_site(), RUN, 2, overrides=wanted, fault_kinds={"process.kill"})


def test_fill_search_audit_and_clean_up_whatever_the_campaign_had():
    plan = limited()
    assert [(phase.name, phase.kind) for phase in plan.phases] == [
        ("stock", "prepare"), ("limit-requests", "limit"), ("audit", "audit"), ("clean-up", "clean-up"),
    ]  # fmt: skip
    assert plan.faults == () and plan.checks == (
        "limit", "durability", "reads-true", "map-true", "links-kept", "traffic-kept", "cleaned",
    )  # fmt: skip
    assert {one.name: one.phases for one in plan.objectives} == {
        "sure": ("limit-requests",), "quick-puts": ("limit-requests",),
    }  # fmt: skip
    assert plan.phase("limit-requests").search.goal == Goal(from_per_s=50, to_per_s=800)
    assert "maul limit hurts nothing: the campaign's faults are left out" in plan.notes
    assert plan == Plan.model_validate_json(plan.model_dump_json())


def test_a_plan_of_a_beating_does_not_change_by_the_limit_section():
    text = TEXT.replace(TEXT[TEXT.index("limit: {") : TEXT.index("limits:")], "")
    with_it, without = (build(campaign.parse(one, "c.yaml"), sketch_site(), RUN, 2) for one in (TEXT, text))
    assert with_it == without


def test_large_objects_lie_beside_the_others_and_are_audited_and_cleaned_too():
    plan = limited(axes=("bytes",))
    fill, search = plan.phase("limit-bytes-fill").passes[0], plan.phase("limit-bytes").passes[0]
    for one in (fill, search):
        assert (one.engine.keyspace.start, one.engine.keyspace.objects) == (100, 3)
        assert one.engine.sizes.bytes == 2 * 2**20
    assert [entry.op for entry in search.engine.mix] == ["get"]
    for name in ("audit", "clean-up"):
        starts = {one.engine.keyspace.start for one in plan.phase(name).passes if one.region == "base"}
        assert starts == {0, 100}
    assert plan.phase("limit-bytes").search.to_per_s == pytest.approx(40)
    assert [one.name for one in plan.objectives] == ["sure"]  # nobody puts
    tidy = plan.phase("clean-up")
    engines = [engine_plan_for(plan, tidy, one, RuntimeState()) for one in tidy.passes]
    assert [(one.keyspace.start, one.keyspace.objects) for one in engines if one is not None] == [(0, 100), (100, 3)]


def test_a_trial_is_the_template_at_its_rate_with_choices_of_its_own():
    plan = limited()
    phase = plan.phase("limit-requests")
    first, second = trial_pass(phase, 1, 100.0, 4.0), trial_pass(phase, 2, 200.0, 20.0)
    (segment,) = second.engine.arrivals.profile
    assert (segment.rate, segment.seconds, second.seconds) == (200.0, 20.0, 20.0)
    assert second.expected.operations == 4000 and first.expected.operations == 400
    assert second.engine.limits.seconds == pytest.approx(30.0)  # and the slowest answer
    assert first.engine.seed != second.engine.seed
    with pytest.raises(ValueError, match="is no search"):
        trial_pass(plan.phase("stock"), 1, 100.0, 4.0)


def test_the_plan_counts_with_the_most_expensive_place_of_the_limit():
    phase = limited().phase("limit-requests")
    assert phase.expected.operations > 0.95 * 0.95 * 800 * 30  # at least the soak near the top
    assert 60 < phase.seconds < 300


def test_quick_is_quick():
    quick, usual = limited(quick=True).phase("limit-requests"), limited().phase("limit-requests")
    assert quick.seconds < 0.6 * usual.seconds
    assert quick.search.width == 0.15


def test_the_command_line_wins():
    search = limited(axes=("requests",), from_rate="10/s", to_rate="200/s").phases[1].search
    assert (search.from_per_s, search.to_per_s) == (10.0, 200.0)
    search = limited(axes=("bytes",), from_rate="2MiB/s").phase("limit-bytes").search
    assert (search.from_per_s, search.to_per_s) == (1.0, 40.0)


def test_what_is_not_said_comes_from_the_limits():
    bare = (
        "limit: {requests: {from: 50/s, to: 800/s}, bytes: {from: 4MiB/s, to: 80MiB/s, size: 2MiB, objects: 3}}\n",
        "",
    )
    search = limited(bare).phase("limit-requests").search
    assert (search.from_per_s, search.to_per_s) == (50.0, 2000.0)
    narrow = limited(bare, ("limits: {", "limits: {rate: 100/s, ")).phase("limit-requests").search
    assert (narrow.from_per_s, narrow.to_per_s) == (25.0, 100.0)


@pytest.mark.parametrize(
    ("changes", "wish", "says"),
    [
        ([("limits: {", "limits: {rate: 700/s, ")], {}, "limit.requests.to: to is 800/s, above limits.rate (700/s)"),
        (
            [("limits: {", "limits: {bandwidth: 1MB/s, ")],
            {},
            "limit.requests.to: 800/s × 4.31 KiB an operation, headers included = 3.367 MiB/s, above limits.bandwidth",
        ),
        ([("1000000", "500")], {}, "limits.requests: the plan sends"),
        ([("duration: 1h", "duration: 1m")], {}, "limits.duration: the phases with a fixed length take"),
        ([("from: 50/s, to: 800/s", "from: 3000/s")], {}, "from (3000/s) is not below to (2000/s)"),
        ([], {"axes": ("requests",), "from_rate": "900/s"}, "from (900/s) is not below to (800/s)"),
        (
            [("objectives:\n  - {name: sure, phases: [calm], errors_below: 1%}\n", "objectives:\n")],
            {"axes": ("bytes",)},
            "no objective speaks of what this axis sends (get)",
        ),
        (
            [("size: 2MiB, objects: 3", "size: 2MiB, objects: 3, objectives: [quick-puts]")],
            {"axes": ("bytes",)},
            '"quick-puts" asks of put, which this axis never sends; drop it',
        ),
    ],
)
def test_refused_before_anything_is_sent(changes, wish, says):
    with pytest.raises(CampaignError) as caught:
        limited(*changes, **wish)
    assert says in caught.value.message


def test_without_an_objective_there_is_no_limit():
    start, end = TEXT.index("objectives:"), TEXT.index("limit: {")
    with pytest.raises(CampaignError, match="there is no objective, and a limit is the highest rate that still meets"):
        limited((TEXT[start:end], ""))


def test_the_search_is_explained():
    text = "\n".join(explain(limited(axes=("requests", "bytes"))))
    assert "the highest rate of requests that meets the objectives, between 50/s and 800/s, to 5%" in text
    assert "the highest rate of bytes of large objects that meets the objectives, between 4 MiB/s and 80 MiB/s" in text
    assert "limit: at most" in text
