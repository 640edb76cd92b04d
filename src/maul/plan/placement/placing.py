"""Placing: from a site, a fleet's wishes and a demand to a FleetPlan, or to everything that speaks against it."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from maul.campaign.model_fleet import Fleet
from maul.campaign.problems import CampaignProblemsError, Problem
from maul.plan.fleet_model import FleetPlan, GeneratorPlan
from maul.plan.placement.carried import cut_off, link_loads
from maul.plan.placement.choice import Chooser
from maul.plan.placement.demand import Demand
from maul.plan.placement.program import EXACT, Most, Program, Wishes
from maul.plan.placement.rows import NORMAL
from maul.plan.placement.servers import (
    WITHOUT_END,
    Ceiling,
    ServerClass,
    candidates,
    classes_of,
    lowest_of,
    mitigation_ceilings,
    part_of,
)
from maul.plan.placement.shares import rounded
from maul.plan.placement.unpaced import unpaced
from maul.plan.placement.wiring import Floats
from maul.plan.placement.words import arithmetic, blockers
from maul.plan.placement.world import World, target_problems, world_of
from maul.plan.sharing import WHEEL_MAX
from maul.site import Site
from maul.site.model_network import Network

ROUNDING = 2e-3  # at most so much of every bound is left free, where there is room, for shares to be rounded
NAMED_MAX = 6


def best(site: Site, network: Network, fleet: Fleet, demand: Demand) -> FleetPlan:
    """The best choice among the hosts that may be borrowed. Raises CampaignProblemsError."""
    servers, left_out = candidates(site, fleet)
    problems = target_problems(site, network, demand)
    if not servers:
        problems.append(Problem(("fleet", "agents"), f"no host can be borrowed: {_reasons(left_out)}; {_LEND}"))
    if problems:
        raise CampaignProblemsError(problems, None)
    world = world_of(site, network, fleet, demand, servers)
    classes = classes_of(servers, world.wiring, world.flows, demand, fleet)
    _racks_suffice(classes, fleet, left_out)
    overall = list(mitigation_ceilings(network, demand, fleet.caps, source=False))
    program = Program(
        world.rows, classes, len(world.wiring.groups), Wishes(fleet.rack_share, fleet.racks_at_least), overall
    )
    most = program.most()
    if most.scale < 1 - EXACT:
        raise CampaignProblemsError([_too_much(world, program, most, left_out)], None)
    chosen, notes = _chosen(world, program, most)
    ceilings = {name: one.ceiling for one in classes for name in one.hosts}
    wheel, widths = _rounded(world, chosen, ceilings, program)
    parts = {name: width / wheel for name, width in zip(chosen, widths, strict=True)}
    return FleetPlan(
        wheel=wheel,
        generators=generators(world.demand, site, dict(zip(chosen, widths, strict=True)), wheel, ceilings),
        links=link_loads(world, parts),
        load=demand.load,
        most=part_of(demand.load, most.scale) if most.scale < WITHOUT_END else None,
        unpaced=unpaced(world, parts),
        blockers=tuple(blockers(most, program, world.wiring, world.failures, demand.load)),
        on_loss=fleet.on_loss,
        notes=(*notes, *left_words(left_out), *cut_words(world, parts)),
    )


_LEND = "give hosts a borrow section in the site"


def _reasons(left_out: Mapping[str, int]) -> str:
    return (
        ", ".join(f"{count} host{'s'[: count > 1]} {reason}" for reason, count in left_out.items())
        or "the site has none"
    )


def left_words(left_out: Mapping[str, int]) -> list[str]:
    """Hosts that could be lent and were not looked at."""
    count = {reason: number for reason, number in left_out.items() if reason != "may not be borrowed"}
    return [f"left out: {_reasons(count)}"] if count else []


def cut_words(world: World, parts: Mapping[str, float]) -> list[str]:
    """Which failures silence load servers: the worst that silences all, and the worst that leaves some."""
    every = cut_off(world, parts)
    whole, some = [one for one in every if one[1] == len(parts)], [one for one in every if one[1] < len(parts)]
    says = []
    for failure, servers, part in (*whole[:1], *some[:1]):
        who = "no load server can" if servers == len(parts) else f"{_servers(servers)} cannot"
        says.append(f"while {failure.name}, {who} reach the whole target: {100 * part:.3g} % of the load is not sent")
    return says


def _servers(count: int) -> str:
    return f"{count} load server{'' if count == 1 else 's'}"


def _racks_suffice(classes: Sequence[ServerClass], fleet: Fleet, left_out: Mapping[str, int]) -> None:
    racks = list(dict.fromkeys(one.rack for one in classes))
    why = f"load servers that can send stand in {len(racks)} ({', '.join(racks[:NAMED_MAX])})" if racks else ""
    tail = f"; left out: {_reasons(left_out)}" if left_out else ""
    if not classes:
        says = "no load server has a way to the whole target with any room on it; look at network.links and backgrounds"
        raise CampaignProblemsError([Problem(("fleet",), says + tail)], None)
    needed = math.ceil(1 / fleet.rack_share - 1e-9) if fleet.rack_share > 0 else len(racks) + 1
    problems = []
    if fleet.racks_at_least > len(racks):
        says = f"asks for {fleet.racks_at_least} racks, and {why}{tail}; lend servers in more racks, or lower it"
        problems.append(Problem(("fleet", "racks_at_least"), says))
    if needed > len(racks):
        says = (
            f"no rack may send more than {fleet.rack_share:.3g} of the load, which takes {needed} racks, and "
            f"{why}{tail}; lend servers in more racks, or raise it"
        )
        problems.append(Problem(("fleet", "rack_share"), says))
    if problems:
        raise CampaignProblemsError(problems, None)


def _too_much(world: World, program: Program, most: Most, left_out: Mapping[str, int]) -> Problem:
    asked = world.demand.load
    stops = list(arithmetic(most, program, world.wiring, world.failures))
    more = f"; and {len(stops) - NAMED_MAX} more" if len(stops) > NAMED_MAX else ""
    tail = f". Left out: {_reasons(left_out)}" if left_out else ""
    return Problem(
        ("fleet",),
        f"the heaviest moment asks for {asked.requests_per_s:,.0f} requests/s, and the most that is possible is "
        f"{asked.requests_per_s * most.scale:,.0f}/s ({most.scale:.0%}); what stops it: "
        f"{'; '.join(stops[:NAMED_MAX])}{more}{tail}. Lower the rate or the sizes, lend servers behind other links, or "
        "raise what stops it (fleet.caps, fleet.rack_share)",
    )


def _chosen(world: World, program: Program, most: Most) -> tuple[dict[str, float], list[str]]:
    """Server → part of the load, in the order of the site."""
    program.margin = min(ROUNDING, max(most.scale - 1, 0.0) / 2)
    rows = world.rows
    links = world.wiring.network.links
    shared_link = np.array([bool(link.shared_by) for link in links] or [False])
    normal = np.nonzero(rows.failure == NORMAL)[0]
    shared = normal[shared_link[world.wiring.link[rows.edge[normal]]]]
    watched = shared if len(shared) else normal
    chooser = Chooser(program, 1 / WHEEL_MAX)
    answer = chooser.choose(watched, rows.capacity_bps[watched])
    if answer is None:
        says = (
            "the load can be placed only with parts of servers: with whole ones it does not fit; lower the rate a "
            "little, or lend more servers"
        )
        raise CampaignProblemsError([Problem(("fleet",), says)], None)
    found: dict[str, float] = {}
    for one, x, count in zip(program.classes, answer.x, answer.n, strict=True):
        for name in one.hosts[: int(count)]:
            found[name] = float(x) / int(count)
    order = {name: place for place, name in enumerate(world.servers)}
    notes = [] if answer.proven else ["the search for fewer servers ended early: a little fewer may do"]
    return {name: found[name] for name in sorted(found, key=order.__getitem__)}, notes


def _rounded(
    world: World,
    chosen: Mapping[str, float],
    ceilings: Mapping[str, Ceiling],
    program: Program,
) -> tuple[int, list[int]]:
    names = list(chosen)
    group_of = world.group_of()
    groups = np.array([group_of[name] for name in names])
    tops = np.array([ceilings[name].share for name in names])
    racks = np.array([program.racks.index(world.servers[name].rack) for name in names])
    rows = world.rows
    scale = np.maximum(rows.usable_bps, 1e-3 * rows.capacity_bps)

    def over_rows(parts: Floats) -> Floats:
        by_group = np.zeros(len(world.wiring.groups))
        np.add.at(by_group, groups, parts)
        return np.asarray((rows.ours_bps(by_group) - rows.usable_bps) / scale)

    def breaks(parts: Floats) -> float:
        own = float(np.max(parts / tops - 1))
        rack = float(np.max(np.bincount(racks, weights=parts))) / program.wishes.rack_share - 1
        worst = float(np.max(over_rows(parts), initial=-1.0))
        allowed = EXACT + len(names) / WHEEL_MAX
        return max(own - EXACT, worst - EXACT, rack - allowed, 0.0)

    def weighs(parts: Floats) -> Floats:
        over = over_rows(parts)
        if len(over) and float(np.max(over)) > float(np.max(parts / tops - 1)):
            row = int(np.argmax(over))
            by_group = np.asarray(rows.base[[int(rows.edge[row])]].toarray() + rows.delta[[row]].toarray()).ravel()
            return np.asarray(by_group[groups])
        return np.asarray(np.where(parts / tops - 1 > EXACT, 1.0, parts / tops * 1e-3))

    found = rounded(list(chosen.values()), breaks, weighs)
    if found is None:
        says = (
            f"the load is so near to the most that is possible that it cannot be shared out in {WHEEL_MAX:,} parts "
            "without breaking a cap; lower the rate by 1 %"
        )
        raise CampaignProblemsError([Problem(("fleet",), says)], None)
    return found


def generators(
    demand: Demand, site: Site, widths: Mapping[str, int], wheel: int, ceilings: Mapping[str, Ceiling]
) -> tuple[GeneratorPlan, ...]:
    """In the order of the widths; hosts of the site."""
    hosts = {host.name: host for host in site.hosts}
    found, first = [], 0
    for name, width in widths.items():
        top = ceilings.get(name, lowest_of(())).share
        found.append(
            GeneratorPlan(
                name=name,
                host=name,
                rack=hosts[name].rack,
                first=first,
                width=width,
                load=part_of(demand.load, width / wheel),
                requests_ceiling_per_s=top * demand.load.requests_per_s if top < WITHOUT_END else None,
            )
        )
        first += width
    return tuple(found)
