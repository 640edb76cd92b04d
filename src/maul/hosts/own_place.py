"""Where this process is: in a host of a lab of ours, and which networks it can reach from there. Facts only."""

import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maul.hosts.holders import HOLDERS, living_holders
from maul.hosts.host import Host
from maul.hosts.local import LocalHost, own_process_id
from maul.hosts.namespace import net_namespace
from maul.hosts.places import lab_directories

_GATEWAY = 0x2


@dataclass(frozen=True, slots=True)
class Route:
    """One destination, as `10.77.0.0/16`, and the router that packets to it go through; None: straight."""

    to: str
    via: str | None = None


@dataclass(frozen=True, slots=True)
class OwnPlace:
    """`lab` and `host`: whose namespace this process is in, by a living holder of ours; None: in none of ours.

    `routes`: every route of this namespace, except those of its own loopback device.
    """

    lab: Path | None = None
    host: str | None = None
    routes: tuple[Route, ...] = ()


def own_place(directories: Iterable[Path] | None = None, machine: Host | None = None) -> OwnPlace:
    """Look. `directories`: where labs may stand; the usual ones when None. Never raises."""
    machine = machine or LocalHost()
    ours = net_namespace(own_process_id().pid)
    for directory in lab_directories() if directories is None else directories:
        for holder in living_holders(machine, directory / HOLDERS):
            if holder.net == ours:
                return OwnPlace(directory, holder.name, _routes())
    return OwnPlace()


def _routes() -> tuple[Route, ...]:
    texts = []
    for name in ("route", "ipv6_route"):
        try:
            texts.append(Path("/proc/net", name).read_text(encoding="ascii"))
        except OSError:
            texts.append("")  # a kernel without IPv6
    return (*routes_v4(texts[0]), *routes_v6(texts[1]))


def routes_v4(text: str) -> tuple[Route, ...]:
    """Of /proc/net/route.

    >>> routes_v4("Iface Destination Gateway Flags RefCnt Use Metric Mask\\neth0 00004D0A 00000000 0001 0 0 0 0000FFFF")
    (Route(to='10.77.0.0/16', via=None),)
    """
    found = []
    for line in text.splitlines()[1:]:
        device, destination, router, flags, _, _, _, mask, *_ = line.split()
        if device != "lo":
            network = ipaddress.ip_network(f"{_dotted(destination)}/{_dotted(mask)}", strict=False)
            found.append(Route(str(network), _dotted(router) if int(flags, 16) & _GATEWAY else None))
    return tuple(found)


def routes_v6(text: str) -> tuple[Route, ...]:
    """Of /proc/net/ipv6_route; link-local and multicast, which lead nowhere but to the next port, are left out."""
    found = []
    for line in text.splitlines():
        destination, length, _, _, router, _, _, _, flags, device = line.split()
        network = ipaddress.ip_network((bytes.fromhex(destination), int(length, 16)), strict=False)
        if device != "lo" and not network.is_link_local and not (network.prefixlen and network.is_multicast):
            through = str(ipaddress.IPv6Address(bytes.fromhex(router))) if int(flags, 16) & _GATEWAY else None
            found.append(Route(str(network), through))
    return tuple(found)


def _dotted(little_endian: str) -> str:
    return socket.inet_ntoa(struct.pack("=I", int(little_endian, 16)))
