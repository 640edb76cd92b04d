"""NetBox: its REST lists of devices, interfaces, cables and racks, as a fragment.

Understood: `dcim/devices`, `dcim/interfaces`, `dcim/cables`, `dcim/racks`, each as the API answers (`{"count": …,
"results": […]}`) or as a bare list, of NetBox 2.10 to 4.x: `role` or `device_role`, cables with lists of terminations
or with `termination_a`, interfaces with `connected_endpoints` (which see through patch panels) or
`connected_endpoint`. Speeds are kbit/s there, bits per second here.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from maul.core.errors import CampaignError
from maul.site.importing.documents import as_dict, as_list, json_of, number_at, text_at
from maul.site.importing.fragment import (
    FoundLink,
    FoundNic,
    FoundNode,
    Fragment,
    Names,
    Note,
    counted,
    end,
    port_name,
    site_name,
    some,
)

_KINDS = ("devices", "interfaces", "cables", "racks")
_NO_CARDS = {"virtual", "bridge", "lag"}
_SPEED_OF_TYPE = re.compile(r"(\d+(?:\.\d+)?)(g?)base-")


@dataclass(frozen=True, slots=True)
class _Port:
    """An interface, as cables see it."""

    node: str
    name: str
    speed_bps: float | None
    lag: str | None
    ours: bool
    """It carries traffic: no management port, no virtual one."""


@dataclass
class _Reading:
    """What is known while it is read."""

    where: str
    objects: dict[str, list[dict[str, Any]]]
    notes: list[Note] = field(default_factory=list)
    nodes: dict[str, str] = field(default_factory=dict)
    """Names by NetBox's id of the device."""
    ports: dict[str, _Port] = field(default_factory=dict)
    """By NetBox's id of the interface."""
    left_out: Counter[str] = field(default_factory=Counter)

    def note(self, says: str) -> None:
        self.notes.append(Note(self.where, says))


def read(texts: dict[str, str]) -> Fragment:
    """The fragment of several lists together, by file name: cables make no sense without their devices.

    Raises CampaignError when one is not JSON, or is none of NetBox's lists.
    """
    objects: dict[str, list[dict[str, Any]]] = defaultdict(list)
    notes: list[Note] = []
    for name, text in texts.items():
        _sort_out(json_of(text, name, "a list of NetBox's REST API"), name, objects, notes)
    reading = _Reading("netbox", objects, notes)
    names = Names(reading.where)
    racks = _racks(reading)
    cards = _interfaces_by_device(objects["interfaces"])
    found = [_device(reading, names, device) for device in objects["devices"]]
    for device_id, interfaces in cards.items():
        for interface in interfaces:
            _port(reading, device_id, interface)
    nodes = tuple(_with_nics(node, cards.get(key, [])) for key, node in found)
    links = _bundled(reading, _distinct(reading, list(_links(reading))))
    for what, number in reading.left_out.items():
        noun, _, rest = what.partition(" ")
        reading.note(f"left out: {counted(number, noun)} {rest}")
    return Fragment(nodes, tuple(links), racks, (*reading.notes, *names.all_notes()))


def _sort_out(data: Any, name: str, objects: dict[str, list[dict[str, Any]]], notes: list[Note]) -> None:
    listed = data.get("results") if isinstance(data, dict) else data
    if not isinstance(listed, list):
        cure = "expected what /api/dcim/devices/, interfaces/, cables/ or racks/ answers"
        raise CampaignError("is no list of NetBox", name, cure)
    kinds: Counter[str] = Counter()
    for item in listed:
        kind = _kind(item)
        if kind is None:
            notes.append(Note(name, "an entry is no device, interface, cable or rack; left out"))
            continue
        kinds[kind] += 1
        objects[kind].append(item)
    promised = number_at(data, "count")
    if promised is not None and promised > len(listed):
        says = f"only {len(listed)} of {promised:.0f} entries: a page; fetch all (?limit=0), or give every page"
        notes.append(Note(name, says))


def _kind(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    url = item.get("url")
    if isinstance(url, str):
        for kind in _KINDS:
            if f"/dcim/{kind}/" in url:
                return kind
    if "a_terminations" in item or "termination_a_type" in item:
        return "cables"
    if "device_type" in item:
        return "devices"
    if "device" in item and "type" in item:
        return "interfaces"
    return "racks" if "u_height" in item else None


def _racks(reading: _Reading) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            site_name(name) for rack in reading.objects["racks"] if (name := text_at(rack, "name")) is not None
        )
    )


def _device(reading: _Reading, names: Names, device: dict[str, Any]) -> tuple[str, FoundNode]:
    key = text_at(device, "id") or ""
    raw = text_at(device, "name") or text_at(device, "display") or text_at(device, "display_name") or f"device-{key}"
    name = names.fresh(raw)
    if key and reading.nodes.setdefault(key, name) != name:
        reading.note(f'"{raw}" has the id {key}, as "{reading.nodes[key]}" has; its cables cannot be told apart')
    role = as_dict(device.get("role")) or as_dict(device.get("device_role"))
    marks = {text_at(role, "slug"), text_at(role, "name"), text_at(device, "platform", "slug")}
    marks |= {text_at(tag, "slug") or text_at(tag, "name") for tag in as_list(device.get("tags"))}
    marks |= {text_at(device, "cluster", "name"), text_at(device, "tenant", "slug")}
    status = text_at(device, "status", "value")
    if status not in {None, "active", "staged"}:
        reading.note(f'"{name}" is {status} in NetBox')
    rack = text_at(device, "rack", "name")
    address = text_at(device, "primary_ip4", "address") or text_at(device, "primary_ip", "address")
    return key, FoundNode(
        name,
        f"netbox device {key}",
        address=address.partition("/")[0] if address else None,
        rack=site_name(rack) if rack else None,
        marks=frozenset(mark for mark in marks if mark),
        owner=text_at(device, "tenant", "name"),
    )


def _interfaces_by_device(interfaces: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for interface in interfaces:
        found[text_at(interface, "device", "id") or ""].append(interface)
    return found


def speed_of_type(kind: str) -> float | None:
    """Bits per second of one of NetBox's types of interfaces; None for what is no Ethernet.

    >>> speed_of_type("25gbase-x-sfp28"), speed_of_type("1000base-t"), speed_of_type("2.5gbase-t"), speed_of_type("lag")
    (25000000000.0, 1000000000.0, 2500000000.0, None)
    """
    match = _SPEED_OF_TYPE.match(kind.lower())
    return float(match.group(1)) * (1e9 if match.group(2) else 1e6) if match else None


def _speed(interface: dict[str, Any]) -> float | None:
    kbit = number_at(interface, "speed")
    kind = text_at(interface, "type", "value") or ""
    return kbit * 1000 if kbit is not None else speed_of_type(kind)


def _port(reading: _Reading, device_id: str, interface: dict[str, Any]) -> None:
    key, name = text_at(interface, "id"), text_at(interface, "name")
    node = reading.nodes.get(device_id)
    if key is None or name is None:
        reading.left_out["interface without id or name"] += 1
    elif node is None:
        reading.left_out["interface of a device that is in no list"] += 1
    else:
        kind = text_at(interface, "type", "value") or ""
        ours = not interface.get("mgmt_only") and kind not in {"virtual", "bridge"}
        reading.ports[key] = _Port(node, name, _speed(interface), text_at(interface, "lag", "name"), ours)


def _with_nics(node: FoundNode, interfaces: list[dict[str, Any]]) -> FoundNode:
    """Its cards, and the bonds that they form."""
    nics: dict[str, FoundNic] = {}
    bonds: dict[str, float] = defaultdict(float)
    for interface in interfaces:
        name, kind = text_at(interface, "name"), text_at(interface, "type", "value") or ""
        if name is None or interface.get("mgmt_only") or kind in _NO_CARDS or interface.get("enabled") is False:
            continue
        speed, lag = _speed(interface), text_at(interface, "lag", "name")
        nics[port_name(name)] = FoundNic(port_name(name), speed, port_name(lag) if lag else None)
        if lag is not None:
            bonds[port_name(lag)] += speed or 0.0
    bonded = [FoundNic(name, speed or None) for name, speed in bonds.items() if name not in nics]
    return replace(node, nics=(*nics.values(), *bonded))


def _links(reading: _Reading) -> Iterator[FoundLink]:
    """Links that interfaces tell of, then those of cables."""
    for key, interface in ((text_at(item, "id"), item) for item in reading.objects["interfaces"]):
        port = reading.ports.get(key or "")
        far = as_list(interface.get("connected_endpoints")) or [as_dict(interface.get("connected_endpoint"))]
        if port is None or not port.ours or len(far) != 1:
            continue
        other = reading.ports.get(text_at(far[0], "id") or "")
        if other is not None and other.ours and text_at(far[0], "device", "id") is not None:
            yield _link(port, other, f"netbox interface {key}")
    for cable in reading.objects["cables"]:
        yield from _cable(reading, cable)


def _cable(reading: _Reading, cable: dict[str, Any]) -> Iterator[FoundLink]:
    where = f"netbox cable {text_at(cable, 'id') or '?'}"
    status = text_at(cable, "status", "value")
    if status in {"planned", "decommissioning"}:
        reading.left_out[f"cable that NetBox calls {status}"] += 1
        return
    sides = [_terminations(reading, cable, side) for side in ("a", "b")]
    if any(side is None for side in sides):
        reading.left_out["cable ending at something else than two interfaces (power, console, a panel)"] += 1
        return
    a, b = (side or [] for side in sides)
    if not a or not b:
        reading.left_out["cable with a loose end, or with an end in no list"] += 1
    elif not all(port.ours for port in (*a, *b)):
        reading.left_out["cable of a management or virtual interface"] += 1
    elif len(a) == len(b) == 1:
        yield _link(a[0], b[0], where)
    elif 1 in {len(a), len(b)}:
        yield from _breakout(reading, a, b, where)
    else:
        says = f"{len(a)} and {len(b)} terminations: which is wired to which is not known; left out"
        reading.notes.append(Note(where, says))


def _terminations(reading: _Reading, cable: dict[str, Any], side: str) -> list[_Port] | None:
    """Ports at one side; None when something else is there."""
    listed = as_list(cable.get(f"{side}_terminations"))
    if not listed and f"termination_{side}_type" in cable:
        key = text_at(cable, f"termination_{side}_id") or text_at(cable, f"termination_{side}", "id")
        listed = [{"object_type": cable[f"termination_{side}_type"], "object_id": key}]
    ports = []
    for item in listed:
        if text_at(item, "object_type") != "dcim.interface":
            return None
        key = text_at(item, "object_id") or text_at(item, "object", "id") or ""
        if key not in reading.ports:
            _learn(reading, key, as_dict(as_dict(item).get("object")))
        if key in reading.ports:
            ports.append(reading.ports[key])
    return ports if len(ports) == len(listed) else []


def _learn(reading: _Reading, key: str, brief: dict[str, Any]) -> None:
    """An interface that no list has, from what the cable says of it."""
    node, name = reading.nodes.get(text_at(brief, "device", "id") or ""), text_at(brief, "name")
    if key and node is not None and name is not None:
        reading.ports[key] = _Port(node, name, None, None, True)


def _link(a: _Port, b: _Port, where: str) -> FoundLink:
    known = [speed for speed in (a.speed_bps, b.speed_bps) if speed is not None]
    return FoundLink((end(a.node, a.name), end(b.node, b.name)), where, min(known, default=None))


def _breakout(reading: _Reading, a: list[_Port], b: list[_Port], where: str) -> Iterator[FoundLink]:
    """One port whose lanes go to several: each gets its part. The one port's counters cannot tell them apart."""
    trunk, many = (a[0], b) if len(a) == 1 else (b[0], a)
    part = trunk.speed_bps / len(many) if trunk.speed_bps is not None else None
    for port in many:
        known = [speed for speed in (part, port.speed_bps) if speed is not None]
        yield FoundLink((trunk.node, end(port.node, port.name)), where, min(known, default=None))
    says = (
        f"{trunk.node}:{trunk.name} is broken out to {counted(len(many), 'port')}: name its lanes where its counters do"
    )
    reading.notes.append(Note(where, says))


def _distinct(reading: _Reading, links: list[FoundLink]) -> list[FoundLink]:
    """Each cable once: both of its interfaces, and the cable itself, tell of it."""
    found: dict[frozenset[str], FoundLink] = {}
    used: dict[str, FoundLink] = {}
    for link in links:
        if link.ends[0].partition(":")[0] == link.ends[1].partition(":")[0]:
            reading.left_out["cable from a device to itself"] += 1
            continue
        if frozenset(link.ends) in found:
            continue
        clash = next((used[port] for port in link.ends if ":" in port and port in used), None)
        if clash is not None:
            reading.notes.append(Note(link.where, f"{some(link.ends)} clashes with {clash.where}; left out"))
            continue
        found[frozenset(link.ends)] = link
        used.update(dict.fromkeys(link.ends, link))
    return list(found.values())


def _bundled(reading: _Reading, links: list[FoundLink]) -> list[FoundLink]:
    """Cables between the same two bundles (LAG) are one link of several members. A bond over two switches stays two
    links, each at a card of its own."""
    lags = {end(port.node, port.name): port.lag for port in reading.ports.values()}
    bundles: dict[tuple[str, str], list[FoundLink]] = defaultdict(list)
    for link in links:
        ends = sorted(link.ends)
        bonds = [lags.get(port) for port in ends]
        named = [end(port.partition(":")[0], bond) for port, bond in zip(ends, bonds, strict=True)]
        bundles[(named[0], named[1]) if all(bonds) else (ends[0], ends[1])].append(link)
    found = []
    for ends_of, parts in bundles.items():
        if len(parts) == 1 and frozenset(ends_of) == frozenset(parts[0].ends):
            found.append(parts[0])
            continue
        speeds = [part.capacity_bps for part in parts]
        known = [speed for speed in speeds if speed is not None]
        capacity = sum(known) if len(known) == len(parts) else None
        found.append(FoundLink(ends_of, parts[0].where, capacity, len(parts)))
    return found
