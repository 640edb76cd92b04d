"""What may still be sent after somebody stopped the traffic: never more than a part of it."""

import math

import pytest

from maul.plan import RuntimeState, engine_plan_for
from maul.plan.budget import peak_per_s
from maul.plan.engine_plan import ClosedArrivals, OpenArrivals
from maul.plan.resuming import RATE_PART, paced_phase, resumed_phase

CLOSED = ("rate: 50/s, for: 20s", "closed: {clients: 8, for: 20s}")


def test_a_steady_piece_goes_at_its_rate_and_no_ceiling_lets_it_go_faster(planned):
    made = planned()
    piece = resumed_phase(made.phase("calm"), 12.5, 8.0, 0.25)
    (one,) = piece.passes
    assert (piece.name, piece.kind, piece.levels, piece.until) == ("calm-resumed", "load", (), None)
    assert one.engine.limits.rate_per_s == 12.5
    assert RATE_PART < 1
    assert peak_per_s(one.engine.arrivals) == pytest.approx(RATE_PART * 12.5)
    before = made.phase("calm").passes[0].engine
    assert one.engine.limits.connections == math.floor(before.limits.connections * 0.25)
    assert one.engine.limits.in_flight == math.floor(before.limits.in_flight * 0.25)
    assert one.expected.operations == piece.expected.operations == 90
    assert one.engine.seed != before.seed  # the same keys in the same order would be another load's repetition


def test_a_piece_of_a_rising_load_does_not_rise_and_of_a_closed_loop_it_is_paced(planned):
    rising = resumed_phase(planned().phase("rise"), 10.0, 5.0, 0.5)
    assert [segment.kind for segment in rising.passes[0].engine.arrivals.profile] == ["constant"]
    closed = planned(CLOSED)
    assert isinstance(closed.phase("calm").passes[0].engine.arrivals, ClosedArrivals)
    assert isinstance(resumed_phase(closed.phase("calm"), 10.0, 5.0, 0.5).passes[0].engine.arrivals, OpenArrivals)


@pytest.mark.parametrize("phase", ["fill", "audit", "tidy"])
def test_a_sweep_over_keys_has_no_steady_piece(planned, phase):
    assert resumed_phase(planned().phase(phase), 10.0, 5.0, 0.5) is None


def test_nothing_was_answered_so_nothing_goes_on(planned):
    assert resumed_phase(planned().phase("calm"), 0.0, 5.0, 0.5) is None


@pytest.mark.parametrize("phase", ["audit", "tidy"])
def test_a_paced_sweep_has_all_its_keys_and_takes_longer(planned, phase):
    made = planned()
    before, after = made.phase(phase), paced_phase(made.phase(phase), 20.0, 1e5)
    assert after.expected == before.expected
    for slow, fast in zip(after.passes, before.passes, strict=True):
        assert slow.engine.limits.rate_per_s == 20.0
        assert slow.seconds >= fast.expected.operations / 20.0
        assert slow.engine.limits.bytes_per_s == 1e5
        assert slow.engine.arrivals.requests == fast.engine.arrivals.requests
        assert slow.engine.arrivals.concurrency == slow.engine.limits.in_flight < fast.engine.arrivals.concurrency
    engine = engine_plan_for(made, after, after.passes[0], RuntimeState())
    assert engine.limits.rate_per_s == 20.0
    assert engine.limits.seconds >= after.passes[0].seconds


def test_several_tenants_share_the_piece_as_they_shared_the_phase(planned):
    made = planned(
        ("phases:\n", "tenants:\n  - {name: red, share: 3}\n  - {name: blue, share: 1}\nphases:\n"),
    )
    piece = resumed_phase(made.phase("calm"), 20.0, 10.0, 0.5)
    rates = [peak_per_s(one.engine.arrivals) for one in piece.passes]
    assert sum(rates) == pytest.approx(RATE_PART * 20.0)
    assert rates[0] == pytest.approx(3 * rates[1], rel=0.02)
