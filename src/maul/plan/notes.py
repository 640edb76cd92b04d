"""Notes: what is allowed and may still not be what the author meant."""

import math
from collections.abc import Iterator, Sequence

from maul.campaign import Campaign
from maul.campaign.model_workload import mean_size_bytes
from maul.campaign.parties import Party
from maul.core.units import show_duration, show_size
from maul.plan.model import PhasePlan
from maul.site import Site


def notes(campaign: Campaign, site: Site, phases: Sequence[PhasePlan], parties: Sequence[Party]) -> tuple[str, ...]:
    """One sentence each."""
    return (
        *_absent_phases(campaign, phases),
        *_capacity(campaign, phases),
        *_duration(campaign, phases),
        *_place(site, phases, parties),
        *_shapes(parties),
    )


def limit_notes(
    campaign: Campaign, site: Site, phases: Sequence[PhasePlan], parties: Sequence[Party]
) -> tuple[str, ...]:
    """As above, where the phases are a search of the campaign's limit."""
    left_out = ["maul limit hurts nothing: the campaign's faults are left out"] if campaign.faults else []
    if not any(phase.kind == "audit" for phase in phases):
        left_out.append("the campaign has no audit phase: what was written during the search is not read back")
    return (*left_out, *_duration(campaign, phases), *_place(site, phases, parties))


def _absent_phases(campaign: Campaign, phases: Sequence[PhasePlan]) -> Iterator[str]:
    kinds, checks = {phase.kind for phase in phases}, {str(check) for check in campaign.checks}
    if "durability" in checks and "audit" not in kinds:
        yield (
            "there is no audit phase, so the check durability stays unknown and the run cannot pass; "
            "add one, or leave durability out of checks"
        )
    if "clean-up" not in kinds:
        yield "there is no clean-up phase: what this run writes stays"


def _capacity(campaign: Campaign, phases: Sequence[PhasePlan]) -> Iterator[str]:
    judged = {name for objective in campaign.objectives for name in objective.phases}
    for phase in phases:
        if phase.levels and phase.name not in judged:
            yield f"no objective names {phase.name}: its capacity is the rate that was still achieved"
        if phase.until and any(fault.phase == phase.name for fault in campaign.faults):
            yield f"{phase.name} may end early, before its faults had their time"


def _duration(campaign: Campaign, phases: Sequence[PhasePlan]) -> Iterator[str]:
    seconds = math.fsum(phase.seconds for phase in phases)
    if seconds > campaign.limits.duration_s:
        yield (
            f"the run may take about {show_duration(seconds)}, and the guard stops it after "
            f"{show_duration(campaign.limits.duration_s)} (limits.duration)"
        )


def _place(site: Site, phases: Sequence[PhasePlan], parties: Sequence[Party]) -> Iterator[str]:
    audits = [phase for phase in phases if phase.kind == "audit"]
    balanced = {endpoint.name for endpoint in site.endpoints if endpoint.kind == "balancer"}
    if any(set(phase.endpoints) <= balanced for phase in audits):
        yield "the audit reads through a balancer only: gateways that disagree may not be told apart"
    if site.credentials is None and any(party.credentials == "site" for party in parties):
        yield f"site {site.name} names no credentials: requests are anonymous"


def _shapes(parties: Sequence[Party]) -> Iterator[str]:
    for party in parties:
        workload = party.workload
        mean = mean_size_bytes(workload.size)
        if "get_range" in workload.mix.by_op() and workload.range_bytes >= mean:
            yield (
                f"a range of {show_size(workload.range_bytes)} is the whole of an average object "
                f"({show_size(mean)}): get_range reads little else than get"
            )
