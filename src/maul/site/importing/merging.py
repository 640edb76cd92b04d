"""Merge: one fragment of many. What an earlier one says goes before what a later one says; a difference is noted."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields

from maul.site.importing.fragment import FoundLink, FoundNic, FoundNode, Fragment, Note, end, same_port
from maul.site.model_network import named_port, node_of

_ONE_VALUE = ("address", "rack", "owner", "ssh_user", "ssh_port", "ssh_address", "is_switch")
_NOTED = {"rack"}
"""A host has several addresses and names, but stands in one rack."""


@dataclass
class _Merging:
    """What is known so far."""

    nodes: dict[str, FoundNode] = field(default_factory=dict)
    links: list[FoundLink] = field(default_factory=list)
    between: dict[frozenset[str], list[int]] = field(default_factory=lambda: defaultdict(list))
    """Indices of links by the two devices."""
    ports: dict[str, FoundLink] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def merge(fragments: Iterable[Fragment]) -> Fragment:
    """One fragment with everything. A machine is known by its name, with or without its domain."""
    listed = list(fragments)
    alias = _aliases([node.name for fragment in listed for node in fragment.nodes])
    merging = _Merging()
    for fragment in listed:
        merging.notes += fragment.notes
        for node in fragment.nodes:
            _add_node(merging, node, alias.get(node.name, node.name))
        for link in fragment.links:
            _add_link(merging, _renamed(link, alias))
    racks = dict.fromkeys(rack for fragment in listed for rack in fragment.racks)
    return Fragment(
        tuple(merging.nodes.values()), tuple(merging.links), tuple(racks), tuple(dict.fromkeys(merging.notes))
    )


def _aliases(names: Sequence[str]) -> dict[str, str]:
    """`srv-1.example.net` is `srv-1` where just one machine with a domain has that first word."""
    known = dict.fromkeys(names)
    with_domain: dict[str, list[str]] = {}
    for name in known:
        if "." in name:
            with_domain.setdefault(name.partition(".")[0], []).append(name)
    return {longer[0]: short for short, longer in with_domain.items() if len(longer) == 1 and short in known}


def _add_node(merging: _Merging, node: FoundNode, name: str) -> None:
    before = merging.nodes.get(name)
    if before is None:
        merging.nodes[name] = _with(node, name=name)
        return
    changes: dict[str, object] = {}
    for key in _ONE_VALUE:
        old, new = getattr(before, key), getattr(node, key)
        if old is None:
            changes[key] = new
        elif key in _NOTED and new is not None and new != old:
            says = f'"{name}" stands in {key} {new} here, and in {old} by {before.where}; the latter is taken'
            merging.notes.append(Note(node.where, says))
    nics = {nic.name: nic for nic in before.nics}
    for nic in node.nics:
        known = nics.get(nic.name)
        if known is None or known.speed_bps is None:
            nics[nic.name] = FoundNic(nic.name, nic.speed_bps, known.bond if known else nic.bond)
    merging.nodes[name] = _with(before, **changes, marks=before.marks | node.marks, nics=tuple(nics.values()))


def _with(node: FoundNode, **changes: object) -> FoundNode:
    values = {one.name: getattr(node, one.name) for one in fields(node)} | changes
    return FoundNode(**values)


def _renamed(link: FoundLink, alias: dict[str, str]) -> FoundLink:
    first, second = (end(alias.get(node_of(port), node_of(port)), named_port(port)) for port in link.ends)
    return FoundLink((first, second), link.where, link.capacity_bps, link.members)


def _add_link(merging: _Merging, link: FoundLink) -> None:
    nodes = frozenset(node_of(port) for port in link.ends)
    if len(nodes) == 1:
        merging.notes.append(Note(link.where, f"{link.ends[0]} is wired to itself; left out"))
        return
    same = [index for index in merging.between[nodes] if _told_twice(merging.links[index], link)]
    if same:
        merging.links[same[0]] = _both(merging.links[same[0]], link)
        return
    clash = next((merging.ports[port] for port in link.ends if port in merging.ports), None)
    if clash is not None:
        says = f"{link.ends[0]} – {link.ends[1]} clashes with {clash.ends[0]} – {clash.ends[1]} of {clash.where}"
        merging.notes.append(Note(link.where, f"{says}; left out"))
        return
    merging.between[nodes].append(len(merging.links))
    merging.links.append(link)
    merging.ports.update({port: link for port in link.ends if named_port(port)})


def _told_twice(one: FoundLink, other: FoundLink) -> bool:
    """The same cable, perhaps in other spellings, or with a port that one of them does not know."""
    mine = {node_of(port): named_port(port) for port in one.ends}
    seen = {node_of(port): named_port(port) for port in other.ends}
    known = [node for node in mine if mine[node] is not None and seen[node] is not None]
    return bool(known or mine == seen) and all(same_port(mine[node], seen[node]) for node in known)


def _both(one: FoundLink, other: FoundLink) -> FoundLink:
    """What the first says, completed by the second."""
    seen = {node_of(port): port for port in other.ends}
    first, second = (port if named_port(port) else seen[node_of(port)] for port in one.ends)
    capacity = one.capacity_bps if one.capacity_bps is not None else other.capacity_bps
    return FoundLink((first, second), one.where, capacity, max(one.members, other.members))
