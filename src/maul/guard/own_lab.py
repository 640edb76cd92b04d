"""Own lab: whether this process can reach nothing but maul's own lab. Pure; the facts are read in `hosts.own_place`."""

import ipaddress

from maul.hosts.own_place import OwnPlace, Route

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LAB_NETWORKS = (ipaddress.ip_network("10.77.0.0/16"),)
"""What `maul lab up --net` gives its hosts."""
BORDER_NETWORKS = tuple(
    ipaddress.ip_network(one) for one in ("10.78.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
)
"""What lies behind the border of a lab, or at it."""
BORDER_ROUTERS = frozenset({"10.77.0.254", "10.78.0.254", "192.0.2.1"})
"""The border's own addresses: the only router that a route of a lab goes through, and only to those."""


def is_own_lab(place: OwnPlace) -> bool:
    """Whether it runs in a host of a living lab of ours, from which no route leads anywhere else.

    >>> is_own_lab(OwnPlace())
    False
    """
    if place.lab is None or not place.routes:
        return False
    return all(_stays_inside(route) for route in place.routes)


def _stays_inside(route: Route) -> bool:
    if route.via is None:
        return any(_within(route.to, network) for network in (*LAB_NETWORKS, *BORDER_NETWORKS))
    return route.via in BORDER_ROUTERS and any(_within(route.to, network) for network in BORDER_NETWORKS)


def is_lab_address(place: OwnPlace, address: str) -> bool:
    """Whether an address is one of the lab that this process is shut up in, and a route leads there. Anything that is
    no plain address: no."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    led = [ipaddress.ip_network(route.to) for route in place.routes]
    return is_own_lab(place) and any(parsed in network for network in led if network.version == parsed.version)


def _within(route: str, network: Network) -> bool:
    parsed = ipaddress.ip_network(route)
    if isinstance(parsed, ipaddress.IPv4Network) and isinstance(network, ipaddress.IPv4Network):
        return parsed.subnet_of(network)
    return False
