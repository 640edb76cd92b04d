"""Own lab: whether this process can reach nothing but maul's own lab. Pure; the facts are read in `hosts.own_place`."""

import ipaddress

from maul.hosts.own_place import OwnPlace

LAB_NETWORKS = (ipaddress.ip_network("10.77.0.0/16"),)
"""What `maul lab up --net` gives its hosts."""


def is_own_lab(place: OwnPlace) -> bool:
    """Whether it runs in a host of a living lab of ours, from which no route leads anywhere else.

    >>> is_own_lab(OwnPlace())
    False
    """
    if place.lab is None or not place.routes:
        return False
    return all(
        not route.through_router and any(_within(route.to, network) for network in LAB_NETWORKS)
        for route in place.routes
    )


def is_lab_address(place: OwnPlace, address: str) -> bool:
    """Whether an address is one of the lab that this process is shut up in. Anything that is no plain address: no."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return is_own_lab(place) and any(parsed in network for network in LAB_NETWORKS if network.version == parsed.version)


def _within(route: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    parsed = ipaddress.ip_network(route)
    if isinstance(parsed, ipaddress.IPv4Network) and isinstance(network, ipaddress.IPv4Network):
        return parsed.subnet_of(network)
    return False
