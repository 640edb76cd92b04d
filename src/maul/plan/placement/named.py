"""Named: load servers that the campaign chose itself. What links will carry is told; no cap is enforced."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from maul.campaign.model_fleet import Fleet
from maul.campaign.part import did_you_mean
from maul.campaign.problems import CampaignProblemsError, Problem
from maul.core.units import show_bitrate
from maul.plan.fleet_model import FleetPlan, GeneratorPlan
from maul.plan.placement.carried import link_loads
from maul.plan.placement.demand import Demand
from maul.plan.placement.placing import cut_words, generators
from maul.plan.placement.rows import NORMAL, Rows
from maul.plan.placement.servers import (
    WITHOUT_END,
    Ceiling,
    cable_ceilings,
    cablings,
    lowest_of,
    mitigation_ceilings,
    own_ceilings,
    part_of,
)
from maul.plan.placement.shares import widths_of
from maul.plan.placement.words import room_words
from maul.plan.placement.world import World, target_problems, world_of
from maul.plan.sharing import WHEEL_MAX
from maul.site import Site
from maul.site.model import Host
from maul.site.model_network import Network
from maul.site.topology import target_racks

BROKEN_MAX = 40  # caps told one by one


def local(fleet: Fleet, count: int, demand: Demand) -> FleetPlan:
    """So many processes of this machine, with equal shares; no links."""
    if not 1 <= count <= WHEEL_MAX:
        says = f"expected 1 to {WHEEL_MAX:,} processes, and it is {count:,}"
        raise CampaignProblemsError([Problem(("fleet", "agents"), says)], None)
    return FleetPlan(
        wheel=count,
        generators=tuple(
            GeneratorPlan(
                name=f"local-{place + 1}",
                host=None,
                rack=None,
                first=place,
                width=1,
                load=part_of(demand.load, 1 / count),
                requests_ceiling_per_s=None,
            )
            for place in range(count)
        ),
        load=demand.load,
        on_loss=fleet.on_loss,
    )


def named(site: Site, fleet: Fleet, names: Sequence[str], demand: Demand) -> FleetPlan:
    """These hosts, equal shares but where one's ceiling forbids. Raises CampaignProblemsError."""
    servers = _known(site, names)
    network = site.network
    problems = target_problems(site, network, demand) if network is not None else []
    if problems:
        raise CampaignProblemsError(problems, None)
    ceilings = {name: lowest_of(own_ceilings(host, demand)) for name, host in servers.items()}
    parts = _even(ceilings, demand)
    wheel = len(parts) if len(set(parts.values())) == 1 else WHEEL_MAX
    widths = dict(zip(parts, widths_of(list(parts.values()), wheel), strict=True))
    made = generators(demand, site, widths, wheel, ceilings)
    plan = FleetPlan(wheel=wheel, generators=made, load=demand.load, on_loss=fleet.on_loss)
    if network is None:
        note = f"site {site.name} has no network: no link can be promised anything"
        return plan.model_copy(update={"notes": (note,)})
    world = world_of(site, network, fleet, demand, servers)
    loose = [name for name in names if name not in world.group_of()]
    if loose:
        says = f"{', '.join(loose)}: no cable of it leads to a switch of the network; add it to network.links"
        raise CampaignProblemsError([Problem(("fleet", "agents"), says)], None)
    shares = {name: width / wheel for name, width in widths.items()}
    notes = [*broken(world, site, network, shares), *cut_words(world, shares)]
    return plan.model_copy(update={"links": link_loads(world, shares), "notes": tuple(notes)})


def _known(site: Site, names: Sequence[str]) -> dict[str, Host]:
    hosts = {host.name: host for host in site.hosts}
    problems, found = [], {}
    for place, name in enumerate(names):
        path = ("fleet", "agents", place)
        if name not in hosts:
            says = f'site {site.name} has no host "{name}" ({did_you_mean(name, hosts)})'
        elif name in found:
            says = f'"{name}" stands here twice; drop one'
        elif hosts[name].borrow is None:
            says = f'"{name}" may not be borrowed: it has no borrow section in site {site.name}'
        else:
            found[name] = hosts[name]
            continue
        problems.append(Problem(path, says))
    if not names:
        problems.append(Problem(("fleet", "agents"), "names no host; name some, or write auto"))
    if problems:
        raise CampaignProblemsError(problems, None)
    return found


def _even(ceilings: Mapping[str, Ceiling], demand: Demand) -> dict[str, float]:
    """Equal parts; who may not send that much sends what it may, and the others the rest."""
    total = sum(min(one.share, WITHOUT_END) for one in ceilings.values())
    if total < 1 - 1e-9:
        asked = demand.load.requests_per_s
        low = min(ceilings, key=lambda name: ceilings[name].share)
        says = (
            f"the heaviest moment asks for {asked:,.0f} requests/s, and these hosts may send {total * asked:,.0f}/s "
            f"together ({low}: {ceilings[low].what}); name more hosts, or lower the rate"
        )
        raise CampaignProblemsError([Problem(("fleet", "agents"), says)], None)
    parts: dict[str, float] = {}
    left = 1.0
    for place, name in enumerate(sorted(ceilings, key=lambda name: ceilings[name].share)):
        parts[name] = min(ceilings[name].share, left / (len(ceilings) - place))
        left -= parts[name]
    return {name: parts[name] for name in ceilings}


def broken(world: World, site: Site, network: Network, parts: Mapping[str, float]) -> list[str]:
    """Every cap that the shares break, the worst first."""
    found = sorted([*_broken_rows(world, parts), *_broken_servers(world, network, parts)], reverse=True)
    says = [words for _, words in found[:BROKEN_MAX]]
    if len(found) > BROKEN_MAX:
        says.append(f"and {len(found) - BROKEN_MAX} more caps broken")
    says += _broken_wishes(world, site, parts)
    return says


def _broken_rows(world: World, parts: Mapping[str, float]) -> Iterator[tuple[float, str]]:
    """For each direction the state that breaks it most."""
    rows: Rows = world.rows
    ours = rows.ours_bps(world.by_group(parts))
    over = (ours - rows.usable_bps * (1 + 1e-6)) / np.maximum(rows.capacity_bps, 1.0)
    over[ours <= 1e-3] = -1.0
    seen: set[int] = set()
    for row in np.argsort(-over, kind="stable").tolist():
        if over[row] <= 0:
            return
        edge, failure = int(rows.edge[row]), int(rows.failure[row])
        if edge in seen:
            continue
        seen.add(edge)
        when = "" if failure == NORMAL else f" while {world.failures[failure].name}"
        words = f"cap broken: {world.wiring.edge_name(edge)}{when}: our {show_bitrate(float(ours[row]))} exceed "
        yield float(over[row]), words + room_words(rows, row)


def _broken_servers(world: World, network: Network, parts: Mapping[str, float]) -> Iterator[tuple[float, str]]:
    cabling, group_of = cablings(world.wiring, world.flows), world.group_of()
    caps = world.fleet.caps
    from_source = list(mitigation_ceilings(network, world.demand, caps, source=True))
    for name, part in parts.items():
        group = group_of[name]
        own = cable_ceilings(
            world.servers[name], cabling[group], world.wiring.cables_of(name, group), world.demand, caps,
            every_failure=bool(world.failures),
        )  # fmt: skip
        lowest = lowest_of([*own, *from_source])
        if part > lowest.share * (1 + 1e-6):
            requests = world.demand.load.requests_per_s
            words = f"cap broken: {name} sends {part * requests:,.0f} requests/s, and {lowest.what} allows "
            yield part - lowest.share, words + f"{lowest.share * requests:,.0f}/s"
    for ceiling in mitigation_ceilings(network, world.demand, caps, source=False):
        if ceiling.share < 1 - 1e-6:
            yield 1 - ceiling.share, f"cap broken: {ceiling.what} allow {ceiling.share:.0%} of the load"


def _broken_wishes(world: World, site: Site, parts: Mapping[str, float]) -> Iterator[str]:
    fleet = world.fleet
    hosts = {host.name: host for host in site.hosts}
    racks: dict[str, float] = {}
    for name, part in parts.items():
        racks[hosts[name].rack] = racks.get(hosts[name].rack, 0.0) + part
    near = sorted(set(racks) & target_racks(site))
    if fleet.avoid_target_racks and near:
        yield f"racks that hold part of the target send load, too: {', '.join(near)}"
    if len(racks) < fleet.racks_at_least:
        yield f"load servers stand in {len(racks)} racks, and fleet.racks_at_least is {fleet.racks_at_least}"
    full = [f"{rack} {part:.0%}" for rack, part in racks.items() if part > fleet.rack_share + 1e-6]
    if full:
        yield f"racks that send more than fleet.rack_share ({fleet.rack_share:.0%}): {', '.join(full)}"
