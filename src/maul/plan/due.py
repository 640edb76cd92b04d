"""Due: how many arrivals a load has between two moments of it. Pure; the integral of its rate."""

import math

import numpy as np

from maul.plan.engine_plan import ClosedArrivals, Constant, OpenArrivals, Ramp, Sine, TraceArrivals
from maul.plan.trace import TRACE_DTYPE


def due_between(
    arrivals: OpenArrivals | TraceArrivals | ClosedArrivals, from_s: float, to_s: float, trace: bytes | None = None
) -> float:
    """Arrivals due in [from_s, to_s) of the load's own time, whosever they are; 0 for a closed loop, which has none.

    `trace`: the packed rows of a replay.

    >>> due_between(OpenArrivals(profile=(Constant(rate=10.0, seconds=5.0),)), 1.0, 9.0)
    40.0
    """
    from_s, to_s = max(0.0, from_s), max(0.0, to_s)
    if to_s <= from_s or isinstance(arrivals, ClosedArrivals):
        return 0.0
    if isinstance(arrivals, TraceArrivals):
        due_s = np.frombuffer(trace or b"", TRACE_DTYPE)["due_ns"] / 1e9
        return float(np.count_nonzero((due_s >= from_s) & (due_s < to_s)))
    total, begin_s = 0.0, 0.0
    for stretch in arrivals.profile:
        low, high = max(from_s, begin_s) - begin_s, min(to_s, begin_s + stretch.seconds) - begin_s
        if high > low:
            total += _integral(stretch, high) - _integral(stretch, low)
        begin_s += stretch.seconds
    return total


def length_s(arrivals: OpenArrivals | TraceArrivals | ClosedArrivals) -> float:
    """How long the load goes on."""
    if isinstance(arrivals, OpenArrivals):
        return math.fsum(stretch.seconds for stretch in arrivals.profile)
    return arrivals.seconds


def _integral(stretch: Constant | Ramp | Sine, seconds: float) -> float:
    if isinstance(stretch, Constant):
        return stretch.rate * seconds
    if isinstance(stretch, Ramp):
        slope = (stretch.to_per_s - stretch.from_per_s) / stretch.seconds if stretch.seconds else 0.0
        return stretch.from_per_s * seconds + slope * seconds * seconds / 2
    turn = 2 * math.pi / stretch.period_s
    return stretch.rate * seconds + stretch.amplitude / turn * (1 - math.cos(turn * seconds))
