"""From a phase of the campaign to its engines. Pure; one function per kind of phase, and the table of them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from maul.campaign.model_mix import DELETES, OpName
from maul.campaign.model_phases import (
    AuditPhase,
    CleanUpPhase,
    LoadPhase,
    Phase,
    PreparePhase,
    TimedPhase,
    WarmUpPhase,
)
from maul.campaign.model_workload import Workload
from maul.plan.costs import SERVICE_S, amount, cost_of, mean_cost
from maul.plan.engine_plan import ClosedArrivals, KeyChoice, Keyspace, RegionName
from maul.plan.ground import Errand, Ground, Portion, engine_plan
from maul.plan.model import Amount, EndpointPlan, LevelPlan, PassPlan, PhasePlan, UntilPlan
from maul.plan.pacing import Pace, paces, portions, replays
from maul.plan.shapes import engine_keys

SEQUENTIAL = KeyChoice(kind="sequential")


@dataclass(frozen=True, slots=True)
class Written:
    """What earlier phases may have left of one tenant: objects by region, at most."""

    base: int = 0
    ephemeral: int = 0
    multipart: int = 0
    copy: int = 0

    def regions(self) -> Iterator[tuple[RegionName, int]]:
        """The regions that may hold something."""
        regions: tuple[tuple[RegionName, int], ...] = (
            ("base", self.base),
            ("ephemeral", self.ephemeral),
            ("multipart", self.multipart),
            ("copy", self.copy),
        )
        return ((region, count) for region, count in regions if count)


@dataclass(frozen=True, slots=True)
class Scene:
    """One tenant before a phase."""

    ground: Ground
    written: Written


Maker = Callable[[Sequence[Scene], Any], PhasePlan]


def phase_plans(grounds: Sequence[Ground]) -> tuple[PhasePlan, ...]:
    """All phases, in order, for all tenants."""
    scenes, plans = [Scene(ground, Written()) for ground in grounds], []
    for phase in grounds[0].campaign.phases:
        plan = _BY_KIND[type(phase)](scenes, phase)
        plans.append(plan)
        scenes = [Scene(scene.ground, _after(scene, phase, _loads(plan, scene))) for scene in scenes]
    return tuple(plans)


def _loads(plan: PhasePlan, scene: Scene) -> PassPlan | None:
    """What a tenant did in a timed phase."""
    if not plan.timed:
        return None
    return next((one for one in plan.passes if one.tenant == scene.ground.party.index), None)


def _after(scene: Scene, phase: Phase, loaded: PassPlan | None) -> Written:
    written, workload = scene.written, scene.ground.workload
    weights = workload.mix.by_op()
    if isinstance(phase, PreparePhase):
        multipart = workload.multipart.objects if "get_part" in weights else written.multipart
        return replace(written, base=workload.objects, multipart=multipart)
    if loaded is None:
        return written
    sent = {entry.op: entry.weight for entry in loaded.engine.mix}
    return left_by(workload, sent, loaded.expected.operations, written)


def left_by(workload: Workload, weights: Mapping[OpName, float], operations: int, written: Written) -> Written:
    """What is there at most after so many operations of a mix."""
    part = operations / math.fsum(weights.values())
    deleted = sum(weights.get(op, 0.0) * (workload.multi_delete_keys if op == "multi_delete" else 1) for op in DELETES)
    begun = weights.get("aborted_put", 0.0) + weights.get("put_if_none_match", 0.0)
    # A share of the PUTs creates one ephemeral key per deleted one; a DELETE that finds none creates one more.
    # Uploads that are given up, and those that must not replace anything, take new keys, too.
    puts = any(op in weights for op in ("put", "presigned_put", "put_if_match", "put_if_none_match"))
    copies = "copy" in weights or "multipart_copy" in weights
    return Written(
        base=workload.objects if puts else written.base,
        ephemeral=written.ephemeral + math.ceil(part * (2 * deleted + begun)),
        multipart=workload.multipart.objects if "multipart" in weights else written.multipart,
        copy=workload.objects if copies else written.copy,
    )


def prepare_plan(scenes: Sequence[Scene], phase: PreparePhase) -> PhasePlan:
    """Every object is put once."""
    passes: list[PassPlan] = []
    for scene in scenes:
        workload, doors = scene.ground.workload, scene.ground.endpoints
        passes.append(_once(scene.ground, phase, _Sweep("put", "base", workload.objects, doors)))
        if "get_part" in workload.mix.by_op():  # its parts must be there before they are read
            shape = _Sweep("multipart", "multipart", workload.multipart.objects, doors)
            passes.append(_once(scene.ground, phase, shape))
    return _phase(phase, scenes[0].ground.endpoints, tuple(passes))


def audit_plan(scenes: Sequence[Scene], phase: AuditPhase) -> PhasePlan:
    """Everything written is read through every door."""
    ground = scenes[0].ground
    doors = tuple(ground.doors[name] for name in phase.through) or ground.audited
    passes = [
        _once(scene.ground, phase, _Sweep("get", region, count, (door,), offset, f"{region} through {door.name}"))
        for scene in scenes
        for offset, door in enumerate(doors)
        for region, count in scene.written.regions()
    ]
    return _phase(phase, doors, tuple(passes), listing=phase.listing)


def clean_up_plan(scenes: Sequence[Scene], phase: CleanUpPhase) -> PhasePlan:
    """Everything written is deleted."""
    passes = [
        _once(scene.ground, phase, _Sweep("delete", region, count, scene.ground.endpoints))
        for scene in scenes
        for region, count in scene.written.regions()
    ]
    return _phase(phase, scenes[0].ground.endpoints, tuple(passes))


def _timed(scenes: Sequence[Scene], phase: TimedPhase) -> PhasePlan:
    grounds = [scene.ground for scene in scenes if replays(scene.ground, phase)]
    made = paces(grounds, phase)
    rows = zip(grounds, made, portions(grounds, made), strict=True)
    passes = [_loaded(ground, phase, pace, portion) for ground, pace, portion in rows]
    total = sum((one.expected for one in passes), Amount())
    until = phase.until if isinstance(phase, LoadPhase) else None
    return _phase(
        phase,
        grounds[0].endpoints,
        tuple(_parted(one, total) for one in passes),
        timed=True,
        levels=_levels(phase),
        until=UntilPlan(achieved_below=until.achieved_below, levels=until.levels) if until else None,
    )


def _loaded(ground: Ground, phase: TimedPhase, pace: Pace, portion: Portion) -> PassPlan:
    """One tenant's part of a timed phase."""
    workload = ground.workload
    weights = pace.mix if pace.mix is not None else workload.mix.by_op()
    errand = Errand(
        phase.name,
        ground.endpoints,
        Keyspace(objects=workload.objects, choice=engine_keys(workload)),
        weights,
        pace.arrivals,
        portion,
        phase.connections or workload.connections,
        phase.slow or workload.slow,
    )
    return PassPlan(
        label=ground.party.name or "load",
        region="base",
        tenant=ground.party.index,
        ephemeral_end=pace.ephemeral_end,
        expected=amount(pace.operations, mean_cost(weights, workload)),
        seconds=pace.seconds,
        engine=engine_plan(ground, errand),
    )


def _parted(one: PassPlan, total: Amount) -> PassPlan:
    """With its part of what all together may use."""
    return one.model_copy(
        update={
            "requests_part": one.expected.requests / total.requests if total.requests else 1.0,
            "bytes_part": one.expected.bytes / total.bytes if total.bytes else 1.0,
        }
    )


_BY_KIND: dict[type, Maker] = {
    PreparePhase: prepare_plan,
    WarmUpPhase: _timed,
    LoadPhase: _timed,
    AuditPhase: audit_plan,
    CleanUpPhase: clean_up_plan,
}


@dataclass(frozen=True, slots=True)
class _Sweep:
    """One operation on every key of a region, once."""

    op: Literal["put", "get", "delete", "multipart"]
    region: RegionName
    objects: int
    doors: tuple[EndpointPlan, ...]
    endpoint_offset: int = 0
    label: str = ""


def _once(ground: Ground, phase: PreparePhase | AuditPhase | CleanUpPhase, sweep: _Sweep) -> PassPlan:
    """A closed loop that passes over the region exactly once."""
    label = sweep.label or sweep.region
    limits = ground.campaign.limits
    keyspace = Keyspace(objects=sweep.objects, choice=SEQUENTIAL, region=sweep.region, delete_from="base")
    arrivals = ClosedArrivals(concurrency=phase.concurrency, seconds=limits.duration_s, requests=sweep.objects)
    portion = Portion(limits.rate_per_s, float(limits.bandwidth_bytes_per_s), phase.concurrency, phase.concurrency)
    errand = Errand(f"{phase.name}/{label}", sweep.doors, keyspace, {sweep.op: 1.0}, arrivals, portion)
    whole = float(ground.workload.multipart.object_bytes) if sweep.region == "multipart" else None
    expected = amount(sweep.objects, cost_of(sweep.op, ground.workload, whole))
    return PassPlan(
        label=f"{label} of {ground.party.name}" if ground.party.name else label,
        region=sweep.region,
        tenant=ground.party.index,
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


def _phase(
    phase: Phase, doors: tuple[EndpointPlan, ...], passes: tuple[PassPlan, ...], *, timed: bool = False, **more: Any
) -> PhasePlan:
    return PhasePlan(
        name=phase.name,
        kind=phase.kind,
        timed=timed,
        seconds=max(one.seconds for one in passes) if timed else math.fsum(one.seconds for one in passes),
        expected=sum((one.expected for one in passes), Amount()),
        endpoints=tuple(door.name for door in doors),
        passes=passes,
        **more,
    )


def _levels(phase: TimedPhase) -> tuple[LevelPlan, ...]:
    if not phase.steps:
        return ()
    each_s = phase.steps.each_s
    return tuple(
        LevelPlan(start_s=round(index * each_s, 6), end_s=round((index + 1) * each_s, 6), rate_per_s=rate)
        for index, rate in enumerate(phase.steps.rates_per_s())
    )
