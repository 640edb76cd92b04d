"""Topology: what planning, guarding and drawing ask of a site's network. Pure; nothing here routes.

A cable is two arcs, one per direction; parallel cables stay apart, for each has a name of its own.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import networkx as nx

from maul.site.model import Endpoint, Host, Site
from maul.site.model_network import Link, Network, direction, node_of


@dataclass(frozen=True, slots=True)
class Arc:
    """One direction of a link. Rates in bits per second."""

    name: str
    """`tor-r1:up0>spine:dn-r1`: the name that counters, plans and the guard use."""
    back: str
    """The name of the other direction."""
    source_port: str
    target_port: str
    capacity_bps: float
    background_bps: float
    """What others send in this direction at the busiest."""
    members: int
    """Cables of a bundle; one flow stays on one of them."""
    shared_by: tuple[str, ...]
    link: int
    """Where its link stands in `network.links`."""

    @property
    def source(self) -> str:
        """The host or switch that it leaves."""
        return node_of(self.source_port)

    @property
    def target(self) -> str:
        """The host or switch that it leads to."""
        return node_of(self.target_port)

    @property
    def shared(self) -> bool:
        """Others than the test use it."""
        return bool(self.shared_by)


def arcs(network: Network) -> dict[str, Arc]:
    """Both directions of every link by name, in the order of the file."""
    found: dict[str, Arc] = {}
    for index, link in enumerate(network.links):
        for arc in _both(index, link):
            found[arc.name] = arc
    return found


def _both(index: int, link: Link) -> Iterator[Arc]:
    first, second = link.between
    flows = ((first, second, link.background.out_bps), (second, first, link.background.back_bps))
    for source, target, background in flows:
        yield Arc(
            direction(source, target),
            direction(target, source),
            source,
            target,
            link.capacity,
            background,
            link.members,
            link.shared_by,
            index,
        )


def graph(network: Network, nodes: Iterable[str] = ()) -> "nx.MultiDiGraph[str]":
    """Hosts and switches with one edge per direction of a link: its key is the direction's name, its attribute `arc`
    the Arc. `nodes` are added although nothing is wired to them; switches always are."""
    made: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    made.add_nodes_from((*nodes, *(switch.name for switch in network.switches)))
    for arc in arcs(network).values():
        made.add_edge(arc.source, arc.target, key=arc.name, arc=arc)
    return made


def link_words(between: tuple[str, str]) -> str:
    """A link in words.

    >>> link_words(("tor-r1:up0", "spine:dn-r1"))
    'link tor-r1:up0 – spine:dn-r1'
    """
    return f"link {between[0]} – {between[1]}"


def hosts_of_endpoint(site: Site, endpoint: Endpoint) -> tuple[str, ...]:
    """Hosts that the traffic to an endpoint ends at: those of its VIPs; else the host that has the URL's address; else
    those of the services that open the door (gateways, or the balancers)."""
    vips = [vip for vip in (site.network.vips if site.network else ()) if vip.endpoint == endpoint.name]
    if vips:
        return tuple(dict.fromkeys(name for vip in vips for name in vip.hosts))
    named = [host.name for host in site.hosts if endpoint.host in {host.address, host.name}]
    if named:
        return tuple(named)
    opened_by = (
        [service.host for service in site.services if service.name in endpoint.serves]
        if endpoint.kind == "gateway"
        else [service.host for service in site.services_of("balancer")]
    )
    return tuple(dict.fromkeys(opened_by))


def target_hosts(site: Site) -> frozenset[str]:
    """Hosts of the target: those that its services run on, and those that serve its VIPs."""
    serving = {name for vip in (site.network.vips if site.network else ()) for name in vip.hosts}
    return frozenset(serving | {service.host for service in site.services})


def target_racks(site: Site) -> frozenset[str]:
    """Racks that hold a part of the target: a plan borrows elsewhere when it can."""
    racks = {host.name: host.rack for host in site.hosts}
    return frozenset(racks[name] for name in target_hosts(site) if name in racks)


def customer_hosts(site: Site) -> frozenset[str]:
    """Hosts of customers: ends of canaries, and hosts with an owner that are neither lent nor part of the target."""
    ends = {end for canary in (site.network.canaries if site.network else ()) for end in (canary.source, canary.target)}
    ours = target_hosts(site)
    return frozenset(
        ends | {host.name for host in site.hosts if host.owner and host.borrow is None and host.name not in ours}
    )


def islands(network: Network) -> tuple[frozenset[str], ...]:
    """Hosts and switches that reach each other through switches. A host with cards in two islands is in both: it
    forwards nothing. A host without a link is in none."""
    switches = {switch.name for switch in network.switches}
    wires: nx.Graph[str] = nx.Graph()
    wires.add_nodes_from(switches)
    hosts: dict[str, set[str]] = {}
    found: list[frozenset[str]] = []
    for link in network.links:
        a, b = link.nodes
        if a in switches and b in switches:
            wires.add_edge(a, b)
        elif a in switches or b in switches:
            switch, host = (a, b) if a in switches else (b, a)
            hosts.setdefault(switch, set()).add(host)
        else:
            found.append(frozenset({a, b}))  # a cable between two hosts
    found += (
        frozenset(component).union(*(hosts.get(switch, ()) for switch in component))
        for component in nx.connected_components(wires)
    )
    return tuple(found)


def by_rack(site: Site) -> Mapping[str, tuple[Host, ...]]:
    """Hosts of every rack, racks in the order of the file; empty racks included."""
    found: dict[str, list[Host]] = {rack: [] for rack in site.racks}
    for host in site.hosts:
        found[host.rack].append(host)
    return {rack: tuple(hosts) for rack, hosts in found.items()}
