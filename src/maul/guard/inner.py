"""Inner traffic: what the target sends to itself for our sake (balancer to gateway, copies between stores).

No map of ours says how much that is. The trickle measures it; from then on it is part of what a link is to carry, and
everybody's: whoever sends, the target copies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import networkx as nx

from maul.guard.network_words import Direction
from maul.plan.fleet_model import FleetPlan
from maul.site.model_network import Network
from maul.site.topology import arcs, graph

CAP = 0.6
"""Of a shared link that the plan does not speak of."""


def inner_directions(network: Network, target: Iterable[str]) -> frozenset[str]:
    """Directions on any shortest way between two hosts of the target. Hosts behind the same switches count as one."""
    switches = {switch.name for switch in network.switches}
    hosts = sorted(set(target))
    ways = graph(network).subgraph(switches | set(hosts))
    behind: dict[frozenset[str], str] = {}
    found: set[str] = set()
    for host in hosts:
        if host not in ways:
            continue
        around = frozenset(ways.successors(host))
        found |= {
            name for edges in (ways.out_edges(host, keys=True), ways.in_edges(host, keys=True)) for *_, name in edges
        }
        behind.setdefault(around, host)
    ends = list(behind.values())
    away = {host: nx.single_source_shortest_path_length(ways, host) for host in ends}
    back = ways.reverse(copy=False)
    left = {host: nx.single_source_shortest_path_length(back, host) for host in ends}
    for source in ends:
        for target_host in ends:
            if source == target_host or target_host not in away[source]:
                continue
            far = away[source][target_host]
            found |= {
                name
                for a, b, name in ways.edges(keys=True)
                if away[source].get(a, far) + 1 + left[target_host].get(b, far) == far
            }
    return frozenset(found)


def with_inner(
    directions: Mapping[str, Direction], inner_bps: Mapping[str, float], fleet: FleetPlan, network: Network
) -> dict[str, Direction]:
    """The directions, with what was measured of the target's own traffic: bits per second at the heaviest moment."""
    loads = {one.name: one.load.sent_bps + one.load.received_bps for one in fleet.generators}
    total = sum(loads.values())
    cap = min((one.cap for one in directions.values() if one.shared), default=CAP)
    known, found = arcs(network), dict(directions)
    for name, bps in inner_bps.items():
        arc = known.get(name)
        if arc is None or bps <= 0 or total <= 0:
            continue
        each = {one: bps * load / total for one, load in loads.items()}
        before = found.get(name)
        if before is None:
            before = Direction(
                name, arc.capacity_bps, cap, arc.background_bps, arc.shared, 0.0, {}, frozenset(), frozenset()
            )
        found[name] = replace(
            before,
            worst_bps=max(before.worst_bps, sum(before.by_generator.values()) + before.background_bps) + bps,
            by_generator={one: before.by_generator.get(one, 0.0) + each[one] for one in loads},
            crossing=before.crossing | loads.keys(),
        )
    return found
