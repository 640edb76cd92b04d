"""Limiting: the phases of `maul limit`. Fill, one search per axis, audit if the campaign has one, clean-up. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from maul.campaign import Campaign
from maul.campaign.model_judgement import Objective
from maul.campaign.model_mix import OpName
from maul.campaign.model_phases import AuditPhase, CleanUpPhase, PreparePhase
from maul.campaign.model_search import AxisName
from maul.campaign.problems import Problem
from maul.core.units import show_size
from maul.plan.costs import Cost, amount, cost_of, mean_cost
from maul.plan.engine_plan import Connections, Constant, EnginePlan, FixedSizes, KeyChoice, Keyspace, OpenArrivals
from maul.plan.ground import Errand, Ground, derived_seed, engine_plan
from maul.plan.model import Amount, PassPlan, PhasePlan, SearchPlan
from maul.plan.pacing import whole_portion
from maul.plan.passes import Scene, Written, audit_plan, clean_up_plan, left_by, prepare_plan
from maul.plan.search import Goal, rehearse
from maul.plan.shapes import engine_keys
from maul.plan.steady import steady_pass

FROM_PER_S: dict[AxisName, float] = {"requests": 50.0, "bytes": 10.0, "connections": 20.0}  # in operations
FROM_SHARE = 0.25  # of `to`, where the rate above is too high a beginning
MOVE_OVERHEAD_S = 1.0  # connections are made, the last answers awaited
REHEARSALS = 12  # the plan counts with the most expensive of so many places where the limit may be
FILL_CONCURRENCY = 16


@dataclass(frozen=True, slots=True)
class LimitWish:
    """What the command line asks of a search; None and empty leave the campaign's own. Rates as people write them."""

    axes: tuple[AxisName, ...] = ()
    from_rate: str | None = None
    to_rate: str | None = None
    quick: bool = False

    def changes(self, campaign: Campaign) -> dict[str, Any]:
        """What to change in the campaign's `limit` section."""
        axes = self.axes or campaign.limit.axes
        given = {key: rate for key, rate in (("from", self.from_rate), ("to", self.to_rate)) if rate is not None}
        wishes: dict[str, Any] = {"axes": axes} | {axis: given for axis in axes if given}
        return wishes | (QUICK if self.quick else {})


QUICK = {"trial": 3.0, "confirm": 8.0, "soak": 8.0, "cool_down": 15.0, "width": 0.15}
"""Little more than a minute for an axis; the answer is wider and less sure."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis in operations per second."""

    name: AxisName
    goal: Goal
    mix: dict[OpName, float]
    cost: Cost
    bytes_per_operation: float | None
    """Of body; None where the axis counts something else."""
    objectives: tuple[str, ...]

    @property
    def phase(self) -> str:
        return f"limit-{self.name}"


def limit_phases(ground: Ground) -> tuple[PhasePlan, ...]:
    """Every phase of the search. Ask `limit_problems` first."""
    campaign = ground.campaign
    axes = _axes(campaign)
    fill = _first(campaign, PreparePhase) or PreparePhase(name="fill", kind="prepare", concurrency=_concurrency(ground))
    plans = [prepare_plan((Scene(ground, Written()),), fill)]
    large = next((axis for axis in axes if axis.name == "bytes"), None)
    if large is not None:
        plans.append(_fill_large(ground, fill.concurrency))
    searches = [_search(ground, axis) for axis in axes]
    scene = Scene(ground, _written(ground, searches))
    audit = _first(campaign, AuditPhase)
    tidy = _first(campaign, CleanUpPhase) or CleanUpPhase(
        name="clean-up", kind="clean-up", concurrency=_concurrency(ground)
    )
    after = [clean_up_plan((scene,), tidy)]
    if audit is not None:
        after.insert(0, audit_plan((scene,), audit))
    if large is not None:
        after = [_with_large(ground, phase) for phase in after]
    return (*plans, *searches, *after)


def limit_problems(campaign: Campaign) -> Iterator[Problem]:
    """What speaks against searching, with the arithmetic."""
    if not campaign.objectives:
        yield Problem(
            ("objectives",),
            "there is no objective, and a limit is the highest rate that still meets them; "
            "add one, such as {name: quick, phases: [...], percentile: 99, latency_below: 250ms}",
        )
        return
    if campaign.tenants:
        yield Problem(
            ("tenants",), "a search loads the target as one customer; leave tenants out, or search for each alone"
        )
        return
    for axis in _axes(campaign):
        yield from _axis_problems(campaign, axis)


def limit_objectives(campaign: Campaign) -> dict[str, tuple[str, ...]]:
    """The phases of the search that each objective decides; those that decide none are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for axis in _axes(campaign):
        for name in axis.objectives:
            found[name] = (*found.get(name, ()), axis.phase)
    return found


def limit_peak(campaign: Campaign) -> tuple[float, float]:
    """The heaviest moment of all searches: (operations per second, bytes per second)."""
    axes = _axes(campaign)
    return max(axis.goal.to_per_s for axis in axes), max(axis.goal.to_per_s * axis.cost.bytes for axis in axes)


def trial_pass(phase: PhasePlan, number: int, rate_per_s: float, seconds: float) -> PassPlan:
    """The pass of one move of a search: this rate, for this long, with random choices of its own."""
    (template,), search = phase.passes, phase.search
    if search is None:
        raise ValueError(f"{phase.name} is no search")
    return steady_pass(template, f"{phase.name} {number}", str(number), rate_per_s, seconds)


# ---------------------------------------------------------------- the axes


def _axes(campaign: Campaign) -> list[_Axis]:
    return [_axis(campaign, name) for name in campaign.limit.axes]


def _axis(campaign: Campaign, name: AxisName) -> _Axis:
    limit, workload = campaign.limit, campaign.workload
    mix, size = _mix(campaign, name), limit.bytes.size_bytes
    if name == "bytes":
        total = math.fsum(mix.values())
        parts = [(weight / total, cost_of(op, workload, float(size))) for op, weight in mix.items()]
        cost = Cost(1.0, sum(w * one.sent for w, one in parts), sum(w * one.received for w, one in parts))
        low, high = limit.bytes.from_bytes_per_s, limit.bytes.to_bytes_per_s
        asked = (low / size if low else None, high / size if high else None)
    else:
        cost = mean_cost(mix, workload)
        own = limit.requests if name == "requests" else limit.connections
        asked = (own.from_per_s, own.to_per_s)
    allowed = min(campaign.limits.rate_per_s, campaign.limits.bandwidth_bytes_per_s / cost.bytes)
    to_per_s = asked[1] if asked[1] is not None else allowed
    from_per_s = asked[0] if asked[0] is not None else min(FROM_PER_S[name], to_per_s * FROM_SHARE)
    goal = Goal(
        from_per_s=from_per_s,
        to_per_s=to_per_s,
        trial_s=limit.trial_s,
        confirm_s=limit.confirm_s,
        soak_s=limit.soak_s,
        width=limit.width,
        cool_down_s=limit.cool_down_s,
        seconds_max=limit.search_s,
    )
    return _Axis(name, goal, mix, cost, float(size) if name == "bytes" else None, _decide(campaign, name, mix))


def _mix(campaign: Campaign, name: AxisName) -> dict[OpName, float]:
    if name == "requests":
        return campaign.workload.mix.by_op()
    return campaign.limit.bytes.mix.by_op() if name == "bytes" else {"head": 1.0}


def _decide(campaign: Campaign, axis: AxisName, mix: dict[OpName, float]) -> tuple[str, ...]:
    named: tuple[str, ...] = getattr(campaign.limit, axis).objectives

    def fits(objective: Objective) -> bool:
        return objective.op is None or objective.op in mix

    return tuple(one.name for one in campaign.objectives if (one.name in named if named else fits(one)))


def _axis_problems(campaign: Campaign, axis: _Axis) -> Iterator[Problem]:
    path, goal, limits = ("limit", axis.name), axis.goal, campaign.limits
    if not axis.objectives:
        ops = ", ".join(axis.mix)
        yield Problem(
            (*path, "objectives"),
            f"no objective speaks of what this axis sends ({ops}); add one without op, or with one of these",
        )
    by_name = {objective.name: objective for objective in campaign.objectives}
    for name in axis.objectives:
        op = by_name[name].op
        if op is not None and op not in axis.mix:
            yield Problem((*path, "objectives"), f'"{name}" asks of {op}, which this axis never sends; drop it')
    if goal.from_per_s >= goal.to_per_s:
        yield Problem(
            (*path, "from"),
            f"from ({_shown(axis, goal.from_per_s)}) is not below to ({_shown(axis, goal.to_per_s)}); lower it",
        )
    if goal.to_per_s > limits.rate_per_s:
        says = f"to is {_shown(axis, goal.to_per_s)}"
        if axis.bytes_per_operation is not None:
            size = show_size(axis.bytes_per_operation)
            says += f" ÷ {size} an object = {goal.to_per_s:g} operations per second"
        yield Problem(
            (*path, "to"), f"{says}, above limits.rate ({limits.rate_per_s:g}/s); lower to or raise the limit"
        )
    heaviest = goal.to_per_s * axis.cost.bytes
    if heaviest > limits.bandwidth_bytes_per_s * (1 + 1e-9):
        yield Problem(
            (*path, "to"),
            f"{goal.to_per_s:g}/s × {show_size(axis.cost.bytes)} an operation, headers included = "
            f"{show_size(heaviest)}/s, above limits.bandwidth ({show_size(limits.bandwidth_bytes_per_s)}/s); "
            "lower to or raise the limit",
        )


def _shown(axis: _Axis, per_s: float) -> str:
    return f"{per_s:g}/s" if axis.bytes_per_operation is None else f"{show_size(per_s * axis.bytes_per_operation)}/s"


# ---------------------------------------------------------------- the phases


def _search(ground: Ground, axis: _Axis) -> PhasePlan:
    workload = ground.workload
    large = axis.name == "bytes"
    keyspace = _large_keys(ground) if large else Keyspace(objects=workload.objects, choice=engine_keys(workload))
    first = OpenArrivals(profile=(Constant(rate=axis.goal.from_per_s, seconds=axis.goal.trial_s),))
    engine = engine_plan(ground, Errand(axis.phase, ground.endpoints, keyspace, axis.mix, first, whole_portion(ground)))
    if large:
        engine = _with_large_sizes(ground, engine)
    if axis.name == "connections":
        engine = engine.model_copy(update={"connections": Connections(requests_each=1, resumption=0.0)})
    operations, seconds = _most(axis.goal)
    expected = amount(operations, axis.cost)
    one = PassPlan(label=axis.phase, region="base", expected=expected, seconds=seconds, engine=engine)
    return PhasePlan(
        name=axis.phase,
        kind="limit",
        timed=True,
        seconds=seconds,
        expected=expected,
        endpoints=tuple(door.name for door in ground.endpoints),
        passes=(one,),
        search=SearchPlan.of(axis.name, axis.goal, axis.bytes_per_operation),
    )


def _most(goal: Goal) -> tuple[int, float]:
    """The most operations, and the longest time, that a search for a limit anywhere would take."""
    ratio = goal.to_per_s / goal.from_per_s
    places = [goal.from_per_s * ratio ** (index / REHEARSALS) * 0.999 for index in range(1, REHEARSALS + 1)]
    histories = [rehearse(goal, limit) for limit in (*places, math.inf)]
    operations = max(sum(made.rate_per_s * made.seconds for made in history) for history in histories)
    seconds = max(sum(made.seconds + MOVE_OVERHEAD_S for made in history) for history in histories)
    return math.ceil(operations), round(seconds, 3)


def _large_keys(ground: Ground) -> Keyspace:
    """Beside the workload's own."""
    return Keyspace(
        objects=ground.campaign.limit.bytes.objects, choice=KeyChoice(kind="uniform"), start=ground.workload.objects
    )


def _with_large_sizes(ground: Ground, engine: EnginePlan) -> EnginePlan:
    return engine.model_copy(update={"sizes": FixedSizes(bytes=ground.campaign.limit.bytes.size_bytes)})


def _fill_large(ground: Ground, concurrency: int) -> PhasePlan:
    phase = PreparePhase(name="limit-bytes-fill", kind="prepare", concurrency=concurrency)
    return _as_large(ground, prepare_plan((Scene(ground, Written()),), phase))


def _as_large(ground: Ground, plan: PhasePlan) -> PhasePlan:
    """A sweep over the workload's base keys becomes one over the large objects."""
    passes = tuple(_large_pass(ground, one) for one in plan.passes)
    return plan.model_copy(update={"passes": passes, "expected": _sum(passes), "seconds": _seconds(passes)})


def _with_large(ground: Ground, plan: PhasePlan) -> PhasePlan:
    """An audit or clean-up goes over the large objects too, wherever it goes over the base."""
    large = [_large_pass(ground, one) for one in plan.passes if one.region == "base"]
    passes = (*plan.passes, *large)
    return plan.model_copy(update={"passes": passes, "expected": _sum(passes), "seconds": _seconds(passes)})


def _large_pass(ground: Ground, one: PassPlan) -> PassPlan:
    keys, size = _large_keys(ground), float(ground.campaign.limit.bytes.size_bytes)
    op = one.engine.mix[0].op
    keyspace = one.engine.keyspace.model_copy(update={"objects": keys.objects, "start": keys.start})
    engine = _with_large_sizes(ground, one.engine).model_copy(
        update={"keyspace": keyspace, "seed": derived_seed(one.engine.seed, "large")}
    )
    arrivals = engine.arrivals.model_copy(update={"requests": keys.objects})
    expected = amount(keys.objects, cost_of(op, ground.workload, size))
    slowest_s = expected.bytes / ground.campaign.limits.bandwidth_bytes_per_s
    return one.model_copy(
        update={
            "label": f"large {one.label}",
            "expected": expected,
            "seconds": round(max(one.seconds / max(1, one.expected.operations) * keys.objects, slowest_s), 3),
            "engine": engine.model_copy(update={"arrivals": arrivals}),
        }
    )


def _sum(passes: Sequence[PassPlan]) -> Amount:
    return sum((one.expected for one in passes), Amount())


def _seconds(passes: Sequence[PassPlan]) -> float:
    return math.fsum(one.seconds for one in passes)


def _written(ground: Ground, searches: Sequence[PhasePlan]) -> Written:
    """What the searches leave at most, beside the large objects."""
    mix = ground.workload.mix.by_op()
    multipart = ground.workload.multipart.objects if "get_part" in mix else 0
    written = Written(base=ground.workload.objects, multipart=multipart)
    for phase in searches:
        weights = {entry.op: entry.weight for entry in phase.passes[0].engine.mix}
        written = left_by(ground.workload, weights, phase.expected.operations, written)
    return written


def _concurrency(ground: Ground) -> int:
    return min(FILL_CONCURRENCY, ground.campaign.load.connections, ground.campaign.limits.in_flight)


def _first(campaign: Campaign, kind: type[Any]) -> Any:
    return next((phase for phase in campaign.phases if isinstance(phase, kind)), None)
