"""Draft: a fragment as the text of a site file, with everything that a person must still fill in said beside its place.

The text is YAML, or JSON where the site is large: JSON is YAML, and read a hundred times faster.
"""

import ipaddress
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from maul.core.units import show_bitrate
from maul.site.importing.fragment import FoundLink, FoundNic, FoundNode, Fragment, Note, counted, some
from maul.site.importing.rules import Rules, Tier
from maul.site.model import Role
from maul.site.model_network import named_port, node_of

NO_RACK = "unknown"
UNKNOWN_CAPACITY = "?"
_NOTES_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a site, and what a person should know or do about it."""

    text: str
    notes: tuple[Note, ...]
    todo: tuple[str, ...]
    """What must still be filled in before it can be planned on."""
    hosts: int
    switches: int
    links: int


@dataclass(frozen=True)
class _Sorted:
    """Nodes by what they are."""

    hosts: tuple[FoundNode, ...]
    switches: dict[str, tuple[FoundNode, Tier]]
    left_out: frozenset[str]


def draft(fragment: Fragment, rules: Rules, name: str, as_json: bool = False) -> Draft:
    """The site as far as it is known. `name` of the site; `as_json` for large ones, whose notes stay outside."""
    nodes = _sort(fragment, rules)
    links = [link for link in fragment.links if not {node_of(port) for port in link.ends} & nodes.left_out]
    racks, inferred = _racks(nodes, links, rules)
    body, todo = _body(nodes, links, racks, rules, name)
    notes = list(fragment.notes)
    if inferred:
        says = f"the rack of {some(inferred)} is that of the switch above; correct it where that is wrong"
        notes.append(Note("racks", says))
    if nodes.left_out:
        notes.append(Note("devices", f"left out: {some(sorted(nodes.left_out))}"))
    text = json.dumps(body, indent=1, ensure_ascii=False) + "\n" if as_json else _yaml(body, notes, todo)
    return Draft(text, tuple(notes), tuple(todo), len(nodes.hosts), len(nodes.switches), len(links))


def _sort(fragment: Fragment, rules: Rules) -> _Sorted:
    hosts, switches, left_out = [], {}, set()
    known = {node.name for node in fragment.nodes}
    ends: dict[str, set[str]] = defaultdict(set)
    for link in fragment.links:
        first, second = (node_of(port) for port in link.ends)
        ends[first].add(second)
        ends[second].add(first)
    for node in fragment.nodes:
        tier = rules.tier_of(node)
        if rules.is_left_out(node):
            left_out.add(node.name)
        elif tier is not None or (node.is_switch and not rules.is_host(node)):
            switches[node.name] = (node, tier)
        else:
            hosts.append(node)
    told = {
        name: (node, tier or _tier_by_place(name, ends, switches.keys())) for name, (node, tier) in switches.items()
    }
    return _Sorted(tuple(hosts), told, frozenset(left_out | (ends.keys() - known)))


def _tier_by_place(name: str, ends: Mapping[str, set[str]], switches: Iterable[str]) -> Tier:
    """A switch whose neighbours are all switches is no leaf."""
    around = ends.get(name, set())
    return "spine" if around and around <= set(switches) else "leaf"


def _racks(nodes: _Sorted, links: list[FoundLink], rules: Rules) -> tuple[dict[str, str], list[str]]:
    """Racks by device; and the hosts whose rack is that of the leaf that they hang on."""
    racks: dict[str, str] = {}
    for node in (*nodes.hosts, *(switch for switch, _ in nodes.switches.values())):
        rack = node.rack or rules.rack_of(node)
        if rack is not None:
            racks[node.name] = rack
    leaves: dict[str, set[str]] = defaultdict(set)
    for link in links:
        for one, other in (link.ends, link.ends[::-1]):
            switch = nodes.switches.get(node_of(other))
            if switch is not None and switch[1] == "leaf" and node_of(other) in racks:
                leaves[node_of(one)].add(racks[node_of(other)])
    inferred = [node.name for node in nodes.hosts if node.name not in racks and len(leaves[node.name]) == 1]
    racks |= {name: next(iter(leaves[name])) for name in inferred}
    return racks, inferred


def _body(
    nodes: _Sorted, links: list[FoundLink], racks: Mapping[str, str], rules: Rules, name: str
) -> tuple[dict[str, Any], list[str]]:
    todo: list[str] = []
    homeless = [node.name for node in nodes.hosts if node.name not in racks]
    if homeless:
        todo.append(
            f"racks: the rack of {counted(len(homeless), 'host')} is not known ({some(homeless)}): it is {NO_RACK!r}"
        )
    nameless = [node.name for node in nodes.hosts if node.address is None]
    if nameless:
        todo.append(
            f"hosts: the address of {counted(len(nameless), 'host')} is not known ({some(nameless)}): the name is taken"
        )
    services = _services(nodes.hosts, rules)
    if not services:
        todo.append(
            "services: which hosts run the target? Write them, or import again with --role volume=… --role gateway=…"
        )
    endpoints = _endpoints(services, rules)
    if not endpoints:
        todo.append("endpoints: where do clients connect? Write it, or import again with --endpoint https://…")
    todo += ["redundancy: what does the target promise to survive? Until it is written, nothing is hurt"]
    if not rules.borrow:
        todo.append(
            "borrow: which hosts may be borrowed as load servers? Write `borrow: {}`, or import again with --borrow …"
        )
    listed = _links(links, rules)
    unknown = sum(link["capacity"] == UNKNOWN_CAPACITY for link in listed)
    if unknown:
        todo.append(
            f"capacity: that of {counted(unknown, 'link')} is not known (?): write it, or --capacity 25Gbit/s for all"
        )
    if links:
        todo.append(
            "background, shared_by: what do others send over the links, and who? Without it every link counts as empty"
        )
    body: dict[str, Any] = {"version": 1, "name": name, "kind": "real"}
    used = dict.fromkeys([*racks.values(), *([NO_RACK] if homeless else [])])
    body |= {"racks": list(used), "hosts": [_host(node, racks, links, rules) for node in nodes.hosts]}
    body |= {"services": services, "endpoints": endpoints}
    if nodes.switches and not links:
        todo.append(f"network: {counted(len(nodes.switches), 'switch')} and no link: left out; import links as well")
    if links:
        body["network"] = _network(nodes, listed, racks, body)
    return body, todo


def _host(node: FoundNode, racks: Mapping[str, str], links: list[FoundLink], rules: Rules) -> dict[str, Any]:
    host: dict[str, Any] = {"name": node.name, "address": node.address or node.name}
    host["rack"] = racks.get(node.name, NO_RACK)
    if node.owner is not None:
        host["owner"] = node.owner[:200]
    ssh = {"user": node.ssh_user, "port": node.ssh_port, "address": node.ssh_address}
    cards = _cards(node, links, rules)
    if cards:
        host["nics"] = cards
    if rules.may_be_borrowed(node) and not rules.roles_of(node):
        host["borrow"] = {}
    if any(ssh.values()):
        host["ssh"] = {key: value for key, value in ssh.items() if value is not None}
    return host


def _cards(node: FoundNode, links: list[FoundLink], rules: Rules) -> list[dict[str, Any]]:
    """Cards at links, or all where no link is known. A bond or its parts, never both; a card is as fast as its link
    where nobody says how fast it is; none at all where one stays unknown, for then the site could not be checked."""
    at = {named_port(port): link for link in links for port in link.ends if node_of(port) == node.name}
    at.pop(None, None)
    bonded = {nic.bond for nic in node.nics if nic.bond is not None}
    chosen = (
        [nic for nic in node.nics if nic.name in at] if at else [nic for nic in node.nics if nic.name not in bonded]
    )
    missing = [FoundNic(str(name)) for name in at if name not in {nic.name for nic in chosen}]
    speeds: dict[str, float | None] = {}
    for nic in (*chosen, *missing):
        link = at.get(nic.name)
        capacity = (link.capacity_bps or rules.capacity_bps) if link is not None else None
        speeds[nic.name] = max(nic.speed_bps or 0.0, capacity or 0.0) or None
    if not speeds or None in speeds.values():
        return []
    return [{"name": name, "speed": _rate(speed or 0.0)} for name, speed in speeds.items()]


def _services(hosts: tuple[FoundNode, ...], rules: Rules) -> list[dict[str, Any]]:
    return [
        {"name": f"{node.name[: 62 - len(role)]}-{role}", "role": role, "host": node.name}
        for node in hosts
        for role in rules.roles_of(node)
    ]


def _endpoints(services: list[dict[str, Any]], rules: Rules) -> list[dict[str, Any]]:
    if rules.endpoint is None:
        return []
    of_role: dict[Role, list[str]] = defaultdict(list)
    for service in services:
        of_role[service["role"]].append(service["name"])
    kind = "balancer" if of_role["balancer"] else "gateway"
    serves = of_role["gateway"] or of_role["balancer"] or [service["name"] for service in services]
    return [{"name": "s3", "kind": kind, "url": rules.endpoint, "serves": serves}] if serves else []


def _links(links: list[FoundLink], rules: Rules) -> list[dict[str, Any]]:
    found = []
    for link in links:
        capacity = link.capacity_bps or rules.capacity_bps
        body: dict[str, Any] = {
            "between": list(link.ends),
            "capacity": _rate(capacity) if capacity else UNKNOWN_CAPACITY,
        }
        if link.members > 1:
            body["members"] = link.members
        found.append(body)
    return found


def _network(
    nodes: _Sorted, links: list[dict[str, Any]], racks: Mapping[str, str], body: Mapping[str, Any]
) -> dict[str, Any]:
    switches: list[dict[str, Any]] = []
    for name, (_, tier) in nodes.switches.items():
        switches.append({"name": name, "tier": tier})
        if tier == "leaf" and name in racks:
            switches[-1]["rack"] = racks[name]
    network: dict[str, Any] = {"switches": switches, "links": links}
    balancers = [service["host"] for service in body["services"] if service["role"] == "balancer"]
    addresses = [urlsplit(endpoint["url"]).hostname for endpoint in body["endpoints"]]
    if balancers and addresses and all(addresses):
        network["vips"] = [{"name": "s3", "address": addresses[0], "endpoint": "s3", "hosts": balancers}]
    return network


def _rate(bits_per_s: float) -> str:
    """As people write it; exact where three digits are not enough."""
    shown = show_bitrate(bits_per_s).replace(" ", "")
    exact = f"{bits_per_s:.0f}bit/s"
    return shown if float(f"{bits_per_s:.3g}") == bits_per_s else exact


def _yaml(body: Mapping[str, Any], notes: list[Note], todo: list[str]) -> str:
    return "\n".join([*_head(notes, todo), *_sections(body)]) + "\n"


def _head(notes: list[Note], todo: list[str]) -> Iterator[str]:
    yield "# A draft, imported. Every key: docs/reference/site.md."
    if todo:
        yield "# To do before it can be planned on:"
        yield from (f"# - {_plain(line)}" for line in todo)
    if notes:
        yield "# Notes of the import:"
        yield from (f"# - {_plain(note.line())}" for note in notes[:_NOTES_SHOWN_MAX])
    if len(notes) > _NOTES_SHOWN_MAX:
        yield f"# - and {len(notes) - _NOTES_SHOWN_MAX} more"


def _plain(line: str) -> str:
    """A comment that stays one line."""
    return "".join(sign if sign.isprintable() else " " for sign in line)


def _sections(body: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """One line per host, link and so on: what a person can read and sort."""
    for key, value in body.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _sections(value, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {_flow(item)}" for item in value)
        else:
            yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        return value if _needs_no_quotes(value) else json.dumps(value, ensure_ascii=not value.isprintable())
    return json.dumps(value)


_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./")
_WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


def _needs_no_quotes(word: str) -> bool:
    """A word that YAML reads as the same text: begins with a letter, or is an IPv4 address or a rate."""
    if not word or not set(word) <= _BARE or word.lower() in _WORDS_OF_YAML:
        return False
    return word[0].isalpha() or word.endswith("bit/s") or _is_address(word)


def _is_address(word: str) -> bool:
    try:
        ipaddress.IPv4Address(word)
    except ValueError:
        return False
    return True
