"""The parts of a site that tell of a lab's own network. Pure: text, each value written as JSON, which is YAML."""

import json
from typing import Any

from maul.lab import border
from maul.lab.layout import LabLayout
from maul.lab.wiring import FAST_BPS, UPLINK_QUEUE_S, NetHost, Wiring, canary_name

CUSTOMERS = "customers"
CANARY_EXCESS_S = 0.4 * UPLINK_QUEUE_S
"""A customer of the lab is hurt by a queue that stands, not by one object that passes: an uplink of 40 Mbit/s, a
thousand times slower than a real one, needs 7 ms for 32 KiB."""
# What one small machine of a lab may be asked for; the links are narrower than this.
_BORROW = {"requests": 2000, "new_connections": 200, "connections": 1000}


def host_lines(wiring: Wiring) -> list[str]:
    """The items of `hosts:`."""
    return [f"  - {_flow(_host(host))}" for host in wiring.hosts]


def network_lines(wiring: Wiring) -> list[str]:
    """The section `network:`."""
    sections = {"switches": _switches(wiring), "links": _links(wiring), "canaries": _canaries(wiring)}
    addresses = {"vip": wiring.vip}
    if wiring.border:
        addresses |= {"control": border.CONTROL, "neighbour": border.NEIGHBOUR}
    sections["vips"] = [
        {"name": name, "address": address, "endpoint": name, "hosts": [border.ACTIVE]}
        for name, address in addresses.items()
    ]
    lines = ["network:", f"  counters: {_flow({'kind': 'lab'})}"]
    for section, items in sections.items():
        lines += [f"  {section}:", *(f"    - {_flow(item)}" for item in items)]
    return lines


def vantage_lines(layout: LabLayout) -> list[str]:
    """The section `vantage:` of a lab with a border; none of another."""
    if layout.wiring is None or not layout.wiring.border:
        return []
    inside = layout.wiring.hosts_of("storage")[0].name
    sections: dict[str, list[dict[str, Any]]] = {
        "lookouts": [
            {"name": "ext", "role": "external", "endpoint": "vip", "from": border.OUTSIDE},
            {"name": "control", "role": "control", "endpoint": "control"},
            {"name": "neighbour", "role": "control", "endpoint": "neighbour"},
            {"name": "inside", "role": "inside", "endpoint": "private", "from": inside},
        ],
        "balancers": [
            {"service": balancer.name, "host": True, "table": f"inet {border.WATCH_TABLE}"}
            for balancer in layout.balancers
        ],
        "feeds": [{"name": "protection", "kind": "webhook", "listen": border.FEED}],
    }
    lines = ["vantage:"]
    for section, items in sections.items():
        lines += [f"  {section}:", *(f"    - {_flow(item)}" for item in items)]
    return lines


def _host(host: NetHost) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": host.name,
        "address": host.address,
        "rack": host.rack,
        "nics": [{"name": "eth0", "speed": _rate(FAST_BPS)}],
    }
    if host.kind == "generator":
        told["borrow"] = _BORROW
    if host.kind == "customer":
        told |= {"owner": CUSTOMERS, "runs": ["customers' own work"]}
    if host.kind == "ops":
        told["runs"] = ["the conductor"]
    if host.kind == "outside":
        told["runs"] = ["a customer outside, as a lookout"]
    return told


def _switches(wiring: Wiring) -> list[dict[str, Any]]:
    return [
        {"name": switch.name, "tier": switch.tier, **({"rack": switch.rack} if switch.rack else {})}
        for switch in wiring.switches
    ]


def _links(wiring: Wiring) -> list[dict[str, Any]]:
    customers = {host.name for host in wiring.hosts_of("customer")}
    links = []
    for cable in wiring.cables:
        link: dict[str, Any] = {"between": list(cable.ends), "capacity": _rate(cable.bits_per_s)}
        if cable.shared or cable.near[0] in customers:
            link["shared_by"] = [CUSTOMERS]
            if wiring.customers_bps:
                link["background"] = {"out": _rate(wiring.customers_bps), "back": _rate(wiring.customers_bps)}
        links.append(link)
    return links


def _canaries(wiring: Wiring) -> list[dict[str, Any]]:
    return [
        {
            "name": canary_name(source, target),
            "from": source.name,
            "to": target.name,
            "excess": f"{CANARY_EXCESS_S * 1e3:g}ms",
        }
        for source, target in wiring.pairs
    ]


def _rate(bits_per_s: float) -> str:
    return f"{bits_per_s / 1e6:g}Mbit/s"


def _flow(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
