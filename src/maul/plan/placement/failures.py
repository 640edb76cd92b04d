"""Failures: what may go down alone. Each link, one member of a bundle, each switch, each failure group."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maul.plan.placement.wiring import Wiring, links_by_ends
from maul.site.topology import link_words


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is down. `edges`: those that carry nothing then."""

    name: str
    edges: tuple[int, ...] = ()
    member_of: int = -1
    """The link of which one member is down: its load stays, its capacity shrinks."""
    cable_of: int = -1
    """The group of which one server lost a cable and keeps others: all other servers are as before."""


def failures_of(wiring: Wiring) -> Iterator[Failure]:
    """Every failure that can change a path or a capacity; what no load can cross is left out."""
    links = wiring.network.links
    by_link: dict[int, list[int]] = {}
    for edge, link in enumerate(wiring.link.tolist()):
        if link >= 0:
            by_link.setdefault(link, []).append(edge)
    for number, edges in by_link.items():
        link = links[number]
        if link.members > 1:
            yield Failure(f"one of {link.members} members of {link_words(link.between)} is down", member_of=number)
        yield Failure(f"{link_words(link.between)} is down", tuple(edges))
    starts, order = wiring.out_edges()
    for name, node in wiring.node_of_switch.items():
        out = order[starts[node] : starts[node + 1]]
        if len(out):
            yield Failure(f"{name} is down", tuple(np.concatenate([out, out ^ 1]).tolist()))
    yield from _groups(wiring, by_link)
    for number, group in enumerate(wiring.groups):
        if len(group.edges) > 1:
            for place, edge in enumerate(group.edges):
                switch = wiring.nodes[int(wiring.head[edge])]
                yield Failure(f"its cable {place + 1} to {switch} is down", (edge, edge ^ 1), cable_of=number)


def _groups(wiring: Wiring, by_link: dict[int, list[int]]) -> Iterator[Failure]:
    by_ends = links_by_ends(wiring.network.links)
    cables: dict[int, list[int]] = {}
    for group in wiring.groups:
        for links in group.cables.values():
            for edge, link in zip(group.edges, links, strict=True):
                cables.setdefault(link, []).extend((edge, edge ^ 1))
    starts, order = wiring.out_edges()
    for failing in wiring.network.groups:
        edges: set[int] = set()
        for name in failing.switches:
            node = wiring.node_of_switch[name]
            out = order[starts[node] : starts[node + 1]]
            edges.update(np.concatenate([out, out ^ 1]).tolist())
        for ends in failing.links:
            link = by_ends.get(frozenset(ends), -1)
            edges.update(by_link.get(link, cables.get(link, [])))
        if edges:
            yield Failure(f"group {failing.name} is down", tuple(sorted(edges)))
