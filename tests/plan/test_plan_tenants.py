"""Several tenants: one engine each, side by side, together never above the campaign's limits."""

import math

import numpy as np
import pytest

from maul.core.errors import CampaignError
from maul.core.operation import OPERATION_DTYPE, Op
from maul.plan import RuntimeState, engine_plan_for, trace_of

LOAD = ("phases:\n", "tenants:\n  - {name: gold, rates: {calm: 20/s}}\n  - {name: iron, share: 3, bucket: maul-iron}\n"
        "  - {name: tin, object_lock: true, bucket: maul-tin}\nphases:\n")  # fmt: skip
CALM = ("rate: 50/s, for: 20s", "trace: {run: old, phase: calm, speed: 2}")


def test_each_has_its_keys_its_rate_and_its_part_of_the_ceilings(planned):
    made = planned(LOAD)
    assert [tenant.prefix.split("/")[2] for tenant in made.tenants] == ["gold", "iron", "tin"]
    assert [tenant.versioning for tenant in made.tenants] == [False, False, True]
    calm = made.phase("calm")
    assert [one.engine.arrivals.profile[0].rate for one in calm.passes] == [20.0, 37.5, 12.5]
    assert calm.seconds == 20.0
    state = RuntimeState(epochs_used=4, ephemeral_next={1: 9}, requests_used=1000)
    engines = [engine_plan_for(made, calm, one, state, beside=place) for place, one in enumerate(calm.passes)]
    assert [engine.epoch for engine in engines] == [5, 6, 7]
    assert [engine.tenant for engine in engines] == [0, 1, 2]
    assert [engine.keyspace.ephemeral_start for engine in engines] == [0, 9, 0]
    limits = [engine.limits for engine in engines]
    assert math.fsum(one.rate_per_s for one in limits) <= made.limits.rate_per_s * (1 + 1e-9)
    assert math.fsum(one.bytes_per_s for one in limits) <= made.limits.bytes_per_s * (1 + 1e-9)
    assert sum(one.in_flight for one in limits) == 128
    assert sum(one.requests for one in limits) <= made.limits.requests - 1000
    assert sum(one.bytes for one in limits) <= made.limits.bytes


def test_a_trace_is_replayed_and_one_of_another_campaign_is_refused(planned):
    rows = np.zeros(4, OPERATION_DTYPE)
    rows["due_ns"], rows["op"], rows["key"] = np.arange(4) * 1_000_000_000, Op.GET, [0, 1, 2, 99]
    changes = (CALM, ("after: 5s, hold: 5s", "after: 0s, hold: 1s"))
    made = planned(*changes, traces={("calm", 0): trace_of(rows, 2.0)})
    (one,) = made.phase("calm").passes
    assert (one.engine.arrivals.mode, one.expected.operations, one.engine.mix[0].op) == ("trace", 4, "get")
    rows["key"] = 5000
    with pytest.raises(CampaignError, match=r"asks for base object 5,000, and workload.objects is 100"):
        planned(*changes, traces={("calm", 0): trace_of(rows)})
    with pytest.raises(CampaignError, match=r'no operation of phase "calm" can be replayed'):
        planned(*changes)
