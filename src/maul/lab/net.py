"""The wires of a lab that is up: what every port counted, and changing a rate, cutting a link, putting it back.

Works from anywhere on the machine, and from inside the lab. What is changed lasts until it is changed back, or until
the lab is taken down.
"""

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from maul.core.closing import Closes
from maul.core.errors import CampaignError, MachineError
from maul.core.ports import PortCounters
from maul.hosts.holders import Holder, living_holders
from maul.hosts.host import Host
from maul.hosts.inside_sockets import InsideSockets
from maul.hosts.link_counters import read_devices
from maul.hosts.local import LocalHost
from maul.hosts.namespace import NamespaceHost
from maul.lab.inside import wired_layout
from maul.lab.layout import LabLayout
from maul.lab.net_build import queue
from maul.lab.net_preflight import PATH
from maul.lab.wiring import UPLINK_BPS_MAX, UPLINK_BPS_MIN, Wiring

_LIMIT_S = 5.0


class LabNetwork(Closes):
    """The network of one lab. Close it: it holds a socket of every namespace.

    >>> with LabNetwork(lab_directory("lab")) as wires:         # doctest: +SKIP
    ...     wires.ports()["tor-r4:up0"].sent_bytes
    """

    def __init__(self, directory: Path, machine: Host | None = None) -> None:
        """MachineError when no lab with a network is up in `directory`."""
        self._machine = machine or LocalHost()
        self.layout: LabLayout = wired_layout(directory, self._machine)
        held = living_holders(self._machine, self.layout.holders)
        if not held:
            raise MachineError("the network of this lab is gone", str(directory), "run: maul lab down")
        self._holders: dict[str, Holder] = {holder.name: holder for holder in held}
        self._doors: dict[str, socket.socket] = {}
        with InsideSockets(held[0].process) as sockets:
            for holder in held:
                self._doors[holder.name] = sockets.netlink(holder.process)

    @classmethod
    def of_site(cls, site_path: Path) -> Self:
        """The network of the lab that wrote this site. MachineError when it stands no more."""
        return cls(site_path.resolve().parent)

    @property
    def wiring(self) -> Wiring:
        """What is connected with what."""
        assert self.layout.wiring is not None
        return self.layout.wiring

    def ports(self) -> Mapping[str, PortCounters]:
        """Every port, by its name in the site (`tor-r4:up0`). Those of a namespace that is gone are left out.

        Satisfies `core.ports.PortReader`.
        """
        found = {}
        for name, door in self._doors.items():
            if self._machine.process(self._holders[name].process) is None:
                continue
            devices, at_ns = read_devices(door), time.time_ns()
            for device, counted in devices.items():
                found[f"{name}:{device}"] = PortCounters(
                    at_ns=at_ns,
                    sent_bytes=counted.sent_bytes,
                    received_bytes=counted.received_bytes,
                    discards=counted.discards,
                    up=counted.up,
                )
        ends = {end for cable in self.wiring.cables for end in cable.ends}
        return {end: counters for end, counters in found.items() if end in ends}

    def canary_file(self, name: str) -> Path:
        """Where a customer writes, each second, what it feels of another."""
        return canary_file(self.layout, name)

    def set_rate(self, name: str, bits_per_s: float | None = None) -> float:
        """Limit both directions of a cable; None: what it was built for. Gives the rate, bits per second."""
        cable = self.wiring.cable(name)
        rate = cable.bits_per_s if bits_per_s is None else bits_per_s
        if not UPLINK_BPS_MIN <= rate <= UPLINK_BPS_MAX:
            raise CampaignError(f"a cable cannot carry {rate:g} bit/s", cure="choose from 1 Mbit/s to 1 Gbit/s")
        for node, device in (cable.near, cable.far):
            self._do(node, ("tc", *queue("change", device, rate, cable.queue_s).split()))
        return rate

    def cut(self, name: str) -> None:
        """Pull a cable out: both ends see that it is down."""
        node, device = self.wiring.cable(name).far
        self._do(node, ("ip", "link", "set", device, "down"))

    def restore(self, name: str) -> None:
        """Put it in again."""
        node, device = self.wiring.cable(name).far
        self._do(node, ("ip", "link", "set", device, "up"))

    def _do(self, node: str, argv: tuple[str, ...]) -> None:
        if node not in self._holders:
            raise MachineError(f"{node} is gone", str(self.layout.directory), "take the lab down, and bring it up anew")
        host = NamespaceHost(node, self._holders[node].process)
        done = host.run(("/usr/bin/env", f"PATH={PATH}", *argv), _LIMIT_S)
        if done.code != 0:
            says = done.stderr.decode(errors="replace").strip()[-300:]
            raise MachineError(f"{' '.join(argv)}: {says or f'ended with {done.code}'}", node)

    def close(self) -> None:
        """Let go of the sockets."""
        for door in self._doors.values():
            door.close()


def canary_file(layout: LabLayout, name: str) -> Path:
    """JSON, replaced whole each second: at_ns, rtt_p50_ms, rtt_p99_ms (null when nothing came back), loss_ratio, sent.

    Kept out of the folder of pidfiles, where every .json is taken for one.
    """
    return layout.canaries / f"{name}.json"
