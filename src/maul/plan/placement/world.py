"""World: everything about a site that a placement is judged by, worked out once for the load servers in question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from maul.campaign.model_fleet import Fleet
from maul.campaign.problems import Problem
from maul.plan.placement.demand import Demand
from maul.plan.placement.failures import Failure, failures_of
from maul.plan.placement.flows import FlowMaker, Flows
from maul.plan.placement.rows import Rows, Scene, rows_of
from maul.plan.placement.wiring import Floats, Wiring, wiring_of
from maul.site import Site
from maul.site.model import Host
from maul.site.model_network import Network
from maul.site.topology import hosts_of_endpoint


@dataclass(frozen=True, slots=True)
class World:
    """Site, demand and servers as graph, fractions and rows."""

    demand: Demand
    fleet: Fleet
    servers: Mapping[str, Host]
    wiring: Wiring
    failures: tuple[Failure, ...]
    flows: Flows
    rows: Rows

    def group_of(self) -> dict[str, int]:
        """Server → its group; none for those without a cable to the network."""
        return {name: number for number, group in enumerate(self.wiring.groups) for name in group.cables}

    def by_group(self, parts: Mapping[str, float]) -> Floats:
        """Servers' parts of the load added up by group."""
        group_of, found = self.group_of(), np.zeros(len(self.wiring.groups))
        for name, part in parts.items():
            found[group_of[name]] += part
        return found


def world_of(site: Site, network: Network, fleet: Fleet, demand: Demand, servers: Mapping[str, Host]) -> World:
    """All of it. Ask `target_problems` first."""
    hosts = {name: hosts_of_endpoint(site, site.endpoint(name)) for name in demand.endpoints}
    wiring = wiring_of(site, network, [host for some in hosts.values() for host in some], servers)
    failures = tuple(failures_of(wiring)) if fleet.survive_one_failure else ()
    doors: list[Sequence[int]] = [[wiring.targets[host] for host in hosts[name]] for name in demand.endpoints]
    maker = FlowMaker(wiring, doors)
    flows = maker.flows(failures)
    rows = rows_of(Scene(wiring, flows, failures, demand, fleet.caps), maker.router)
    return World(demand, fleet, servers, wiring, failures, flows, rows)


def target_problems(site: Site, network: Network, demand: Demand) -> list[Problem]:
    """Endpoints whose place in the network nobody knows."""
    wired = {node for link in network.links for node in link.nodes}
    found = []
    for name in dict.fromkeys(demand.endpoints):
        hosts = hosts_of_endpoint(site, site.endpoint(name))
        if not hosts:
            found.append(
                Problem(
                    ("target", "endpoints"),
                    f'site {site.name} does not say which hosts answer for "{name}", so the way of its load is not '
                    "known; add a VIP with this endpoint to network.vips",
                )
            )
        loose = [host for host in hosts if host not in wired]
        if loose:
            found.append(
                Problem(
                    ("target", "endpoints"),
                    f'{", ".join(loose)}, where "{name}" answers, hangs on no link of site {site.name}; '
                    "add its cables to network.links",
                )
            )
    return found
