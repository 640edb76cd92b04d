"""Explain: a plan in words, for people, before anything is sent."""

import math
from collections.abc import Iterator

from maul.core.units import show_duration, show_size
from maul.plan.budget import peak_per_s
from maul.plan.ceiling import show_ceiling
from maul.plan.engine_plan import (
    ClosedArrivals,
    Constant,
    EnginePlan,
    FixedSizes,
    LognormalSizes,
    OpenArrivals,
    Ramp,
    Sine,
    Think,
    TraceArrivals,
    UniformSizes,
)
from maul.plan.model import FaultPlan, ObjectivePlan, PassPlan, PhasePlan, Plan, SearchPlan, TenantPlan
from maul.plan.resuming import told_of
from maul.plan.telling_fleet import fleet_rows, link_rows

Row = tuple[str, str]  # a name at the left, a sentence at the right


def explain(plan: Plan) -> list[str]:
    """Who sends what, when, how much, under which ceilings; one line each."""
    sections: list[tuple[str, list[Row]]] = [
        (_title(plan), list(_target(plan))),
        ("phases", [row for phase in plan.phases for row in _phase(plan, phase)]),
        ("judged by", list(_judged(plan))),
        ("ceilings (kept by the plan, by the engine and by the guard)", list(_ceilings(plan))),
        ("fleet", list(fleet_rows(plan.fleet)) if plan.fleet else []),
        ("what the fullest links will carry", list(link_rows(plan.fleet.links)) if plan.fleet else []),
        ("to note", [("", note) for note in (*plan.notes, *(plan.fleet.notes if plan.fleet else ()))]),
    ]
    width = max(len(name) for _, rows in sections for name, _ in rows)
    lines: list[str] = []
    for title, rows in sections:
        if rows:
            lines += ["", title, *(f"  {name:<{width}}  {says}" for name, says in rows)]
    return lines[1:]


def _title(plan: Plan) -> str:
    return f"{plan.campaign} on site {plan.site}, seed {plan.seed}, plan {plan.hash[:12]}"


def _target(plan: Plan) -> Iterator[Row]:
    yield "target", f"{plan.target}, every key under {plan.prefix}"
    if plan.permit is not None:
        signed = ", ".join(plan.permit.approved_by)
        yield (
            "permit",
            f"{plan.permit.name}, until {plan.permit.not_after}, signed by {signed}; {plan.permit.hash[:12]}",
        )
    if not plan.tenant_names:
        yield "signed", f"region {plan.region}, {_credentials(plan.tenants[0])}"
    loaded = next((phase.passes for phase in plan.phases if phase.timed), ())
    for one in loaded:
        yield from _clients(plan, one)
    if loaded:
        limits, timeouts = [one.engine.limits for one in loaded], loaded[0].engine.timeouts
        yield (
            "generator",
            f"{_count(plan.shards, 'shard')} on {_count(plan.cores, 'core')}; at most "
            f"{sum(one.connections for one in limits)} connections, {sum(one.in_flight for one in limits)} requests in "
            f"flight; timeouts {_ms(timeouts.connect_ms)} connect, {_ms(timeouts.request_ms)} request",
        )
        yield "ceiling", show_ceiling(plan.ceiling)


def _clients(plan: Plan, one: PassPlan) -> Iterator[Row]:
    """One tenant: who it is, what it does, how."""
    tenant, engine = plan.tenants[one.tenant], one.engine
    if tenant.name:
        yield f"tenant {tenant.name}", f"bucket {tenant.bucket}, region {plan.region}, {_credentials(tenant)}"
    yield "clients", _mix(engine)
    yield "objects", f"{engine.keyspace.objects:,}, {_sizes(engine)}, {_keys(engine)}"
    made = [*_made(engine), *_bucket(tenant)]
    if made:
        yield "requests", "; ".join(made)


def _credentials(tenant: TenantPlan) -> str:
    source = tenant.credentials
    names = (source.access_key_env, source.secret_key_env, source.session_token_env)
    return {
        "anonymous": "unsigned requests",
        "file": f"credentials from {source.file}",
        "environment": f"credentials from {' and '.join(f'${name}' for name in names if name)}",
    }[source.kind]


def _made(engine: EnginePlan) -> Iterator[str]:
    """How requests are made, where it is not the plainest way."""
    s3 = engine.s3
    if s3.payload != "unsigned":
        yield f"payload {s3.payload}"
    if s3.checksum is not None:
        yield f"{s3.checksum.algorithm} in the {s3.checksum.place}"
    if s3.encryption is not None:
        yield s3.encryption
    if s3.addressing != "path":
        yield "bucket before the host"


def _bucket(tenant: TenantPlan) -> Iterator[str]:
    if tenant.object_lock:
        yield "a bucket with object lock"
    elif tenant.versioning:
        yield "a bucket with versions"


def _phase(plan: Plan, phase: PhasePlan) -> Iterator[Row]:
    amount, about = phase.expected, "at most " if phase.search else "" if phase.timed else "about "
    yield (
        phase.name,
        f"{phase.kind}: {about}{show_duration(phase.seconds)}, {_count(amount.operations, 'operation')}, "
        f"{show_size(amount.bytes_sent)} sent, {show_size(amount.bytes_received)} received, "
        f"through {', '.join(phase.endpoints)}",
    )
    if phase.search is not None:
        yield from (("", f"  {line}") for line in _search(phase.search))
    for one in phase.passes if phase.search is None else ():
        yield "", f"  {_pass(plan, phase, one)}"
    if phase.until:
        rows = f"{phase.until.levels} levels in a row" if phase.until.levels > 1 else "a level"
        yield "", f"  ends early when {rows} answered less than {phase.until.achieved_below:.0%} well"
    for fault in plan.faults_of(phase.name):
        yield "", f"  {_fault(fault)}"


def _search(search: SearchPlan) -> Iterator[str]:
    unit = search.bytes_per_operation
    low, high = (
        _rate(rate) if unit is None else f"{show_size(rate * unit)}/s" for rate in (search.from_per_s, search.to_per_s)
    )
    what = {"requests": "requests", "bytes": "bytes of large objects", "connections": "new connections"}[search.axis]
    yield f"the highest rate of {what} that meets the objectives, between {low} and {high}, to {search.width:.0%}"
    yield (
        f"trials of {show_duration(search.trial_s)} to {show_duration(search.confirm_s)}; after a bad one at most "
        f"{show_duration(search.cool_down_s)} at {low}; then a soak of {show_duration(search.soak_s)}"
    )


def _pass(plan: Plan, phase: PhasePlan, one: PassPlan) -> str:
    if not phase.timed:
        at_once = one.engine.limits.in_flight
        objects = _count(one.expected.operations, "object")
        at_most = "at most " if one.region == "ephemeral" else ""
        return f"{one.engine.mix[0].op} {at_most}{objects} of {one.label}, {at_once} at once"
    who = f"{plan.tenants[one.tenant].name}: " if plan.tenant_names else ""
    return "; ".join([f"{who}{_pace(phase, one)}", *_use(one)])


def _pace(phase: PhasePlan, one: PassPlan) -> str:
    arrivals = one.engine.arrivals
    if isinstance(arrivals, ClosedArrivals):
        think = f", each thinking {_think(arrivals.think)}" if arrivals.think is not None else ""
        return (
            f"{_count(arrivals.concurrency, 'client')}{think}, each waiting for its answer: it slows down with the "
            "target and hides outages"
        )
    if isinstance(arrivals, TraceArrivals):
        return f"the arrivals of a trace, {show_duration(arrivals.seconds)}, whatever the target does"
    random = ", at random moments (Poisson)" if arrivals.process == "poisson" else ""
    return f"{_profile(phase, arrivals)}{random}, whatever the target does"


def _think(think: Think) -> str:
    mean = show_duration(think.mean_ms / 1000)
    return f"{mean} on average" if think.exponential else mean


def _use(one: PassPlan) -> Iterator[str]:
    """How connections are used, and who is slow."""
    use, slow = one.engine.connections, one.engine.slow
    if use.requests_each is not None:
        peak = peak_per_s(one.engine.arrivals)
        new = f": up to {_rate(peak / use.requests_each)} new ones" if peak else ""
        yield f"a connection for every {_count(use.requests_each, 'request')}{new}"
    if use.resumption < 1:
        yield f"{use.resumption:.0%} of TLS sessions resumed"
    if slow is not None and slow.readers:
        yield f"{slow.readers:.3g} of the reads taken at {show_size(slow.read_bytes_per_s)}/s"
    if slow is not None and slow.writers:
        yield f"{slow.writers:.3g} of the writes sent at {show_size(slow.write_bytes_per_s)}/s"


def _profile(phase: PhasePlan, arrivals: OpenArrivals) -> str:
    if len(arrivals.profile) == 1:
        return _segment(arrivals.profile[0])
    if len(phase.levels) > 1:
        rates = ", ".join(f"{segment.rate:,.0f}" for segment in arrivals.profile if isinstance(segment, Constant))
        each_s = phase.levels[0].end_s - phase.levels[0].start_s
        return f"{len(phase.levels)} levels of {show_duration(each_s)} at {rates} per second"
    return ", then ".join(f"{_segment(segment)} for {show_duration(segment.seconds)}" for segment in arrivals.profile)


def _segment(segment: Constant | Ramp | Sine) -> str:
    if isinstance(segment, Ramp):
        way = "rising" if segment.to_per_s >= segment.from_per_s else "falling"
        return f"{way} from {_rate(segment.from_per_s)} to {_rate(segment.to_per_s)}"
    if isinstance(segment, Sine):
        low, high = segment.rate - segment.amplitude, segment.rate + segment.amplitude
        return f"swinging between {_rate(low)} and {_rate(high)} every {show_duration(segment.period_s)}"
    return _rate(segment.rate)


def _fault(fault: FaultPlan) -> str:
    beyond = ", even beyond the redundancy" if fault.beyond_redundancy else ""
    return (
        f"fault {fault.name}: {fault.fault} on {fault.service} ({fault.role}) after {show_duration(fault.after_s)}, "
        f"healed {show_duration(fault.hold_s)} later{beyond}"
    )


def _judged(plan: Plan) -> Iterator[Row]:
    for objective in plan.objectives:
        who = "" if objective.tenant is None else f" for {plan.tenants[objective.tenant].name}"
        yield objective.name, f"{_objective(objective)}{who}, in {', '.join(objective.phases)}"
    yield "checks", ", ".join(plan.checks)


def _objective(objective: ObjectivePlan) -> str:
    what = objective.op or "all operations"
    if objective.errors_below is not None:
        return f"less than {100 * objective.errors_below:g}% of {what} not answered well"
    below = show_duration((objective.latency_below_ms or 0.0) / 1000)
    return f"p{objective.percentile:g} of {what} below {below}"


def _ceilings(plan: Plan) -> Iterator[Row]:
    limits, expected = plan.limits, plan.expected
    yield "requests", f"{expected.requests:,} planned of {limits.requests:,}"
    yield "bytes", f"{show_size(expected.bytes)} planned of {show_size(limits.bytes)}"
    yield "time", f"about {show_duration(plan.seconds)} of {show_duration(limits.seconds)}"
    speed = f"{_rate(limits.rate_per_s)}, {show_size(limits.bytes_per_s)}/s"
    yield "speed", f"{speed}, {limits.in_flight} requests in flight"
    yield (
        "errors",
        f"the run stops above {100 * limits.error_ratio:g}% over {show_duration(limits.error_window_s)}",
    )
    yield "disk", f"the run stops with less than {show_size(limits.disk_free_bytes)} left for its record"
    yield from told_of(plan)


def _mix(engine: EnginePlan) -> str:
    total = math.fsum(entry.weight for entry in engine.mix)
    mix = sorted(engine.mix, key=lambda entry: -entry.weight)
    return ", ".join(f"{entry.op} {100 * entry.weight / total:.3g} %" for entry in mix)


def _sizes(engine: EnginePlan) -> str:
    sizes = engine.sizes
    if isinstance(sizes, FixedSizes):
        return f"{show_size(sizes.bytes)} each"
    if isinstance(sizes, UniformSizes):
        return f"{show_size(sizes.min)} to {show_size(sizes.max)}, evenly"
    if isinstance(sizes, LognormalSizes):
        return f"lognormal around {show_size(sizes.median)} (sigma {sizes.sigma:g}), at most {show_size(sizes.max)}"
    total = math.fsum(bucket.weight for bucket in sizes.buckets)
    return ", ".join(f"{show_size(b.bytes)} {100 * b.weight / total:.3g} %" for b in sizes.buckets if b.weight)


def _keys(engine: EnginePlan) -> str:
    choice = engine.keyspace.choice
    if choice.kind == "hot_set":
        moves = f", moving every {show_duration(choice.moves_every_s)}" if choice.moves_every_s else ""
        return f"{choice.traffic:.3g} of the traffic on {choice.keys:.3g} of the keys{moves}"
    words = {"latest": "the newest first", "churn": "what was created and not deleted"}
    skew = f" {choice.exponent:g}" if choice.exponent is not None else ""
    return f"keys {choice.kind}{skew}" if choice.kind not in words else f"{words[choice.kind]}{skew}"


def _rate(per_s: float) -> str:
    return f"{per_s:,.6g}/s" if per_s < 1000 else f"{per_s:,.0f}/s"


def _ms(milliseconds: int) -> str:
    return show_duration(milliseconds / 1000)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
