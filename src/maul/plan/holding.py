"""Holding: what no profile paces goes no faster than a fleet's placement allows."""

import math
from collections.abc import Sequence

from maul.plan.engine_plan import ClosedArrivals
from maul.plan.fleet_model import Load
from maul.plan.model import PassPlan, PhasePlan
from maul.plan.placement.demand import OVERHEAD


def held_to(phases: Sequence[PhasePlan], most: Load) -> tuple[PhasePlan, ...]:
    """The phases, their unpaced passes with a rate and a bandwidth that keep `most` (each direction by itself)."""
    return tuple(_held(phase, most) for phase in phases)


def _held(phase: PhasePlan, most: Load) -> PhasePlan:
    passes = tuple(_slower(one, most, timed=phase.timed) for one in phase.passes)
    if passes == phase.passes:
        return phase
    seconds = [one.seconds for one in passes]
    return phase.model_copy(
        update={"passes": passes, "seconds": max(seconds) if phase.timed else round(math.fsum(seconds), 3)}
    )


def _slower(one: PassPlan, most: Load, *, timed: bool) -> PassPlan:
    """A mix of sending and receiving may do as much as the parts of both add up to one."""
    expected, limits = one.expected, one.engine.limits
    if not isinstance(one.engine.arrivals, ClosedArrivals) or not expected.operations:
        return one
    each_s = (
        8 * OVERHEAD * (_over(expected.bytes_sent, most.sent_bps) + _over(expected.bytes_received, most.received_bps))
    )
    each_s = max(each_s, _over(expected.requests, most.requests_per_s)) / expected.operations
    if each_s * limits.rate_per_s <= 1:
        return one
    rate = 1 / each_s
    changed = limits.model_copy(
        update={
            "rate_per_s": rate,
            "bytes_per_s": min(limits.bytes_per_s, max(1.0, rate * expected.bytes / expected.operations)),
        }
    )
    seconds = one.seconds if timed else max(one.seconds, round(expected.operations / rate, 3))
    return one.model_copy(update={"engine": one.engine.model_copy(update={"limits": changed}), "seconds": seconds})


def _over(amount: float, per_s: float) -> float:
    """Seconds that it takes."""
    if not amount:
        return 0.0
    return amount / per_s if per_s > 0 else math.inf
