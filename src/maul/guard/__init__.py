"""Conscience: may this be hit, and must this stop?

Takes: resolved targets; the engine's status, the plan's limits, the time; samples of links and canaries.
Gives: `check_targets` (nothing, or PermitError), `decide` and `after_pass` (actions as data); for links `links.py`
(`decide_links`), before the ramp `trickle.py` (`judge_trickle`).
Never: resolves, connects, reads a clock, stops anything itself.
Start reading at: `permit.py`, then `watch.py`.
Add one by: a reason to stop = a function in `caps.py` and its line in `watch._stops`.
"""

from maul.guard.permit import ResolvedTarget, check_targets
from maul.guard.watch import (
    Action,
    EndPhase,
    Snapshot,
    StopRun,
    WatchLimits,
    WatchState,
    after_pass,
    decide,
    limits_for,
)

__all__ = [
    "Action",
    "EndPhase",
    "ResolvedTarget",
    "Snapshot",
    "StopRun",
    "WatchLimits",
    "WatchState",
    "after_pass",
    "check_targets",
    "decide",
    "limits_for",
]
