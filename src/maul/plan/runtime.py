"""What later passes depend on and only the run can tell: epochs, ephemeral keys, what is left of the ceilings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
class Stretch:
    """Neighbouring keys of a region: `count` of them, from index `start` on."""

    start: int
    count: int


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What happened so far. Begin with `RuntimeState()`; after every engine: `state = state.after(pass_, status)`."""

    epochs_used: int = 0
    ephemeral_next: Mapping[int, int] = field(default_factory=dict)
    """By tenant: the first ephemeral index that nobody used; 0 where there is none."""
    ephemeral_more: Mapping[int, tuple[Stretch, ...]] = field(default_factory=dict)
    """By tenant: the new keys of engines that took over from others, besides those from 0 on."""
    take_overs: int = 0
    """Of the run, so far."""
    requests_used: int = 0
    bytes_used: int = 0
    seconds_used: float = 0.0

    def after(self, pass_: PassPlan, status: Mapping[str, Any]) -> "RuntimeState":
        """The state after an engine ended with this last `status`."""
        return self.after_all([(pass_, status)])

    def with_stretches(self, tenant: int, stretches: Sequence[Stretch]) -> "RuntimeState":
        """The state after take-overs whose engines made new keys in these stretches."""
        known = self.ephemeral_more.get(tenant, ())
        more = {**self.ephemeral_more, tenant: (*known, *(one for one in stretches if one.count))}
        return replace(self, ephemeral_more=more)

    def stretches(self, tenant: int) -> tuple[Stretch, ...]:
        """Where new keys of a tenant may lie."""
        first = Stretch(0, self.ephemeral_next.get(tenant, 0))
        return tuple(one for one in (first, *self.ephemeral_more.get(tenant, ())) if one.count)

    def after_all(
        self, ended: Sequence[tuple[PassPlan, Mapping[str, Any]]], epochs: int | None = None
    ) -> "RuntimeState":
        """The state after engines that ran side by side: what they used adds up, the time is that of the longest.

        `epochs`: how many engines it really took (default: one each), where a fleet splits each of them.
        """
        ephemeral = dict(self.ephemeral_next)
        for pass_, status in ended:
            ephemeral[pass_.tenant] = max(
                ephemeral.get(pass_.tenant, 0), int(status["ephemeral_next"]), pass_.ephemeral_end
            )
        return replace(
            self,
            epochs_used=self.epochs_used + (len(ended) if epochs is None else epochs),
            ephemeral_next=ephemeral,
            requests_used=self.requests_used + sum(_requests(pass_, status) for pass_, status in ended),
            bytes_used=self.bytes_used
            + sum(int(status["bytes_sent"]) + int(status["bytes_received"]) for _, status in ended),
            seconds_used=self.seconds_used + max(float(status["elapsed_s"]) for _, status in ended),
        )


def _requests(pass_: PassPlan, status: Mapping[str, Any]) -> int:
    expected = pass_.expected
    per_operation = expected.requests / expected.operations if expected.operations else 1.0
    return math.ceil(int(status["started"]) * per_operation)


def engine_plan_for(
    plan: Plan,
    phase: PhasePlan,
    pass_: PassPlan,
    state: RuntimeState,
    *,
    beside: int = 0,
    stretch: Stretch | None = None,
) -> EnginePlan | None:
    """The engine plan of this pass now; None when there is nothing to do (no ephemeral key was ever made).

    `beside`: how many engines of the same phase were made before this one and run beside it. `stretch`: of a sweep
    over new keys, those that are meant (default: those from 0 on).

    Every engine gets a new epoch, the first free ephemeral key, and at most what is left of the run's ceilings; what
    used them up ends at once. A clean-up has ceilings of its own, sized by what there is to delete: a run that has
    used up its limits still cleans up.
    """
    if state.epochs_used + beside >= EPOCH_MAX:
        raise InternalError(f"a run has at most {EPOCH_MAX} engines", phase.name, "split the campaign")
    template = pass_.engine
    ephemeral = state.ephemeral_next.get(pass_.tenant, 0)
    if pass_.region == "ephemeral":
        stretch = stretch or Stretch(0, ephemeral)
    else:
        stretch = Stretch(template.keyspace.start, template.keyspace.objects)
    objects = stretch.count
    if objects == 0:
        return None
    clean_up = phase.kind == "clean-up"
    limits = _clean_up_limits(pass_, objects) if clean_up else _left(plan, pass_, state)
    keyspace = template.keyspace.model_copy(
        update={"start": stretch.start, "objects": objects, "ephemeral_start": ephemeral}
    )
    arrivals = template.arrivals
    if isinstance(arrivals, ClosedArrivals) and not phase.timed:
        arrivals = arrivals.model_copy(update={"seconds": limits.seconds, "requests": objects})
    return template.model_copy(
        update={
            "epoch": state.epochs_used + beside + 1,
            "keyspace": keyspace,
            "arrivals": arrivals,
            "limits": limits,
        }
    )


def _left(plan: Plan, pass_: PassPlan, state: RuntimeState) -> EngineLimits:
    """What earlier passes left, and of it this pass's part.

    An engine needs ceilings of at least 1; with 1 it ends as good as at once.
    """
    limits = pass_.engine.limits
    return limits.model_copy(
        update={
            "requests": max(1, math.floor((plan.limits.requests - state.requests_used) * pass_.requests_part)),
            "bytes": max(1, math.floor((plan.limits.bytes - state.bytes_used) * pass_.bytes_part)),
            "seconds": max(1.0, min(limits.seconds, plan.limits.seconds - state.seconds_used)),
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
