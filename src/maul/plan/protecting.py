"""Protecting: what a plan should say of protections before they act: thresholds that it crosses, steps that are too
short to tell at which load one acted, load that it would not even see. Pure.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from maul.campaign import Campaign
from maul.campaign.problems import Problem
from maul.core.addresses import is_loopback
from maul.core.mitigation_summary import OF_ONE, UNITS, BracketSummary, show_load
from maul.core.units import show_duration
from maul.plan.engine_plan import TraceArrivals
from maul.plan.fleet_model import FleetPlan
from maul.plan.model import MitigationPlan, PhasePlan, Plan
from maul.plan.placement.demand import Demand, demand_of
from maul.site import Site
from maul.site.model_network import Thresholds

SAFE_PART = 0.7
"""Of a known threshold, where no fleet says otherwise (`fleet.caps.mitigation`)."""
DETECT_S = 10.0
"""How long a protection takes to act where nobody knows: a mean over 5 s, looked at each second, told to routers."""


@dataclass(frozen=True, slots=True)
class _Bound:
    dimension: str
    value: float
    part: float
    """More than this part of it is told."""
    says: str


def mitigation_plan(campaign: Campaign, site: Site) -> MitigationPlan:
    """What is done when traffic suddenly stops. Nobody is upstream of a loopback: there it is only told."""
    fields = dict(campaign.mitigation)
    fields["act"] = campaign.mitigation.act or _usual(campaign, site)
    return MitigationPlan(**fields)


def watching_problems(campaign: Campaign, site: Site) -> Iterator[Problem]:
    """`watch` goes on hitting what somebody protects: only a loopback or a lab of maul may be hit like that."""
    if campaign.mitigation.act == "watch" and site.kind != "lab" and _usual(campaign, site) != "watch":
        yield Problem(
            ("mitigation", "act"),
            f"watch goes on when somebody upstream stops the traffic; {site.name} is neither loopback nor maul's own "
            "lab: use freeze",
        )


def protection_notes(
    campaign: Campaign, site: Site, phases: Sequence[PhasePlan], fleet: FleetPlan | None
) -> Iterator[str]:
    """One sentence each; none where all that is hit is loopback."""
    if _usual(campaign, site) == "watch":
        return
    endpoints = [(one.name, one.url) for one in site.endpoints if one.name in campaign.target.endpoints]
    yield from _above(phases, endpoints, fleet, tuple(_known(campaign, site)))
    yield from _short_steps(phases)
    if site.kind == "real":
        yield from _unseen(site, fleet)


def with_earlier(plan: Plan, earlier: Sequence[BracketSummary], detect_s: float | None = None) -> Plan:
    """The plan, with notes on what earlier runs against the same target learnt: at which load they were dropped."""
    bounds = [
        _Bound(
            one.dimension, one.dropped_at, 1.0, f"earlier runs were dropped at {_show(one.dimension, one.dropped_at)}"
        )
        for one in earlier
        if one.window_s == 5 and one.dropped_at is not None and (one.survived is None or one.survived < one.dropped_at)
    ]
    endpoints = [(one.name, one.url) for one in plan.endpoints]
    told = [*_above(plan.phases, endpoints, plan.fleet, bounds)]
    if detect_s is not None and detect_s > DETECT_S:
        told += _short_steps(plan.phases, detect_s)
    return plan.model_copy(update={"notes": (*plan.notes, *told)}) if told else plan


def _usual(campaign: Campaign, site: Site) -> Literal["freeze", "watch"]:
    hosts = [one.host for one in site.endpoints if one.name in campaign.target.endpoints]
    return "watch" if hosts and all(is_loopback(host) for host in hosts) else "freeze"


def _known(campaign: Campaign, site: Site) -> Iterator[_Bound]:
    """Thresholds that the site knows. A load that is placed on a fleet is held below them already."""
    if site.network is None or campaign.fleet is not None:
        return
    loaded = campaign.target.endpoints
    for vip in site.network.vips:
        part = loaded.count(vip.endpoint) / len(loaded)
        for known, whose in ((vip.mitigation, ""), (vip.mitigation_per_source, OF_ONE)) if part else ():
            for dimension, value in _dimensions(known):
                says = f"{vip.name}'s protection may act at {_show(dimension, value)}{whose}"
                yield _Bound(dimension + whose, value / part, SAFE_PART, says)


def _dimensions(known: Thresholds) -> Iterator[tuple[str, float]]:
    named = {
        "packets": known.packets_per_s,
        "bits": known.bits_per_s,
        "new_connections": known.connections_per_s,
        "requests": known.requests_per_s,
    }
    yield from ((name, value) for name, value in named.items() if value is not None)


def _above(
    phases: Sequence[PhasePlan], endpoints: Sequence[tuple[str, str]], fleet: FleetPlan | None, bounds: Sequence[_Bound]
) -> Iterator[str]:
    """What each phase goes up to, where that is above a bound; the tightest one of each phase and dimension."""
    share = max((one.width for one in fleet.generators), default=0) / fleet.wheel if fleet is not None else 1.0
    for phase in phases:
        traced = any(isinstance(one.engine.arrivals, TraceArrivals) for one in phase.passes)
        if not bounds or not phase.timed or traced:
            continue
        asked = _asked(demand_of([phase], endpoints))
        for bound in bounds:
            of = asked.get(bound.dimension.removesuffix(OF_ONE), 0.0) * (
                share if bound.dimension.endswith(OF_ONE) else 1
            )
            if of > bound.part * bound.value:
                how = f"{_show(bound.dimension, of)}{OF_ONE if bound.dimension.endswith(OF_ONE) else ''}"
                yield f"{phase.name} goes up to about {how}; {bound.says}"


def _asked(demand: Demand) -> dict[str, float]:
    load = demand.load
    return {
        "packets": demand.packets_per_s,
        "bits": load.sent_bps,
        "answer_bits": load.received_bps,
        "new_connections": load.connections_per_s,
        "flows": float(demand.connections),
        "requests": load.requests_per_s,
    }


def _short_steps(phases: Sequence[PhasePlan], detect_s: float = DETECT_S) -> Iterator[str]:
    for phase in phases:
        each_s = (
            min((level.end_s - level.start_s for level in phase.levels), default=0.0) if len(phase.levels) > 1 else 0
        )
        if 0 < each_s < 2 * detect_s:
            yield (
                f"{phase.name} has levels of {show_duration(each_s)}, and a protection takes about "
                f"{show_duration(detect_s)} to act: make them {show_duration(2 * detect_s)} or longer, or it cannot be "
                "told which level it was"
            )


def _unseen(site: Site, fleet: FleetPlan | None) -> Iterator[str]:
    """Detectors that count what comes from outside do not count private sources (sFlow-RT: group `external`)."""
    if fleet is None:
        return
    hosts = {host.name: host.address for host in site.hosts}
    addresses = [hosts[one.host] for one in fleet.generators if one.host in hosts]
    if addresses and all(_is_private(address) for address in addresses):
        yield (
            "all load servers have private addresses: a protection that counts only what comes from outside does not "
            "see this load, so that it does not act says nothing of customers"
        )


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def _show(dimension: str, value: float) -> str:
    return show_load(value, UNITS[dimension.removesuffix(OF_ONE)])
