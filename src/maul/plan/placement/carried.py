"""Carried: what every link will carry of a placement, in normal state and at its worst."""

from collections.abc import Iterator, Mapping

import numpy as np

from maul.plan.fleet_model import LinkLoad
from maul.plan.placement.failures import Failure
from maul.plan.placement.rows import NORMAL, edges_of, worst_bps
from maul.plan.placement.servers import Cabling, cablings
from maul.plan.placement.world import World
from maul.site.model_network import Link

NOTHING_BPS = 1e-3


def link_loads(world: World, parts: Mapping[str, float]) -> tuple[LinkLoad, ...]:
    """Every direction that carries our load, if only during a failure; in the order of the site's links."""
    placed = [*_cables(world, parts), *_shared_ways(world, parts)]
    placed.sort(key=lambda one: one[0])
    return tuple(load for _, load in placed)


def _shared_ways(world: World, parts: Mapping[str, float]) -> Iterator[tuple[tuple[int, int], LinkLoad]]:
    wiring, rows, flows, demand = world.wiring, world.rows, world.flows, world.demand.load
    by_group = world.by_group(parts)
    ours = rows.ours_bps(by_group)
    total = (rows.others_bps + worst_bps(ours, rows.unevenness_bps)) * rows.scale
    total[ours <= NOTHING_BPS] = 0.0
    order = np.lexsort((rows.failure, -np.round(total, 3), rows.edge))
    first = order[np.concatenate([[True], np.diff(rows.edge[order]) > 0])] if len(order) else order
    edges = edges_of(wiring, world.fleet.caps, bool(world.failures))
    up, down = flows.up.tocsc(), flows.down.tocsc()
    members: dict[int, list[str]] = {}
    group_of = world.group_of()
    for name in parts:
        members.setdefault(group_of[name], []).append(name)
    for row in first.tolist():
        if total[row] <= 0:
            continue
        edge = int(rows.edge[row])
        shares: dict[str, float] = {}
        bits: dict[str, float] = {}
        for table, load in ((up, demand.sent_bps), (down, demand.received_bps)):
            begin, end = table.indptr[edge], table.indptr[edge + 1]
            for group, part in zip(table.indices[begin:end].tolist(), table.data[begin:end].tolist(), strict=True):
                for name in members.get(group, ()) if load else ():
                    shares[name] = min(1.0, shares.get(name, 0.0) + part)
                    bits[name] = bits.get(name, 0.0) + part * load * parts[name]
        failure = int(rows.failure[row])
        yield (
            (int(wiring.link[edge]), edge % 2),
            LinkLoad(
                name=wiring.edge_name(edge),
                capacity_bps=float(edges.capacity_bps[edge]),
                background_bps=float(edges.background_bps[edge]),
                shared=bool(edges.shared[edge]),
                cap=float(edges.cap[edge]),
                ours_bps=sum(bits.values()),
                worst_bps=float(total[row]),
                worst_when=None if failure == NORMAL else world.failures[failure].name,
                shares=shares,
                bps=bits,
            ),
        )


def _cables(world: World, parts: Mapping[str, float]) -> Iterator[tuple[tuple[int, int], LinkLoad]]:
    """The servers' own."""
    cabling, group_of, network = cablings(world.wiring, world.flows), world.group_of(), world.wiring.network
    for name, share in parts.items():
        group = group_of[name]
        for place, number in enumerate(world.wiring.groups[group].cables[name]):
            for sends in (True, False):
                load = _cable(world, network.links[number], name, (cabling[group], place, sends), share)
                if load is not None:
                    yield (number, 0 if (network.links[number].nodes[0] == name) == sends else 1), load


def _cable(
    world: World, link: Link, host: str, way: tuple[Cabling, int, bool], share: float
) -> LinkLoad | None:
    cabling, place, sends = way
    caps, load = world.fleet.caps, world.demand.load
    whole = load.sent_bps if sends else load.received_bps
    part = (cabling.up if sends else cabling.down)[place]
    worst = (cabling.up_worst if sends else cabling.down_worst)[place]
    if whole * max(part, worst) <= 0:
        return None
    out = (link.nodes[0] == host) == sends
    background = link.background.out_bps if out else link.background.back_bps
    moved = worst > part and bool(world.failures)
    ours = whole * share * (worst if moved else part)
    uneven = 2 * link.members * np.log(max(1.0, 1 / part if part else 1.0) * link.members) * whole
    fullest = float(worst_bps(np.array([ours]), np.array([uneven / world.demand.connections]))[0])
    scale, when = 1.0, "another cable of it is down" if moved else None
    if world.failures and link.members > 1 and not moved:
        scale, when = link.members / (link.members - 1), f"one of its {link.members} members is down"
    cap = caps.shared if link.shared_by else caps.dedicated
    bits = whole * share * part
    return LinkLoad(
        name=link.directions[0 if out else 1],
        capacity_bps=link.capacity,
        background_bps=background,
        shared=bool(link.shared_by),
        cap=min(cap, caps.failure) if world.failures else cap,
        ours_bps=bits,
        worst_bps=(background + fullest) * scale,
        worst_when=when,
        shares={host: part},
        bps={host: bits},
    )


def cut_off(world: World, parts: Mapping[str, float]) -> tuple[Failure, int, float] | None:
    """The failure that keeps most of the load from being sent: how many servers, and which part of the load."""
    by_group = world.by_group(parts)
    group_of = world.group_of()
    worst: tuple[Failure, int, float] | None = None
    for number, groups, gone in world.flows.lost:
        failure = world.failures[number]
        part = float(by_group[groups] @ gone)
        if part > (worst[2] if worst else 1e-9):
            hit = set(groups.tolist())
            servers = sum(group_of[name] in hit for name in parts)
            worst = failure, servers, part
    return worst
