"""Carried: what every link will carry of a placement, in normal state and at its worst."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.sparse import csc_array

from maul.plan.fleet_model import LinkLoad
from maul.plan.placement.failures import Failure
from maul.plan.placement.rows import NORMAL, edges_of, worst_bps
from maul.plan.placement.servers import Cabling, cablings, way_of
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
        sent = _by_server(up, edge, members) if demand.sent_bps else {}
        received = _by_server(down, edge, members) if demand.received_bps else {}
        bits = [part * demand.sent_bps * parts[name] for name, part in sent.items()]
        bits += [part * demand.received_bps * parts[name] for name, part in received.items()]
        failure = int(rows.failure[row])
        yield (
            (int(wiring.link[edge]), edge % 2),
            LinkLoad(
                name=wiring.edge_name(edge),
                capacity_bps=float(edges.capacity_bps[edge]),
                background_bps=float(edges.background_bps[edge]),
                shared=bool(edges.shared[edge]),
                cap=float(edges.cap[edge]),
                ours_bps=math.fsum(bits),
                worst_bps=float(total[row]),
                worst_when=None if failure == NORMAL else world.failures[failure].name,
                up=sent,
                down=received,
            ),
        )


def _by_server(table: csc_array, edge: int, members: Mapping[int, Sequence[str]]) -> dict[str, float]:
    """Which part of each server's own load crosses the edge."""
    begin, end = table.indptr[edge], table.indptr[edge + 1]
    groups = zip(table.indices[begin:end].tolist(), table.data[begin:end].tolist(), strict=True)
    return {name: min(1.0, part) for group, part in groups for name in members.get(group, ())}


def _cables(world: World, parts: Mapping[str, float]) -> Iterator[tuple[tuple[int, int], LinkLoad]]:
    """The servers' own."""
    cabling, group_of, network = cablings(world.wiring, world.flows), world.group_of(), world.wiring.network
    for name, share in parts.items():
        group = group_of[name]
        for place, number in enumerate(world.wiring.groups[group].cables[name]):
            for sends in (True, False):
                load = _cable(world, network.links[number], name, (cabling[group], place, sends), share)
                if load is not None:
                    yield (number, way_of(network.links[number], name, sends)[0]), load


def _cable(world: World, link: Link, host: str, way: tuple[Cabling, int, bool], share: float) -> LinkLoad | None:
    cabling, place, sends = way
    caps, load = world.fleet.caps, world.demand.load
    whole = load.sent_bps if sends else load.received_bps
    part = (cabling.up if sends else cabling.down)[place]
    worst = (cabling.up_worst if sends else cabling.down_worst)[place]
    if whole * max(part, worst) <= 0:
        return None
    side, background = way_of(link, host, sends)
    moved = worst > part and bool(world.failures)
    ours = whole * share * (worst if moved else part)
    uneven = 2 * link.members * np.log(max(1.0, 1 / part if part else 1.0) * link.members) * whole
    fullest = float(worst_bps(np.array([ours]), np.array([uneven / world.demand.flows]))[0])
    scale, when = 1.0, "another cable of it is down" if moved else None
    if world.failures and link.members > 1 and not moved:
        scale, when = link.members / (link.members - 1), f"one of its {link.members} members is down"
    return LinkLoad(
        name=link.directions[side],
        capacity_bps=link.capacity,
        background_bps=background,
        shared=bool(link.shared_by),
        cap=caps.normal(shared=bool(link.shared_by), every_failure=bool(world.failures)),
        ours_bps=whole * share * part,
        worst_bps=(background + fullest) * scale,
        worst_when=when,
        up={host: part} if sends and part else {},
        down={host: part} if part and not sends else {},
    )


def cut_off(world: World, parts: Mapping[str, float]) -> list[tuple[Failure, int, float]]:
    """Failures that keep load from being sent, worst first: how many servers they cut off, and which part of the load.

    Of those that are equally bad the first.
    """
    by_group, group_of = world.by_group(parts), world.group_of()
    found: dict[tuple[int, float], Failure] = {}
    for number, groups, gone in world.flows.lost:
        part = float(by_group[groups] @ gone)
        hit = set(groups.tolist())
        servers = sum(group_of[name] in hit for name in parts)
        if part > 1e-9:
            found.setdefault((servers, round(part, 6)), world.failures[number])
    return sorted(((one, *key) for key, one in found.items()), key=lambda one: (-one[2], -one[1]))
