"""Unpaced: how fast what nobody paces (filling, audit, clean-up, closed loops) may go with the shares of a placement.

Such a phase goes as fast as its limits let it, so the limits must keep the links: sent alone and received alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from maul.plan.fleet_model import Load
from maul.plan.placement.demand import ACKS, Demand
from maul.plan.placement.routes import Router
from maul.plan.placement.rows import Scene, rows_of
from maul.plan.placement.servers import (
    WITHOUT_END,
    Ceiling,
    cable_ceilings,
    cablings,
    mitigation_ceilings,
    own_ceilings,
)
from maul.plan.placement.world import World

PROBE_BPS = 1e9


def unpaced(world: World, parts: Mapping[str, float]) -> Load:
    """The most bits per second each way by themselves, acknowledgements on the way back, and requests per second."""
    there = Load(sent_bps=PROBE_BPS, received_bps=ACKS * PROBE_BPS)
    back = Load(sent_bps=ACKS * PROBE_BPS, received_bps=PROBE_BPS)
    requests = replace(world.demand, load=Load(requests_per_s=1.0), packets_per_s=0.0)
    return Load(
        requests_per_s=_times([*_by_servers(world, requests, parts), *_overall(world, requests)]),
        sent_bps=PROBE_BPS * _most(world, there, parts),
        received_bps=PROBE_BPS * _most(world, back, parts),
    )


def _most(world: World, load: Load, parts: Mapping[str, float]) -> float:
    """The largest multiple of a load that keeps every row and every server's ceiling; connections stay as many."""
    demand = replace(world.demand, load=load, packets_per_s=0.0)
    scene = Scene(world.wiring, world.flows, world.failures, demand, world.fleet.caps)
    rows = rows_of(scene, Router(world.wiring))
    ours = rows.ours_bps(world.by_group(parts))
    used = ours > 1e-3
    fullest = ours[used] + np.sqrt(rows.unevenness_bps[used] * ours[used])  # both grow in proportion to the load
    links = float(np.min(rows.room_bps[used] / fullest, initial=WITHOUT_END))
    if links <= 0:
        return 0.0
    full = Load(sent_bps=load.sent_bps * links, received_bps=load.received_bps * links)
    filled = replace(demand, load=full)
    return links * min(1.0, _times([*_by_servers(world, filled, parts), *_overall(world, filled)]))


def _times(limits: list[float]) -> float:
    return min(limits, default=WITHOUT_END)


def _overall(world: World, demand: Demand) -> Iterator[float]:
    for ceiling in mitigation_ceilings(world.wiring.network, demand, world.fleet.caps, source=False):
        yield ceiling.share


def _by_servers(world: World, demand: Demand, parts: Mapping[str, float]) -> Iterator[float]:
    """How many times the load each server's ceilings allow."""
    network, caps, group_of = world.wiring.network, world.fleet.caps, world.group_of()
    cabling = cablings(world.wiring, world.flows)
    from_source = list(mitigation_ceilings(network, demand, caps, source=True))
    for name, part in parts.items():
        group = group_of[name]
        cables = cable_ceilings(
            world.servers[name], cabling[group], world.wiring.cables_of(name, group), demand, caps,
            every_failure=bool(world.failures),
        )  # fmt: skip
        ceilings: list[Ceiling] = [*own_ceilings(world.servers[name], demand), *from_source, *cables]
        yield from (one.share / part for one in ceilings if one.unit != "connections")
