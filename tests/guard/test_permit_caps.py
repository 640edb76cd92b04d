"""A plan under a permit: refused with the arithmetic where it means to go beyond, else its ceilings are lowered."""

import math

import pytest
from permits import BODY, verified

from maul import campaign
from maul.core.errors import ExitCode, PermitError
from maul.guard.permit_caps import check_keys, heaviest, hold
from maul.lab.sketch import sketch_site
from maul.plan import build
from maul.plan.costs import HEADER_BYTES
from maul.plan.fleet_model import FleetPlan, LinkLoad, Load

SITE = sketch_site()
CAMPAIGN = """\
version: 1
name: small
site: lab
target: {endpoints: [vip], bucket: maul-test}
workload: {objects: 100, size: 4KiB, keys: uniform, mix: {get: 3, put: 1}}
load: {in_flight: 64, connections: 32}
phases:
  - {name: fill, kind: prepare, concurrency: 8}
  - {name: calm, kind: load, rate: 50/s, for: 20s}
  - {name: audit, kind: audit, concurrency: 8}
  - {name: tidy, kind: clean-up, concurrency: 8}
limits: {requests: 10000}
"""
CAPS = {"requests": 50, "bandwidth": "8Mbit/s", "new_connections": 32, "in_flight": 64}


def plan(*changes):
    text = CAMPAIGN
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return build(campaign.parse(text, "c.yaml"), SITE, "20261122-214512-3fa09c", cores=1)


def under(caps=CAPS, **changes):
    targets = [
        {"name": one.name, "host": "127.0.0.1", "port": 1000 + place, "addresses": ["127.0.0.1"], "caps": caps}
        for place, one in enumerate(SITE.endpoints)
    ]
    return verified(**{"targets": targets, **changes})


def refused(made, permit):
    with pytest.raises(PermitError) as caught:
        hold(made, permit)
    assert caught.value.exit_code is ExitCode.NOT_PERMITTED
    return caught.value.message


def test_a_plan_at_its_caps_holds_and_carries_the_permit():
    held = hold(plan(), under())
    assert held.permit is not None and held.permit.hash == under().hash
    assert held.permit.approved_by == ("storage", "network")
    assert hold(plan(), under()).hash == held.hash != plan().hash


@pytest.mark.parametrize(
    ("caps", "says"),
    [
        ({"requests": 49}, "calm at vip: 50 requests/s (50/s × 1 requests), and the cap is 49/s"),
        (
            {"bandwidth": "1Mbit/s"},
            "calm at vip: 2.04 Mbit/s (50/s × 1 requests, headers included), and the cap is 1 Mbit/s",
        ),
        ({"new_connections": 31}, "calm at vip: 32 new connections/s, and the cap is 31/s"),
        ({"in_flight": 63}, "calm at vip: 64 requests in flight (64), and the cap is 63"),
        ({"in_flight": 7}, "fill at vip: 8 requests in flight (8), and the cap is 7"),
    ],
)
def test_what_is_above_a_cap_is_refused_with_the_arithmetic(caps, says):
    assert says in refused(plan(), under({**CAPS, **caps}))


@pytest.mark.parametrize(
    ("load", "caps", "says"),
    [
        ("rate: 10/s, for: 20s", {"requests": 9}, "10 requests/s"),
        ("steps: {from: 10/s, to: 60/s, count: 6, each: 2s}", {}, "60 requests/s"),
        ("rate: 50/s, for: 20s, connections: {requests_each: 1}", {"new_connections": 49}, "50 new connections/s"),
    ],
)
def test_every_profile_counts_by_its_peak(load, caps, says):
    assert says in refused(plan(("rate: 50/s, for: 20s", load)), under({**CAPS, **caps}))


def test_what_the_plan_does_not_pace_is_kept_below_by_the_engine():
    made, held = plan(), hold(plan(), under())
    for phase in held.phases:
        for one in phase.passes:
            limits = one.engine.limits
            bodies = (one.expected.bytes - one.expected.requests * 2 * HEADER_BYTES) / one.expected.operations
            assert limits.rate_per_s <= 50.0
            most_bps = 8 * limits.bytes_per_s * (one.expected.bytes / one.expected.operations) / max(1.0, bodies)
            assert most_bps <= 8e6 * (1 + 1e-9), (phase.name, most_bps)
    assert made.phase("fill").passes[0].engine.limits.rate_per_s == 2000.0
    assert held.limits.rate_per_s == 50.0 and held.limits.bytes_per_s <= 1_000_000


def test_what_gets_slower_takes_longer_and_the_plan_says_so():
    slow = hold(plan(("rate: 50/s", "rate: 1/s")), under({**CAPS, "requests": 2}))
    assert slow.phase("fill").seconds == pytest.approx(50.0)
    assert slow.seconds == pytest.approx(math.fsum(phase.seconds for phase in slow.phases))


def test_two_endpoints_share_the_load():
    both = plan(("[vip]", "[gateway-r1-1, gateway-r2-1]"))
    half = {**CAPS, "requests": 25, "new_connections": 16}
    held = hold(both, under(half))
    assert held.phase("calm").passes[0].engine.limits.rate_per_s == 50.0
    assert held.phase("audit").passes[0].engine.limits.rate_per_s == 25.0
    assert "25 requests/s (50/s × 1 requests ÷ 2 endpoints)" in refused(both, under({**half, "requests": 24}))


def test_a_draft_of_the_heaviest_moment_holds_and_a_little_less_does_not():
    made = plan()
    requests, bits, opened, in_flight = heaviest(made, "vip")
    assert (requests, in_flight) == (2000.0, 64), "what nobody paces counts with the campaign's own limits"
    caps = {"requests": requests, "bandwidth": bits, "new_connections": opened, "in_flight": in_flight}
    held = hold(made, under(caps))
    assert held.limits.rate_per_s == made.limits.rate_per_s and held.seconds == made.seconds
    refused(made, under({**caps, "in_flight": in_flight - 1}))


def test_load_after_a_protection_acted_must_be_covered():
    goes_on = plan(("limits:", "mitigation: {resume: 40%}\nlimits:"))
    assert "does not allow load after a protection has acted" in refused(goes_on, under())
    assert hold(goes_on, under(resume=True)).mitigation.resume == 0.4


def test_endpoints_buckets_and_faults_must_be_covered():
    only_vip = {"targets": [{"name": "vip", "host": "h", "port": 1, "addresses": ["127.0.0.1"], "caps": CAPS}]}
    assert "endpoint gateway-r1-1 is not among its targets (vip)" in refused(plan(), verified(**only_vip))
    for bucket in ({"bucket": "other"}, {"bucket": "maul-test", "prefix": "elsewhere/"}):
        assert "are not among its buckets" in refused(plan(), under(buckets=[bucket]))
    hurt = plan(
        (
            "limits:",
            "faults:\n  - {name: kill, fault: process.kill, role: volume, phase: calm, after: 5s, hold: 5s}\nlimits:",
        )
    )
    assert "does not allow faults" in refused(hurt, under())
    assert hold(hurt, under(faults=True)).faults == hurt.faults


def test_a_wipe_needs_the_keys_to_be_the_permits():
    check_keys(under({**CAPS, "requests": 1}), plan())
    with pytest.raises(PermitError, match="not among its buckets"):
        check_keys(under(buckets=[{"bucket": "other"}]), plan())


def test_a_capped_link_must_be_known():
    capped = under(links=[{"link": "tor-r1>spine", "bandwidth": "1Mbit/s"}])
    assert "nobody can say what this plan puts on them" in refused(plan(), capped)

    def carrying(bps):
        link = LinkLoad.model_construct(name="tor-r1>spine", ours_bps=bps)
        fleet = FleetPlan.model_construct(wheel=1, generators=(), links=(link,), load=Load())
        return plan().model_copy(update={"fleet": fleet})

    assert hold(carrying(1e6), capped).permit is not None
    assert "link tor-r1>spine: 1.5 Mbit/s, and the cap is 1 Mbit/s" in refused(carrying(1.5e6), capped)


def test_all_is_told_at_once():
    says = refused(
        plan(), under({"requests": 1, "bandwidth": 1, "new_connections": 1, "in_flight": 1}, buckets=BODY["buckets"])
    )
    assert says.count("calm at vip") == 4
