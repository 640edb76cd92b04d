"""The parts of a site that tell of a lab's own network. Pure: text, each value written as JSON, which is YAML."""

import json
from typing import Any

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
    balancers = [host.name for host in wiring.hosts_of("balancer")]
    sections["vips"] = [{"name": "vip", "address": wiring.vip, "endpoint": "vip", "hosts": balancers}]
    lines = ["network:", f"  counters: {_flow({'kind': 'lab'})}"]
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
    return told


def _switches(wiring: Wiring) -> list[dict[str, Any]]:
    return [
        {"name": switch.name, "tier": "leaf", "rack": switch.rack}
        if switch.rack
        else {"name": switch.name, "tier": "spine"}
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
