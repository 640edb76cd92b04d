"""containerlab: a topology file as a fragment.

Read: `topology.nodes` with `kind`, `group`, `labels`, `mgmt-ipv4`, and what `defaults`, `kinds` and `groups` say of
them; `topology.links` in the brief form (`endpoints: ["a:eth1", "b:eth1"]`) and the extended one (`type: veth`,
`endpoints: [{node: a, interface: eth1}, …]`). The label `rack` names the rack, the label `speed` or `bandwidth` of an
extended link its capacity; containerlab itself knows no speeds.
"""

from typing import Any

from maul.core.errors import CampaignError
from maul.core.units import parse_bitrate
from maul.site.importing.documents import as_dict, as_list, text_at, yaml_of
from maul.site.importing.fragment import FoundLink, FoundNode, Fragment, Names, Note, counted, end, site_name, some

_HOST_KINDS = {"linux", "ext-container", "k8s-kind", "border0", "generic_vm"}
_OUTSIDE = {"host", "mgmt-net", "macvlan"}
"""Ends that containerlab keeps for itself: they lead out of the topology."""


def read(text: str, name: str) -> Fragment:
    """The fragment of one topology; CampaignError when it is none."""
    data = as_dict(yaml_of(text, name))
    topology = as_dict(data.get("topology"))
    nodes = as_dict(topology.get("nodes"))
    if not nodes:
        raise CampaignError("is no topology of containerlab", name, "expected topology.nodes")
    names = Names(name)
    called = {raw: names.fresh(raw) for raw in nodes}
    notes: list[Note] = []
    found = [_node(called[raw], _inherited(topology, as_dict(body)), name) for raw, body in nodes.items()]
    links = _links(as_list(topology.get("links")), called, name, notes)
    if any(link.capacity_bps is None for link in links):
        notes.append(Note(name, "containerlab knows no speeds: the capacity of its links is not known"))
    return Fragment(tuple(found), tuple(links), notes=(*notes, *names.all_notes()))


def _inherited(topology: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What holds for a node: its own words before its group's, before its kind's, before the defaults."""
    defaults = as_dict(topology.get("defaults"))
    group = text_at(body, "group") or text_at(defaults, "group") or ""
    of_group = as_dict(as_dict(topology.get("groups")).get(group))
    kind = text_at(body, "kind") or text_at(of_group, "kind") or text_at(defaults, "kind") or ""
    of_kind = as_dict(as_dict(topology.get("kinds")).get(kind))
    layers = (defaults, of_kind, of_group, body)
    labels: dict[str, Any] = {}
    for layer in layers:
        labels |= as_dict(layer.get("labels"))
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= layer
    return {**merged, "labels": labels, "kind": kind, "group": group}


def _node(name: str, body: dict[str, Any], where: str) -> FoundNode:
    kind, group, labels = body["kind"], body["group"], body["labels"]
    marks = {kind, group, *(f"{key}={value}" for key, value in labels.items())}
    marks |= {str(labels[key]) for key in ("role", "tier", "graph-icon") if key in labels}
    rack = text_at(labels, "rack")
    return FoundNode(
        name,
        f"{where} node {name}",
        address=text_at(body, "mgmt-ipv4") or text_at(body, "mgmt_ipv4") or text_at(body, "mgmt-ipv6"),
        rack=site_name(rack) if rack else None,
        marks=frozenset(str(mark) for mark in marks if mark),
        is_switch=None if not kind else kind not in _HOST_KINDS,
    )


def _links(listed: list[Any], called: dict[str, str], where: str, notes: list[Note]) -> list[FoundLink]:
    found: list[FoundLink] = []
    outside = 0
    seen: set[str] = set()
    for index, body in enumerate(listed):
        place = f"{where} link {index + 1}"
        ends = _ends(as_dict(body))
        if ends is None:
            outside += 1
            continue
        unknown = [node for node, _ in ends if node not in called and node not in _OUTSIDE]
        if len(ends) != 2 or unknown:
            says = f"no node is named {some(unknown)}" if unknown else f"it has {counted(len(ends), 'end')}"
            notes.append(Note(place, f"{says}; left out"))
            continue
        if any(node in _OUTSIDE and node not in called for node, _ in ends):
            outside += 1
            continue
        named = [end(called[node], port) for node, port in ends]
        if called[ends[0][0]] == called[ends[1][0]] or any(":" in port and port in seen for port in named):
            notes.append(Note(place, f"{some(named)} clashes with another link or with itself; left out"))
            continue
        seen.update(named)
        found.append(FoundLink((named[0], named[1]), place, _capacity(as_dict(body), place, notes)))
    if outside:
        notes.append(
            Note(where, f"left out: {counted(outside, 'link')} leading out of the topology (host, mgmt-net …)")
        )
    return found


def _ends(body: dict[str, Any]) -> list[tuple[str, str | None]] | None:
    """Node and port of every end; None for a link that has one end only, by its type."""
    if text_at(body, "type") not in {None, "veth"}:
        return None
    ends: list[tuple[str, str | None]] = []
    for item in as_list(body.get("endpoints")):
        if isinstance(item, str):
            node, _, port = item.rpartition(":") if item.count(":") > 1 else item.partition(":")
            ends.append((node.rpartition(":")[2], port or None))
        else:
            ends.append((text_at(item, "node") or "?", text_at(item, "interface")))
    return ends


def _capacity(body: dict[str, Any], place: str, notes: list[Note]) -> float | None:
    labels, variables = as_dict(body.get("labels")), as_dict(body.get("vars"))
    for key in ("bandwidth", "speed", "capacity"):
        word = text_at(labels, key) or text_at(variables, key)
        if word is not None:
            try:
                return parse_bitrate(word) or None
            except ValueError:
                notes.append(Note(place, f'its {key} "{word}" is no bit rate such as 25Gbit/s; not known'))
    return None
