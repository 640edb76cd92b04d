"""What a lab stands on: this machine, or its own network of namespaces. How its roles are started and asked."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from maul.core.errors import MachineError
from maul.hosts.holders import living_holders
from maul.hosts.host import Host
from maul.hosts.inside_sockets import InsideSockets
from maul.hosts.local import LocalHost
from maul.hosts.namespace import NamespaceHost
from maul.lab.health import Dial, NoAnswerError, dial_here
from maul.lab.layout import LabLayout, Service

WATCHER = "ops"
"""The host from which a lab's roles are asked for their health."""


@dataclass(frozen=True)
class Ground:
    """`machine` sees every process and file; `hosts` are namespaces by name, none on loopback."""

    machine: Host
    dial: Dial = dial_here
    hosts: dict[str, NamespaceHost] = field(default_factory=dict)

    def host_of(self, service: Service) -> Host:
        """Where a service is started."""
        return self.hosts[service.host] if self.hosts else self.machine


@contextmanager
def standing(layout: LabLayout, machine: Host | None = None) -> Iterator[Ground]:
    """The ground of a lab that stands, or of what is left of it."""
    machine = machine or LocalHost()
    if layout.wiring is None:
        yield Ground(machine)
        return
    hosts = {
        holder.name: NamespaceHost(holder.name, holder.process) for holder in living_holders(machine, layout.holders)
    }
    watcher = hosts.get(WATCHER)
    if watcher is None:
        yield Ground(machine, _dial_nowhere, hosts)
        return
    with InsideSockets(watcher.holder) as sockets:
        yield Ground(machine, _dialler(sockets, watcher), hosts)


def _dialler(sockets: InsideSockets, watcher: NamespaceHost) -> Dial:
    def dial(address: str, port: int, timeout_s: float) -> socket.socket:
        try:
            made = sockets.tcp(watcher.holder)
        except MachineError as error:
            raise NoAnswerError(error.message) from error
        made.settimeout(timeout_s)
        try:
            made.connect((address, port))
        except BaseException:
            made.close()
            raise
        return made

    return dial


def _dial_nowhere(_address: str, _port: int, _timeout_s: float) -> socket.socket:
    raise NoAnswerError("its network is gone")
