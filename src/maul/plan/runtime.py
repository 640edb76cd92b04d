"""What later passes depend on and only the run can tell: epochs, ephemeral keys, what is left of the ceilings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from maul.core.errors import InternalError
from maul.plan.engine_plan import ClosedArrivals, EngineLimits, EnginePlan
from maul.plan.model import PassPlan, PhasePlan, Plan

EPOCH_MAX = 65_535  # 16 bits of every version
CLEAN_UP_SECONDS_MIN = 60.0
CLEAN_UP_SLOWNESS = 4.0  # a clean-up may take this many times its estimate
CLEAN_UP_BYTES_EACH = 4096  # an answer to a DELETE has no body, unless it is an error
CLEAN_UP_SPARE = 256  # the engine splits its ceilings evenly over shards; the rest of a division must not stop one


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What happened so far. Begin with `RuntimeState()`; after every engine: `state = state.after(pass_, status)`."""

    epochs_used: int = 0
    ephemeral_next: int = 0
    requests_used: int = 0
    bytes_used: int = 0
    seconds_used: float = 0.0

    def after(self, pass_: PassPlan, status: Mapping[str, Any]) -> "RuntimeState":
        """The state after an engine ended with this last `status`."""
        expected = pass_.expected
        per_operation = expected.requests / expected.operations if expected.operations else 1.0
        return RuntimeState(
            epochs_used=self.epochs_used + 1,
            ephemeral_next=max(self.ephemeral_next, int(status["ephemeral_next"])),
            requests_used=self.requests_used + math.ceil(int(status["started"]) * per_operation),
            bytes_used=self.bytes_used + int(status["bytes_sent"]) + int(status["bytes_received"]),
            seconds_used=self.seconds_used + float(status["elapsed_s"]),
        )


def engine_plan_for(plan: Plan, phase: PhasePlan, pass_: PassPlan, state: RuntimeState) -> EnginePlan | None:
    """The engine plan of this pass now; None when there is nothing to do (no ephemeral key was ever made).

    Every engine gets a new epoch, the first free ephemeral key, and at most what is left of the run's ceilings; what
    used them up ends at once. A clean-up has ceilings of its own, sized by what there is to delete: a run that has
    used up its limits still cleans up.
    """
    if state.epochs_used >= EPOCH_MAX:
        raise InternalError(f"a run has at most {EPOCH_MAX} engines", phase.name, "split the campaign")
    template = pass_.engine
    objects = state.ephemeral_next if pass_.region == "ephemeral" else template.keyspace.objects
    if objects == 0:
        return None
    clean_up = phase.kind == "clean-up"
    limits = _clean_up_limits(pass_, objects) if clean_up else _left(plan, template, state)
    keyspace = template.keyspace.model_copy(update={"objects": objects, "ephemeral_start": state.ephemeral_next})
    arrivals = template.arrivals
    if isinstance(arrivals, ClosedArrivals):
        arrivals = arrivals.model_copy(update={"seconds": limits.seconds, "requests": objects})
    return template.model_copy(
        update={
            "epoch": state.epochs_used + 1,
            "keyspace": keyspace,
            "arrivals": arrivals,
            "limits": limits,
        }
    )


def _left(plan: Plan, template: EnginePlan, state: RuntimeState) -> EngineLimits:
    """What earlier passes left. An engine needs ceilings of at least 1; with 1 it ends as good as at once."""
    return template.limits.model_copy(
        update={
            "requests": max(1, plan.limits.requests - state.requests_used),
            "bytes": max(1, plan.limits.bytes - state.bytes_used),
            "seconds": max(1.0, min(template.limits.seconds, plan.limits.seconds - state.seconds_used)),
        }
    )


def _clean_up_limits(pass_: PassPlan, objects: int) -> EngineLimits:
    return pass_.engine.limits.model_copy(
        update={
            "requests": objects + CLEAN_UP_SPARE,
            "bytes": (objects + CLEAN_UP_SPARE) * CLEAN_UP_BYTES_EACH,
            "seconds": _clean_up_seconds(pass_, objects),
        }
    )


def _clean_up_seconds(pass_: PassPlan, objects: int) -> float:
    per_object_s = pass_.seconds / pass_.expected.operations if pass_.expected.operations else 0.0
    return round(max(CLEAN_UP_SECONDS_MIN, objects * per_object_s * CLEAN_UP_SLOWNESS), 3)
