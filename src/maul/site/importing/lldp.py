"""LLDP: what `lldpctl -f json` or `-f json0` says on one host, as a fragment: its cables, as its neighbours tell.

lldpctl does not say which host it ran on: the file's name does (`srv-1.json`, `srv-1.lldp.json`).
"""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from maul.core.errors import CampaignError
from maul.site.importing.documents import as_dict, as_list, json_of, text_at
from maul.site.importing.fragment import (
    FoundLink,
    FoundNic,
    FoundNode,
    Fragment,
    Note,
    counted,
    end,
    port_name,
    site_name,
)

_SPEED = re.compile(r"(\d+(?:\.\d+)?)(G?)(?:ig)?Base", re.IGNORECASE)
_MAC = re.compile(r"([0-9a-f]{2}[:.-]?){6}", re.IGNORECASE)


def host_of_file(name: str) -> str:
    """The host that a file is of.

    >>> host_of_file("out/SRV-1.lldp.json"), host_of_file("tor-1.example.net.json")
    ('srv-1', 'tor-1.example.net')
    """
    stem = PurePath(name).name
    for suffix in (".json0", ".json", ".txt", ".lldpctl", ".lldp", ".json0", ".json"):
        stem = stem.removesuffix(suffix)
    return site_name(stem)


def read(text: str, name: str) -> Fragment:
    """The fragment of one host; CampaignError when it is not what lldpctl prints."""
    data = json_of(text, name, "what `lldpctl -f json` prints")
    if not isinstance(data, dict) or "lldp" not in data:
        raise CampaignError("is not what lldpctl prints", name, "expected the output of: lldpctl -f json")
    local = host_of_file(name)
    notes: list[Note] = []
    links: list[FoundLink] = []
    others: dict[str, FoundNode] = {}
    nics: dict[str, FoundNic] = {}
    nameless = 0
    for card, body in _interfaces(data["lldp"]):
        chassis = _chassis(body.get("chassis"))
        far = text_at(chassis, "name")
        speed = _speed(body)
        if (text_at(body, "via") or "LLDP").upper() not in {"LLDP", "UNKNOWN"}:
            notes.append(Note(name, f"{card}: heard by {text_at(body, 'via')}, not by LLDP; taken nevertheless"))
        nics.setdefault(port_name(card), FoundNic(port_name(card), speed))
        if far is None:
            nameless += 1
            continue
        other = site_name(far)
        others[other] = _neighbour(other, chassis, name)
        links.append(FoundLink((end(local, card), end(other, _port(body.get("port")))), f"{name} {card}", speed))
    if nameless:
        notes.append(Note(name, f"left out: {counted(nameless, 'neighbour')} without a name"))
    if not links:
        notes.append(Note(name, "no neighbour is heard: is lldpd running there and on its switch?"))
    mine = FoundNode(local, name, nics=tuple(nics.values()))
    return Fragment((mine, *others.values()), tuple(links), notes=tuple(notes))


def _interfaces(lldp: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Card and what is heard there, of both shapes: json has the card as a key, json0 as a name; one neighbour is a
    mapping in json, several are a list."""
    for part in lldp if isinstance(lldp, list) else [lldp]:
        heard = as_dict(part).get("interface")
        for item in heard if isinstance(heard, list) else [heard]:
            body = as_dict(item)
            if (named := text_at(body, "name")) is not None and ("chassis" in body or "port" in body):
                yield named, body
                continue
            for card, inner in body.items():
                for one in inner if isinstance(inner, list) else [inner]:
                    if isinstance(one, dict):
                        yield str(card), one


def _chassis(value: Any) -> dict[str, Any]:
    """The neighbour with `name` as text: json has the name as a key (none: the fields at once), json0 as a list."""
    if isinstance(value, list):
        body = as_dict(value[0]) if value else {}
        return {**body, "name": _first(body.get("name"))}
    body = as_dict(value)
    if "id" in body:
        return {**body, "name": _first(body.get("name"))}
    for name, inner in body.items():
        return {**as_dict(inner), "name": str(name)}
    return {}


def _first(value: Any) -> str | None:
    """The text of a value in either shape."""
    if isinstance(value, list):
        return _first(value[0]) if value else None
    return text_at(value, "value") if isinstance(value, dict) else text_at({"value": value}, "value")


def _port(value: Any) -> str | None:
    """Its name. Where the id is a MAC address or a bare number, the description is nearer to what people call it."""
    body = as_dict(value[0]) if isinstance(value, list) and value else as_dict(value)
    ids = body.get("id")
    kind = text_at(ids[0] if isinstance(ids, list) and ids else ids, "type")
    named, told = _first(ids), _first(body.get("descr"))
    if named is None or kind == "mac" or _MAC.fullmatch(named) or (kind == "local" and named.isdecimal()):
        return told if told is not None and " " not in told and not _MAC.fullmatch(told) else None
    return named


def _speed(body: dict[str, Any]) -> float | None:
    """Bits per second of what was negotiated (`25GbaseCR`, `1000BaseTFD`); None when nobody tells."""
    port = body.get("port")
    port = port[0] if isinstance(port, list) and port else port
    negotiated = as_dict(port).get("auto-negotiation")
    negotiated = negotiated[0] if isinstance(negotiated, list) and negotiated else negotiated
    match = _SPEED.search(_first(as_dict(negotiated).get("current")) or "")
    return float(match.group(1)) * (1e9 if match.group(2) else 1e6) if match else None


def _neighbour(name: str, chassis: dict[str, Any], where: str) -> FoundNode:
    abilities = as_list(chassis.get("capability")) or [chassis.get("capability")]
    enabled = {
        (text_at(item, "type") or "").lower()
        for item in abilities
        if str(as_dict(item).get("enabled")).lower() == "true"
    }
    is_switch = True if enabled & {"bridge", "router"} else False if "station" in enabled else None
    return FoundNode(name, where, address=_first(chassis.get("mgmt-ip")), is_switch=is_switch)
