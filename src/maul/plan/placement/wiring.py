"""Wiring: the site's network as arrays, cut down to what load can cross.

Nodes are the switches, the target's hosts, and *groups*: all load servers whose cables lead to the same switches take
the same paths, so one node stands for them. Every cable is two directed edges, 2i and 2i + 1; `edge ^ 1` is the other
way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maul.site import Site
from maul.site.model_network import Link, Network, node_of

# A server with several cables takes other ways when one of them fails. So many such servers are looked at one by one;
# of more of them, those that are alike are taken to lose the same cable together, which is worse than the truth.
ALONE_MAX = 64
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Group:
    """Load servers with the same paths. `cables`: for each server the index of its links, in the group's order."""

    node: int
    cables: Mapping[str, tuple[int, ...]]
    edges: tuple[int, ...]
    """The edges out of the node, one for each cable of a server; the way back is `edge ^ 1`."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The graph. Edges of groups stand for many cables and have no link of their own (`link` -1)."""

    network: Network
    nodes: tuple[str, ...]
    switches: int
    """The first so many nodes."""
    tail: Ints
    head: Ints
    link: Ints
    groups: tuple[Group, ...]
    targets: Mapping[str, int]
    """Host of the target → node."""
    node_of_switch: Mapping[str, int]

    @property
    def edges(self) -> int:
        """How many."""
        return len(self.tail)

    def edge_name(self, edge: int) -> str:
        """The name of a direction, as the site says it."""
        return self.network.links[int(self.link[edge])].directions[edge % 2]

    def cables_of(self, host: str, group: int) -> tuple[Link, ...]:
        """The links of a server of that group."""
        return tuple(self.network.links[number] for number in self.groups[group].cables[host])

    def out_edges(self) -> tuple[Ints, Ints]:
        """CSR by tail: where the edges of a node begin, and the edges."""
        return _by(self.tail, len(self.nodes))

    def in_edges(self) -> tuple[Ints, Ints]:
        """CSR by head."""
        return _by(self.head, len(self.nodes))


def _by(ends: Ints, nodes: int) -> tuple[Ints, Ints]:
    order = np.argsort(ends, kind="stable")
    starts = np.zeros(nodes + 1, dtype=np.int64)
    np.cumsum(np.bincount(ends, minlength=nodes), out=starts[1:])
    return starts, order


def wiring_of(site: Site, network: Network, targets: Iterable[str], servers: Iterable[str]) -> Wiring:
    """The graph that the load of `servers` to `targets` can use. Servers without a cable to it are in no group."""
    names = [switch.name for switch in network.switches]
    switch_count = len(names)
    hosts = {host.name for host in site.hosts}
    names += [name for name in dict.fromkeys(targets) if name in hosts]
    index = {name: node for node, name in enumerate(names)}
    wanted = {name for name in servers if name not in index}
    tail: list[int] = []
    head: list[int] = []
    link_of: list[int] = []
    cables: dict[str, list[tuple[str, int]]] = {}
    for number, link in enumerate(network.links):
        first, second = link.nodes
        if first in index and second in index:
            tail += [index[first], index[second]]
            head += [index[second], index[first]]
            link_of += [number, number]
        for own, other in ((first, second), (second, first)):
            if own in wanted and other in index:
                cables.setdefault(own, []).append((other, number))
    marks = _group_marks(network)
    alone = sum(len(ends) > 1 for ends in cables.values()) <= ALONE_MAX
    alike: dict[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], dict[str, tuple[int, ...]]] = {}
    for name, ends in cables.items():
        ends.sort()
        key = tuple((other, marks.get(number, ())) for other, number in ends)
        own = name if alone and len(ends) > 1 else ""
        alike.setdefault((own, key), {})[name] = tuple(number for _, number in ends)
    groups: list[Group] = []
    for (_, key), members in alike.items():
        node, edges = len(names), []
        names.append(f"group {len(groups)}")
        for other, _ in key:
            edges.append(len(tail))
            tail += [node, index[other]]
            head += [index[other], node]
            link_of += [-1, -1]
        groups.append(Group(node, members, tuple(edges)))
    return Wiring(
        network=network,
        nodes=tuple(names),
        switches=switch_count,
        tail=np.array(tail, dtype=np.int64),
        head=np.array(head, dtype=np.int64),
        link=np.array(link_of, dtype=np.int64),
        groups=tuple(groups),
        targets={name: node for name, node in index.items() if node >= switch_count},
        node_of_switch={name: node for name, node in index.items() if node < switch_count},
    )


def _group_marks(network: Network) -> dict[int, tuple[int, ...]]:
    """Link → the failure groups that name it: servers whose cables fail with others are no longer alike."""
    by_ends = links_by_ends(network.links)
    marks: dict[int, tuple[int, ...]] = {}
    for number, group in enumerate(network.groups):
        for ends in group.links:
            link = by_ends.get(frozenset(ends))
            if link is not None:
                marks[link] = (*marks.get(link, ()), number)
    return marks


def links_by_ends(links: Sequence[Link]) -> dict[frozenset[str], int]:
    """A link's number, by its two ends in either order."""
    return {frozenset(link.between): number for number, link in enumerate(links)}


def cable_port(link: Link, host: str) -> str:
    """The host's own end of its cable."""
    return link.between[0] if node_of(link.between[0]) == host else link.between[1]
