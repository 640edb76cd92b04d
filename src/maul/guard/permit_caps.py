"""A plan held to a permit: refused with the arithmetic where it is above a cap, else with the caps in its ceilings."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.core.errors import PermitError
from maul.core.units import show_bitrate
from maul.guard.permit_document import Caps, Permit
from maul.guard.verified import VerifiedPermit
from maul.plan import PassPlan, PhasePlan, Plan
from maul.plan.budget import peak_per_s
from maul.plan.costs import HEADER_BYTES
from maul.plan.engine_plan import EngineLimits
from maul.plan.model import PermitPlan

_PROBLEMS_SHOWN_MAX = 20


def hold(plan: Plan, permit: VerifiedPermit) -> Plan:
    """The plan with the permit in it: no engine may go above its caps. PermitError when the plan means to.

    What the plan paces (open profiles) must stay below the caps by itself; what it does not pace (filling, audits,
    clean-up, closed loops, traces) gets ceilings that keep it there, and takes longer.
    """
    problems = [*_not_covered(plan, permit.permit), *_above_caps(plan, permit.permit), *_links(plan, permit.permit)]
    if problems:
        shown = problems[:_PROBLEMS_SHOWN_MAX]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise PermitError(
            "\n".join(
                [f"the plan goes beyond the permit {permit.permit.name}:", *(f"  {one}" for one in shown + more)]
            ),
            cure="plan less, or have a new permit signed: `maul permit draft`",
        )
    caps = {target.name: target.caps for target in permit.permit.targets}
    phases = tuple(_held_phase(phase, caps) for phase in plan.phases)
    return plan.model_copy(
        update={
            "phases": phases,
            "seconds": round(math.fsum(phase.seconds for phase in phases), 3),
            "limits": plan.limits.model_copy(update=_run_limits(plan, phases)),
            "permit": PermitPlan(
                name=permit.permit.name,
                hash=permit.hash,
                approved_by=permit.approved_by,
                not_after=permit.permit.window.not_after,
            ),
        }
    )


def check_keys(permit: VerifiedPermit, plan: Plan) -> None:
    """Nothing when every key and endpoint of the plan is the permit's; otherwise PermitError."""
    problems = [*_foreign_endpoints(plan, permit.permit), *_foreign_keys(plan, permit.permit)]
    if problems:
        raise PermitError(f"permit {permit.permit.name}: {'; '.join(problems)}", cure="have a new permit signed")


@dataclass(frozen=True, slots=True)
class Peak:
    """What a pass may do to each of its endpoints at its heaviest moment; `terms` say how that came about."""

    requests_per_s: float
    bits_per_s: float
    connections_per_s: float
    terms: str


def peak_of(phase: PhasePlan, pass_: PassPlan) -> Peak | None:
    """None where the plan does not pace the pass: only its ceilings do."""
    engine, operations = pass_.engine, pass_.expected.operations
    doors = len(engine.endpoints)
    rate = phase.search.to_per_s if phase.search is not None else peak_per_s(engine.arrivals)
    if not operations or not doors or rate <= 0:
        return None
    requests_each = pass_.expected.requests / operations
    requests = rate * requests_each
    bits = rate * pass_.expected.bytes / operations * 8
    churn = engine.connections.requests_each
    opened = min(requests, float(engine.limits.connections))
    if churn is not None:
        opened = min(requests, max(opened, requests / churn))
    terms = f"{rate:,.6g}/s × {requests_each:,.4g} requests" + (f" ÷ {doors} endpoints" if doors > 1 else "")
    return Peak(requests / doors, bits / doors, opened / doors, terms)


def heaviest(plan: Plan, endpoint: str) -> tuple[float, float, float, int]:
    """Requests, bits and new connections per second and requests in flight that the plan means for an endpoint at most:
    a permit's caps. What nobody paces counts with the ceilings of its engine."""
    requests = bits = opened = 0.0
    in_flight = 1
    for phase in plan.phases:
        for together in _together(phase, endpoint):
            peaks = [peak_of(phase, one) or _ceiling_peak(one) for one in together]
            requests = max(requests, math.fsum(one.requests_per_s for one in peaks))
            bits = max(bits, math.fsum(one.bits_per_s for one in peaks))
            opened = max(opened, math.fsum(one.connections_per_s for one in peaks))
            in_flight = max(in_flight, sum(one.engine.limits.in_flight for one in together))
    return requests, bits, opened, in_flight


def _ceiling_peak(pass_: PassPlan) -> Peak:
    """What the engine's ceilings allow."""
    limits, doors, operations = pass_.engine.limits, len(pass_.engine.endpoints), pass_.expected.operations
    each = pass_.expected.requests / operations if operations else 1.0
    requests = limits.rate_per_s * each
    bits = min(limits.bytes_per_s + requests * 2 * HEADER_BYTES, limits.rate_per_s * _wire_bytes(pass_)) * 8
    return Peak(requests / doors, bits / doors, min(requests, float(limits.connections)), "its ceilings")


def _together(phase: PhasePlan, endpoint: str) -> Iterator[Sequence[PassPlan]]:
    """The passes that act on an endpoint at once."""
    mine = [one for one in phase.passes if any(door.name == endpoint for door in one.engine.endpoints)]
    if phase.timed:
        yield mine
    else:
        yield from ([one] for one in mine)


def _above_caps(plan: Plan, permit: Permit) -> Iterator[str]:
    caps = {target.name: target.caps for target in permit.targets}
    for phase in plan.phases:
        for name in phase.endpoints:
            for together in _together(phase, name) if name in caps else ():
                yield from _above(f"{phase.name} at {name}", phase, together, caps[name])


def _above(where: str, phase: PhasePlan, together: Sequence[PassPlan], caps: Caps) -> Iterator[str]:
    peaks = [peak for one in together if (peak := peak_of(phase, one)) is not None]
    terms = " + ".join(peak.terms for peak in peaks)
    requests = math.fsum(peak.requests_per_s for peak in peaks)
    bits = math.fsum(peak.bits_per_s for peak in peaks)
    opened = math.fsum(peak.connections_per_s for peak in peaks)
    in_flight = sum(one.engine.limits.in_flight for one in together)
    if requests > caps.requests_per_s * _ROUNDING:
        yield f"{where}: {requests:,.6g} requests/s ({terms}), and the cap is {caps.requests_per_s:,.6g}/s"
    if bits > caps.bits_per_s * _ROUNDING:
        cap = show_bitrate(caps.bits_per_s)
        yield f"{where}: {show_bitrate(bits)} ({terms}, headers included), and the cap is {cap}"
    if opened > caps.connections_per_s * _ROUNDING:
        yield f"{where}: {opened:,.6g} new connections/s, and the cap is {caps.connections_per_s:,.6g}/s"
    if in_flight > caps.in_flight:
        terms = " + ".join(str(one.engine.limits.in_flight) for one in together)
        yield f"{where}: {in_flight:,} requests in flight ({terms}), and the cap is {caps.in_flight:,}"


_ROUNDING = 1 + 1e-9


def _not_covered(plan: Plan, permit: Permit) -> Iterator[str]:
    yield from _foreign_endpoints(plan, permit)
    yield from _foreign_keys(plan, permit)
    if plan.faults and not permit.faults:
        yield f"it does not allow faults, and the plan has {len(plan.faults)} ({plan.faults[0].name} …)"
    if plan.mitigation.resume and not permit.resume:
        yield (
            "it does not allow load after a protection has acted (resume), and the campaign goes on with "
            f"{plan.mitigation.resume:.0%} (mitigation.resume)"
        )


def _foreign_endpoints(plan: Plan, permit: Permit) -> Iterator[str]:
    known = {target.name for target in permit.targets}
    for endpoint in plan.endpoints:
        if endpoint.name not in known:
            yield f"endpoint {endpoint.name} is not among its targets ({', '.join(sorted(known))})"


def _foreign_keys(plan: Plan, permit: Permit) -> Iterator[str]:
    for tenant in plan.tenants:
        if not any(one.bucket == tenant.bucket and tenant.prefix.startswith(one.prefix) for one in permit.buckets):
            allowed = ", ".join(f"{one.bucket}/{one.prefix}" for one in permit.buckets)
            yield f"keys {tenant.bucket}/{tenant.prefix} are not among its buckets ({allowed})"


def _links(plan: Plan, permit: Permit) -> Iterator[str]:
    if not permit.links:
        return
    if plan.fleet is None or not plan.fleet.links:
        yield (
            f"it caps {len(permit.links)} links, and nobody can say what this plan puts on them: "
            "it needs a fleet, and a site with a network"
        )
        return
    carried = {link.name: link.ours_bps for link in plan.fleet.links}
    for cap in permit.links:
        ours = carried.get(cap.link, 0.0)
        if ours > cap.bits_per_s * _ROUNDING:
            yield f"link {cap.link}: {show_bitrate(ours)}, and the cap is {show_bitrate(cap.bits_per_s)}"


# ---------------------------------------------------------------- ceilings


def _held_phase(phase: PhasePlan, caps: dict[str, Caps]) -> PhasePlan:
    together = phase.passes if phase.timed else ()
    rates = math.fsum(one.engine.limits.rate_per_s for one in together)
    moved = math.fsum(one.engine.limits.bytes_per_s for one in together)
    passes = []
    for one in phase.passes:
        limits = one.engine.limits
        parts = (limits.rate_per_s / rates, limits.bytes_per_s / moved) if phase.timed else (1.0, 1.0)
        passes.append(_held_pass(phase, one, caps, parts))
    seconds = phase.seconds if phase.timed else math.fsum(one.seconds for one in passes)
    return phase.model_copy(update={"passes": tuple(passes), "seconds": seconds})


def _held_pass(phase: PhasePlan, pass_: PassPlan, caps: dict[str, Caps], parts: tuple[float, float]) -> PassPlan:
    """Its ceilings, no higher than all of its endpoints' caps together allow; the load is even over them."""
    engine, operations = pass_.engine, pass_.expected.operations
    doors = [caps[door.name] for door in engine.endpoints]
    requests_each = pass_.expected.requests / operations if operations else 1.0
    rate = len(doors) * min(one.requests_per_s for one in doors) / max(requests_each, 1.0) * parts[0]
    wire = len(doors) * min(one.bits_per_s for one in doors) / 8 * parts[1]
    # the engine counts bodies: their headers must find room, too
    bodies = wire * _body_bytes(pass_) / _wire_bytes(pass_)
    limits = engine.limits.model_copy(
        update={
            "rate_per_s": min(engine.limits.rate_per_s, rate),
            "bytes_per_s": min(engine.limits.bytes_per_s, max(1.0, bodies)),
        }
    )
    seconds = pass_.seconds if phase.timed else max(pass_.seconds, _least_seconds(pass_, limits))
    return pass_.model_copy(
        update={"engine": engine.model_copy(update={"limits": limits}), "seconds": round(seconds, 3)}
    )


def _wire_bytes(pass_: PassPlan) -> float:
    """Of a mean operation."""
    expected = pass_.expected
    return max(1.0, expected.bytes / expected.operations) if expected.operations else 1.0


def _body_bytes(pass_: PassPlan) -> float:
    expected = pass_.expected
    if not expected.operations:
        return 1.0
    return max(1.0, (expected.bytes - expected.requests * 2 * HEADER_BYTES) / expected.operations)


def _least_seconds(pass_: PassPlan, limits: EngineLimits) -> float:
    operations = pass_.expected.operations
    return max(operations / limits.rate_per_s, operations * _body_bytes(pass_) / limits.bytes_per_s)


def _run_limits(plan: Plan, phases: Sequence[PhasePlan]) -> dict[str, float]:
    """Of the whole run: what the heaviest phase may do."""

    def most(name: str) -> float:
        found = [
            math.fsum(getattr(one.engine.limits, name) for one in phase.passes)
            if phase.timed
            else max((getattr(one.engine.limits, name) for one in phase.passes), default=0.0)
            for phase in phases
        ]
        return float(max(found, default=0.0))

    return {
        "rate_per_s": min(plan.limits.rate_per_s, most("rate_per_s")),
        "bytes_per_s": int(min(plan.limits.bytes_per_s, most("bytes_per_s"))),
    }
