"""Resuming: what is still sent after somebody upstream stopped the traffic. Never more than a part of what was
stopped. Pure.
"""

import math

from maul.core.units import show_duration
from maul.plan.engine_plan import ClosedArrivals
from maul.plan.model import Amount, MitigationPlan, PassPlan, PhasePlan, Plan
from maul.plan.steady import steady_pass

RATE_PART = 0.9
"""Of its ceiling, that a steady piece sends: at its ceiling, what a pause once left waiting would wait for ever."""
RESUMED = "-resumed"
"""What the name of a steady piece ends with."""


def resumed_phase(phase: PhasePlan, rate_per_s: float, seconds: float, part: float) -> PhasePlan | None:
    """A steady piece of a timed phase: all passes together stay below this rate, their ceilings at `part` of what they
    were.

    None where nothing can go on at a rate: a sweep over keys, a search, a trickle.
    """
    operations = sum(one.expected.operations for one in phase.passes)
    if not phase.timed or phase.kind not in ("warm-up", "load") or operations <= 0 or rate_per_s <= 0:
        return None
    passes = []
    for one in phase.passes:
        own = rate_per_s * one.expected.operations / operations
        if own > 0:
            steady = steady_pass(one, one.label, RESUMED, RATE_PART * own, seconds)
            limits = one.engine.limits
            passes.append(_lowered(steady, min(own, limits.rate_per_s), limits.bytes_per_s * part, part))
    return phase.model_copy(
        update={
            "name": phase.name + RESUMED,
            "seconds": seconds,
            "expected": sum((one.expected for one in passes), Amount()),
            "passes": tuple(passes),
            "levels": (),
            "until": None,
        }
    )


def paced_phase(phase: PhasePlan, rate_per_s: float, bytes_per_s: float) -> PhasePlan:
    """A sweep over keys (filling, audit, clean-up) that goes no faster than this, however fast it is answered."""
    passes = tuple(_paced(one, rate_per_s, bytes_per_s) for one in phase.passes)
    seconds = [one.seconds for one in passes]
    return phase.model_copy(update={"passes": passes, "seconds": round(math.fsum(seconds), 3)})


def _paced(one: PassPlan, rate_per_s: float, bytes_per_s: float) -> PassPlan:
    """With half of its clients, too: they connect all at once."""
    limits, arrivals = one.engine.limits, one.engine.arrivals
    slower = _lowered(one, min(rate_per_s, limits.rate_per_s), min(bytes_per_s, limits.bytes_per_s), 0.5)
    if isinstance(arrivals, ClosedArrivals):
        arrivals = arrivals.model_copy(update={"concurrency": slower.engine.limits.in_flight})
    each_s = max(one.expected.requests / rate_per_s, one.expected.bytes / bytes_per_s)
    engine = slower.engine.model_copy(update={"arrivals": arrivals})
    return slower.model_copy(update={"seconds": max(one.seconds, round(each_s, 3)), "engine": engine})


def _lowered(one: PassPlan, rate_per_s: float, bytes_per_s: float, part: float) -> PassPlan:
    """With lower ceilings: of its rates, and `part` of what it has open at once."""
    limits = one.engine.limits
    changed = limits.model_copy(
        update={
            "rate_per_s": rate_per_s,
            "bytes_per_s": max(1.0, bytes_per_s),
            "in_flight": max(1, math.floor(limits.in_flight * part)),
            "connections": max(1, math.floor(limits.connections * part)),
        }
    )
    return one.model_copy(update={"engine": one.engine.model_copy(update={"limits": changed})})


def told_of(plan: Plan) -> list[tuple[str, str]]:
    """What happens when traffic suddenly stops, in words, for `explain`."""
    mitigation: MitigationPlan = plan.mitigation
    if mitigation.act == "watch":
        return [("silence", "traffic that suddenly stops is only told of, nothing is done (mitigation.act: watch)")]
    waits = min(mitigation.probe_s + mitigation.hold_max_s, plan.limits.seconds)
    after = (
        f"then go on with {mitigation.resume:.0%} of the load for {show_duration(mitigation.resume_s)}"
        if mitigation.resume
        else "then end the run"
    )
    return [
        (
            "silence",
            f"when traffic suddenly stops: silent within 2 s, at most one attempt per second; wait up to "
            f"{show_duration(waits)} for its end (waiting counts as time of the run), {after}",
        )
    ]
