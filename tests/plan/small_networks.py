"""Small networks to place load in: built from a few words, without YAML."""

from collections.abc import Iterable, Mapping
from typing import Any

from maul.plan.fleet_model import Load
from maul.plan.placement import Demand
from maul.site import Site

GBIT = 1e9
EVEN = 10**15  # connections: so many that hashing spreads them evenly


def wire(first: str, second: str, gbit: float, **more: Any) -> dict[str, Any]:
    """A link; `out` and `back`: Gbit/s of others; `shared` by customers unless told otherwise."""
    background = {"out": more.pop("out", 0.0) * GBIT, "back": more.pop("back", 0.0) * GBIT}
    shared = ("customers",) if more.pop("shared", True) else ()
    return {"between": [first, second], "capacity": gbit * GBIT, "background": background, "shared_by": shared} | more


def host(name: str, rack: str, nic: float | None = None, **borrow: Any) -> dict[str, Any]:
    """A host that may be borrowed; `nic`: Gbit/s."""
    cards = [{"name": "eth0", "speed": nic * GBIT}] if nic else []
    return {"name": name, "address": f"10.0.0.{len(name)}", "rack": rack, "nics": cards, "borrow": borrow}


def place_of(
    servers: Iterable[Mapping[str, Any]],
    links: Iterable[Mapping[str, Any]],
    *,
    targets: Mapping[str, str] | None = None,
    **network: Any,
) -> Site:
    """A site whose target answers on `targets` (host → rack; `lb` in rack `t` when absent). Switches are what links
    name and no host is."""
    targets = targets or {"lb": "t"}
    hosts = [
        {"name": name, "address": f"10.1.0.{place}", "rack": rack} for place, (name, rack) in enumerate(targets.items())
    ]
    hosts += [dict(one) for one in servers]
    names = {one["name"] for one in hosts}
    ends = [end.partition(":")[0] for one in links for end in one["between"]]
    switches = [{"name": name} for name in dict.fromkeys(ends) if name not in names]
    vip = {"name": "vip", "address": "10.9.9.9", "endpoint": "s3", "hosts": list(targets)}
    vip |= network.pop("vip", {})
    return Site.model_validate(
        {
            "version": 1,
            "name": "small",
            "kind": "real",
            "racks": list(dict.fromkeys(one["rack"] for one in hosts)),
            "hosts": hosts,
            "services": [{"name": f"p-{name}", "role": "balancer", "host": name} for name in targets],
            "endpoints": [{"name": "s3", "kind": "balancer", "url": "https://s3.test", "serves": ["p-lb"]}],
            "network": {"switches": switches, "links": [dict(one) for one in links], "vips": [vip], **network},
        }
    )


def asks(down: float = 0.0, up: float = 0.0, *, requests: float = 1000.0, **more: Any) -> Demand:
    """A demand in Gbit/s."""
    load = Load(
        requests_per_s=requests,
        connections_per_s=more.get("new", 0.0),
        sent_bps=up * GBIT,
        received_bps=down * GBIT,
    )
    return Demand(load, more.get("packets", 0.0), 10, more.get("connections", EVEN), ("s3",))
