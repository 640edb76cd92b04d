"""From a phase of the campaign to its engines. Pure; one function per kind of phase, and the table of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from maul.campaign.model_phases import (
    AuditPhase,
    CleanUpPhase,
    LoadPhase,
    Phase,
    PreparePhase,
    TimedPhase,
    WarmUpPhase,
)
from maul.plan.costs import SERVICE_S, amount, cost_of, mean_cost
from maul.plan.engine_plan import (
    ClosedArrivals,
    Constant,
    KeyChoice,
    Keyspace,
    OpenArrivals,
    Ramp,
    RegionName,
)
from maul.plan.ground import Errand, Ground, engine_keys, engine_plan
from maul.plan.model import Amount, EndpointPlan, LevelPlan, PassPlan, PhasePlan, UntilPlan

SEQUENTIAL = KeyChoice(kind="sequential")


@dataclass(frozen=True, slots=True)
class Written:
    """What earlier phases may have left: objects by region, at most."""

    base: int = 0
    ephemeral: int = 0
    multipart: int = 0

    def regions(self) -> Iterator[tuple[RegionName, int]]:
        """The regions that may hold something."""
        regions: tuple[tuple[RegionName, int], ...] = (
            ("base", self.base),
            ("ephemeral", self.ephemeral),
            ("multipart", self.multipart),
        )
        return ((region, count) for region, count in regions if count)


def phase_plans(ground: Ground) -> tuple[PhasePlan, ...]:
    """All phases, in order."""
    written, plans = Written(), []
    for phase in ground.campaign.phases:
        plans.append(_BY_KIND[type(phase)](ground, phase, written))
        written = _after(ground, phase, written)
    return tuple(plans)


def _after(ground: Ground, phase: Phase, written: Written) -> Written:
    workload = ground.workload
    if isinstance(phase, PreparePhase):
        return replace(written, base=workload.objects)
    if not isinstance(phase, TimedPhase):
        return written
    weights = workload.mix.by_op()
    deletes = math.ceil(phase.arrivals) * weights.get("delete", 0.0) / math.fsum(weights.values())
    # A share of the PUTs creates one ephemeral key per DELETE; a DELETE that finds none creates one more.
    return Written(
        base=workload.objects if "put" in weights else written.base,
        ephemeral=written.ephemeral + math.ceil(2 * deletes),
        multipart=workload.multipart.objects if "multipart" in weights else written.multipart,
    )


def prepare_plan(ground: Ground, phase: PreparePhase, _written: Written | None = None) -> PhasePlan:
    """Every object is put once."""
    one_pass = _once(ground, phase, _Sweep("put", "base", ground.workload.objects, ground.endpoints))
    return _phase(phase, ground.endpoints, (one_pass,))


def audit_plan(ground: Ground, phase: AuditPhase, written: Written) -> PhasePlan:
    """Everything written is read through every door."""
    doors = tuple(ground.doors[name] for name in phase.through) or ground.audited
    passes = [
        _once(ground, phase, _Sweep("get", region, count, (door,), offset, f"{region} through {door.name}"))
        for offset, door in enumerate(doors)
        for region, count in written.regions()
    ]
    return _phase(phase, doors, tuple(passes), listing=phase.listing)


def clean_up_plan(ground: Ground, phase: CleanUpPhase, written: Written) -> PhasePlan:
    """Everything written is deleted."""
    passes = [
        _once(ground, phase, _Sweep("delete", region, count, ground.endpoints)) for region, count in written.regions()
    ]
    return _phase(phase, ground.endpoints, tuple(passes))


def _timed(ground: Ground, phase: TimedPhase, _written: Written) -> PhasePlan:
    workload, weights = ground.workload, ground.workload.mix.by_op()
    keyspace = Keyspace(objects=workload.objects, choice=engine_keys(workload))
    errand = Errand(phase.name, ground.endpoints, keyspace, weights, OpenArrivals(profile=_profile(phase)))
    one_pass = PassPlan(
        label="load",
        region="base",
        expected=amount(_arrivals(phase), mean_cost(weights, workload)),
        seconds=phase.seconds,
        engine=engine_plan(ground, errand),
    )
    until = phase.until if isinstance(phase, LoadPhase) else None
    return _phase(
        phase,
        ground.endpoints,
        (one_pass,),
        timed=True,
        levels=_levels(phase),
        until=UntilPlan(achieved_below=until.achieved_below, levels=until.levels) if until else None,
    )


_BY_KIND: dict[type, Callable[[Ground, Any, Written], PhasePlan]] = {
    PreparePhase: prepare_plan,
    WarmUpPhase: _timed,
    LoadPhase: _timed,
    AuditPhase: audit_plan,
    CleanUpPhase: clean_up_plan,
}


@dataclass(frozen=True, slots=True)
class _Sweep:
    """One operation on every key of a region, once."""

    op: Literal["put", "get", "delete"]
    region: RegionName
    objects: int
    doors: tuple[EndpointPlan, ...]
    endpoint_offset: int = 0
    label: str = ""


def _once(ground: Ground, phase: PreparePhase | AuditPhase | CleanUpPhase, sweep: _Sweep) -> PassPlan:
    """A closed loop that passes over the region exactly once."""
    label = sweep.label or sweep.region
    keyspace = Keyspace(objects=sweep.objects, choice=SEQUENTIAL, region=sweep.region, delete_from="base")
    arrivals = ClosedArrivals(
        concurrency=phase.concurrency,
        seconds=ground.campaign.limits.duration_s,
        requests=sweep.objects,
    )
    errand = Errand(f"{phase.name}/{label}", sweep.doors, keyspace, {sweep.op: 1.0}, arrivals)
    whole = float(ground.workload.multipart.object_bytes) if sweep.region == "multipart" else None
    expected = amount(sweep.objects, cost_of(sweep.op, ground.workload, whole))
    return PassPlan(
        label=label,
        region=sweep.region,
        endpoint_offset=sweep.endpoint_offset,
        expected=expected,
        seconds=_estimate_s(ground, sweep.op, phase.concurrency, expected),
        engine=engine_plan(ground, errand),
    )


def _estimate_s(ground: Ground, op: str, concurrency: int, expected: Amount) -> float:
    """How long an unpaced sweep may take: by service time, by the rate limit, by the bandwidth limit."""
    limits = ground.campaign.limits
    return round(
        max(
            expected.operations * SERVICE_S[op] / concurrency,
            expected.requests / limits.rate_per_s,
            expected.bytes / limits.bandwidth_bytes_per_s,
        ),
        3,
    )


def _phase(phase: Phase, doors: tuple[EndpointPlan, ...], passes: tuple[PassPlan, ...], **more: Any) -> PhasePlan:
    return PhasePlan(
        name=phase.name,
        kind=phase.kind,
        timed=more.pop("timed", False),
        seconds=math.fsum(one.seconds for one in passes),
        expected=sum((one.expected for one in passes), Amount()),
        endpoints=tuple(door.name for door in doors),
        passes=passes,
        **more,
    )


def _profile(phase: TimedPhase) -> tuple[Constant | Ramp, ...]:
    if phase.steps:
        return tuple(Constant(rate=rate, seconds=phase.steps.each_s) for rate in phase.steps.rates_per_s())
    if phase.ramp:
        ramp = phase.ramp
        return (Ramp(from_per_s=ramp.from_per_s, to_per_s=ramp.to_per_s, seconds=ramp.over_s),)
    return (Constant(rate=phase.rate_per_s or 0.0, seconds=phase.seconds),)


def _levels(phase: TimedPhase) -> tuple[LevelPlan, ...]:
    if not phase.steps:
        return ()
    each_s = phase.steps.each_s
    return tuple(
        LevelPlan(start_s=round(index * each_s, 6), end_s=round((index + 1) * each_s, 6), rate_per_s=rate)
        for index, rate in enumerate(phase.steps.rates_per_s())
    )


def _arrivals(phase: TimedPhase) -> int:
    """Rounded up, as the engine does."""
    return math.ceil(round(phase.arrivals, 6))
