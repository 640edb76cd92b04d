"""What a pass is held against comes from the plan, less what earlier passes used."""

import pytest

from maul import campaign, plan, site
from maul.guard import limits_for
from maul.plan import RuntimeState

SITE = """\
version: 1
name: place
kind: lab
racks: [r]
hosts: [{name: h, address: 127.0.0.1, rack: r}]
services: [{name: g, role: gateway, host: h}]
endpoints: [{name: vip, kind: gateway, url: "http://127.0.0.1:8333", serves: [g]}]
"""
CAMPAIGN = """\
version: 1
name: small
target: {endpoints: [vip], bucket: maul-test}
workload: {objects: 10, size: 1KiB, mix: {put: 3, multipart: 1}}
phases:
  - {name: rise, kind: load, steps: {from: 1, to: 4, count: 3, each: 4s}, until: {achieved_below: 0.8, levels: 2}}
  - {name: calm, kind: load, rate: 4/s, for: 2s}
  - {name: audit, kind: audit}
  - {name: tidy, kind: clean-up}
limits: {requests: 5000, bytes: 1GB, duration: 90s, error_ratio: 30%, error_window: 4s, disk_free: 1MiB}
"""


@pytest.fixture
def made():
    return plan.build(campaign.parse(CAMPAIGN), site.parse(SITE), "r1", 2)


def limits_of(made, name, before=RuntimeState(requests_used=5)):  # noqa: B008 — a frozen value
    phase = made.phase(name)
    return limits_for(made, phase, phase.passes[:1], before, run_began_ns=123)


def test_the_plans_limits(made):
    limits = limits_of(made, "calm")
    assert (limits.requests, limits.bytes, limits.seconds, limits.run_began_ns) == (5000, 10**9, 90.0, 123)
    assert (limits.error_ratio, limits.error_window_ns, limits.disk_free_bytes) == (0.3, 4_000_000_000, 2**20)
    assert limits.before.requests_used == 5
    assert limits.requests_per_operation == pytest.approx((3 + 4) / 4)
    assert limits.steps is None


def test_only_steps_with_until_end_early(made):
    steps = limits_of(made, "rise").steps
    assert (steps.achieved_below, steps.levels_in_a_row, len(steps.levels)) == (0.8, 2, 3)


@pytest.mark.parametrize(
    ("name", "missing_is_error", "own_ceilings"),
    [("calm", True, False), ("audit", False, False), ("tidy", False, True)],
)
def test_kinds_differ(made, name, missing_is_error, own_ceilings):
    limits = limits_of(made, name)
    assert (limits.missing_is_error, limits.own_ceilings) == (missing_is_error, own_ceilings)
