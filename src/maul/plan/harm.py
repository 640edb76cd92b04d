"""Harm, planned: which service each fault hurts, and when in the run."""

from collections.abc import Collection, Sequence

from maul.campaign import Campaign
from maul.campaign.model_faults import Fault
from maul.campaign.part import did_you_mean
from maul.campaign.problems import Problem
from maul.plan.model import FaultPlan, PhasePlan
from maul.site import Site
from maul.site.model import Service


def fault_plans(
    campaign: Campaign, site: Site, phases: Sequence[PhasePlan], fault_kinds: Collection[str]
) -> tuple[tuple[FaultPlan, ...], list[Problem]]:
    """The faults with their services found, and what speaks against them."""
    plans: list[FaultPlan] = []
    problems: list[Problem] = []
    begins = _begins(phases)
    for index, fault in enumerate(campaign.faults):
        if fault_kinds and fault.fault not in fault_kinds:
            says = f'"{fault.fault}" is not understood ({did_you_mean(fault.fault, fault_kinds)})'
            problems.append(Problem(("faults", index, "fault"), says))
        found = _service(fault, site, index)
        if isinstance(found, Problem):
            problems.append(found)
            continue
        plan = FaultPlan(
            name=fault.name,
            fault=fault.fault,
            service=found.name,
            role=found.role,
            phase=fault.phase,
            after_s=fault.after_s,
            hold_s=fault.hold_s,
            at_s=round(begins[fault.phase] + fault.after_s, 3),
            beyond_redundancy=fault.beyond_redundancy,
        )
        for earlier in plans:
            if _collide(plan, earlier):
                says = f'hurts {plan.service}, which "{earlier.name}" is still hurting; let one end first'
                problems.append(Problem(("faults", index, "after"), says))
        plans.append(plan)
    return tuple(plans), problems


def _begins(phases: Sequence[PhasePlan]) -> dict[str, float]:
    """When each phase begins, by the estimates."""
    begins, now_s = {}, 0.0
    for phase in phases:
        begins[phase.name] = now_s
        now_s += phase.seconds
    return begins


def _service(fault: Fault, site: Site, index: int) -> Service | Problem:
    if fault.service is not None:
        names = [service.name for service in site.services]
        if fault.service in names:
            return site.service(fault.service)
        says = f'site {site.name} has no service "{fault.service}" ({did_you_mean(fault.service, names)})'
        return Problem(("faults", index, "service"), says)
    candidates = site.services_of(fault.role or "")
    if not candidates:
        return Problem(("faults", index, "role"), f"site {site.name} has no {fault.role} service to hurt")
    if fault.pick > len(candidates):
        says = f"site {site.name} has {len(candidates)} of role {fault.role}: pick 1 to {len(candidates)}"
        return Problem(("faults", index, "pick"), says)
    return candidates[fault.pick - 1]


def _collide(one: FaultPlan, other: FaultPlan) -> bool:
    same = one.service == other.service and one.phase == other.phase
    return same and one.after_s < other.after_s + other.hold_s and other.after_s < one.after_s + one.hold_s
