"""Watch: the guard's one decision, asked at every tick: from what was seen so far to what to do. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maul.core.operation import ErrorClass
from maul.guard.caps import (
    Mark,
    Window,
    bytes_over,
    disk_low,
    errors_over,
    remember,
    requests_over,
    time_over,
)
from maul.guard.steps import StepRule, StepState, gave_way, next_step
from maul.plan import Amount, PassPlan, PhasePlan, Plan, RuntimeState

ERRORS = "error-ratio"


@dataclass(frozen=True, slots=True)
class StopRun:
    """End the whole run: heal, clean up, report. `reason` is a word for records, `says` the sentence for people."""

    reason: str
    says: str


@dataclass(frozen=True, slots=True)
class EndPhase:
    """End this phase; the run goes on."""

    reason: str
    says: str


Action = StopRun | EndPhase


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at the running engine (its counters count from its own start) and at the disk of the record."""

    elapsed_s: float
    offered: int
    started: int
    ok: int
    fail: int
    unknown: int
    dropped: int
    bytes_sent: int
    bytes_received: int
    missing: int = 0
    """Of the failures: NO_SUCH_KEY."""
    given_up: int = 0
    """Of the failures: given up by ourselves, on purpose."""
    disk_free_bytes: int | None = None
    """None: not known."""

    @classmethod
    def of(cls, status: Mapping[str, Any], disk_free_bytes: int | None = None) -> "Snapshot":
        """From the engine's status."""
        return cls(
            elapsed_s=float(status["elapsed_s"]),
            offered=int(status["offered"]),
            started=int(status["started"]),
            ok=int(status["ok"]),
            fail=int(status["fail"]),
            unknown=int(status["unknown"]),
            dropped=int(status["dropped"]),
            bytes_sent=int(status["bytes_sent"]),
            bytes_received=int(status["bytes_received"]),
            missing=_count(status.get("errors", {}), ErrorClass.NO_SUCH_KEY),
            given_up=_count(status.get("errors", {}), ErrorClass.GIVEN_UP),
            disk_free_bytes=disk_free_bytes,
        )


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What one pass is held against; made by `limits_for`."""

    requests: int
    bytes: int
    seconds: float
    run_began_ns: int
    error_ratio: float
    error_window_ns: int
    disk_free_bytes: int
    before: RuntimeState
    requests_per_operation: float = 1.0
    missing_is_error: bool = True
    """False where keys may rightly be gone: an audit reads what was deleted, too."""
    errors_end_phase: bool = False
    """True for a trial of a search: it is there to find out, and its end ends nothing else."""
    own_ceilings: bool = False
    """True for a clean-up: the run's totals and its time do not keep it from tidying up."""
    steps: StepRule | None = None


@dataclass(frozen=True, slots=True)
class WatchState:
    """What the guard remembers within one pass. Begin every pass with `WatchState()`."""

    window: Window = ()
    steps: StepState = field(default_factory=StepState)
    told: frozenset[str] = frozenset()


def limits_for(
    plan: Plan, phase: PhasePlan, passes: Sequence[PassPlan], before: RuntimeState, run_began_ns: int
) -> WatchLimits:
    """The limits of passes that run side by side: the plan's, and what earlier passes used of them."""
    expected, until = sum((pass_.expected for pass_ in passes), Amount()), phase.until
    return WatchLimits(
        requests=plan.limits.requests,
        bytes=plan.limits.bytes,
        seconds=plan.limits.seconds,
        run_began_ns=run_began_ns,
        error_ratio=plan.limits.error_ratio,
        error_window_ns=round(plan.limits.error_window_s * 1e9),
        disk_free_bytes=plan.limits.disk_free_bytes,
        before=before,
        requests_per_operation=expected.requests / expected.operations if expected.operations else 1.0,
        missing_is_error=phase.kind not in {"audit", "clean-up"},
        errors_end_phase=phase.kind == "limit",
        own_ceilings=phase.kind == "clean-up",
        steps=StepRule(phase.levels, until.achieved_below, until.levels) if until else None,
    )


def decide(
    state: WatchState, snapshot: Snapshot, limits: WatchLimits, clock_ns: int
) -> tuple[WatchState, tuple[Action, ...]]:
    """What to remember and what to do. Each action is given once; StopRun comes first."""
    now = _mark(snapshot, limits, clock_ns)
    window = remember(state.window, now, limits.error_window_ns)
    steps = state.steps
    if limits.steps is not None:
        steps = next_step(steps, limits.steps, snapshot.elapsed_s, snapshot.offered, snapshot.ok)
    wanted: list[Action] = [
        EndPhase(reason, says) if reason == ERRORS and limits.errors_end_phase else StopRun(reason, says)
        for reason, says in _stops(window, now, snapshot, limits).items()
        if says
    ]
    wanted.sort(key=lambda action: isinstance(action, EndPhase))
    gone = gave_way(steps, limits.steps) if limits.steps is not None else None
    if gone:
        wanted.append(EndPhase("gave-way", gone))
    actions = tuple(action for action in wanted if action.reason not in state.told)
    told = state.told | {action.reason for action in actions}
    return WatchState(window, steps, told), actions


def after_pass(stop_reason: str, phase: PhasePlan) -> StopRun | None:
    """What the end of an engine means for the run, by its `stop_reason`: ceilings and a lost lease end it.

    A clean-up that met a ceiling of its own ends nothing else: what is left is told by its proof.
    """
    if phase.kind == "clean-up":
        return None
    if stop_reason.startswith("limit:"):
        return StopRun(stop_reason, f"{phase.name} met the ceiling {stop_reason.removeprefix('limit:')} in the engine")
    if stop_reason == "lease":
        return StopRun("lease", f"{phase.name} fell silent: its lease was not renewed in time")
    return None


def _stops(window: Window, now: Mark, snapshot: Snapshot, limits: WatchLimits) -> dict[str, str | None]:
    """Every reason to stop the run, by its word."""
    reasons = {
        "disk-full": disk_low(snapshot.disk_free_bytes, limits.disk_free_bytes),
        ERRORS: errors_over(window, now, limits.error_window_ns, limits.error_ratio),
    }
    if limits.own_ceilings:
        return reasons
    before = limits.before
    requests = before.requests_used + math.ceil(snapshot.started * limits.requests_per_operation)
    moved = before.bytes_used + snapshot.bytes_sent + snapshot.bytes_received
    return {
        **reasons,
        "limit:requests": requests_over(requests, limits.requests),
        "limit:bytes": bytes_over(moved, limits.bytes),
        "limit:duration": time_over(now.at_ns, limits.run_began_ns, limits.seconds),
    }


def _mark(snapshot: Snapshot, limits: WatchLimits, clock_ns: int) -> Mark:
    bad = snapshot.fail + snapshot.unknown + snapshot.dropped - snapshot.given_up
    if not limits.missing_is_error:
        bad -= min(snapshot.missing, snapshot.fail)
    return Mark(clock_ns, snapshot.ok + snapshot.fail + snapshot.unknown + snapshot.dropped, bad)


def _count(errors: Mapping[Any, int], kind: ErrorClass) -> int:
    """The count of a class, whether classes are given by name or by number."""
    return sum(int(count) for name, count in errors.items() if name in {kind, kind.name})
