"""Several generators as one: sums, tenants, and that they stand or fall together."""

import numpy as np
import pytest

from maul.core.clock import FakeClock
from maul.core.generator import GeneratorState
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Outcome
from maul.load import FakeGenerator, GeneratorGroup


def script(count, tenant, end_ms=5, **fields):
    made = np.zeros(count, OPERATION_DTYPE)
    made["due_ns"] = np.arange(count) * 1_000_000
    made["end_ns"], made["tenant"] = made["due_ns"] + end_ms * 1_000_000, tenant
    for name, value in fields.items():
        made[name] = value
    return made


def group(*scripts):
    clock = FakeClock()
    return GeneratorGroup([FakeGenerator(one, clock) for one in scripts], clock), clock


def test_counts_add_up_and_rows_keep_their_tenant():
    bad = {"outcome": Outcome.FAIL, "error_class": ErrorClass.GIVEN_UP}
    together, _ = group(script(3, 0), script(5, 1, **bad))
    together.start()
    assert together.join(10.0)
    status = together.status()
    assert (status.state, status.stop_reason) == (GeneratorState.DONE, "completed")
    assert (status.offered, status.ok, status.fail, status.errors) == (8, 3, 5, {ErrorClass.GIVEN_UP: 5})
    assert [one.offered for one in together.statuses()] == [3, 5]
    drained = together.drain()
    assert sorted(drained.operations["tenant"].tolist()) == [0] * 3 + [1] * 5
    assert {row.tenant for row in drained.latency} == {0, 1}
    assert len(together.drain().operations) == 0, "everything comes exactly once"


def test_one_start_one_throttle_and_one_lease_for_all():
    together, clock = group(script(10, 0), script(20, 1))
    together.throttle(0.5)
    zero_ns = clock.now_ns() + 10_000_000
    together.start(zero_ns)
    together.renew(1.0)
    assert (together.status().state, together.status().began_ns) == (GeneratorState.READY, 0)
    assert together.join(1.0)
    status = together.status()
    assert (status.offered, status.withheld, status.began_ns) == (15, 15, zero_ns)


def test_it_runs_until_the_last_one_is_done():
    together, clock = group(script(1, 0), script(1, 1, end_ms=500))
    together.start()
    clock.wait(0.1)
    assert together.status().state is GeneratorState.RUNNING
    assert not together.join(0.1)
    assert together.join(1.0)


@pytest.mark.parametrize("reason", ["limit:bytes", "lease"])
def test_when_one_ends_untimely_all_stop(reason):
    clock = FakeClock()
    first, second = FakeGenerator(script(9, 0, 1), clock), FakeGenerator(script(9000, 1, 1), clock)
    together = GeneratorGroup([first, second], clock)
    together.start()
    clock.wait(0.002)
    first.stop(reason)
    together.renew()
    assert second.renewals == 0
    assert together.join(1.0)
    assert together.status().stop_reason == reason
    assert together.status().offered < 20
