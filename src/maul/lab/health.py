"""The health of every role, asked of the role itself; in parallel, each answer bounded in time and size."""

import contextlib
import csv
import http.client
import io
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from maul.core.errors import MachineError
from maul.hosts.host import Host
from maul.hosts.pidfile import read_pidfile
from maul.lab.layout import LabLayout, Service

Dial = Callable[[str, int, float], socket.socket]
"""Address, port, seconds → a connection. From where it is dialled is the dialler's business. OSError."""

TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 4 * 2**20


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """One role's own answer. `says` is one line for people; `pid` is None when its process is gone."""

    name: str
    role: str
    host: str
    healthy: bool
    says: str
    pid: int | None


class NoAnswerError(Exception):
    """The role did not answer, or not what it should. The text says what."""


def dial_here(address: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection from this process's own network."""
    return socket.create_connection((address, port), timeout_s)


def check_all(layout: LabLayout, host: Host, dial: Dial = dial_here) -> list[RoleStatus]:
    """Every role of the lab, in the layout's order."""
    with ThreadPoolExecutor(max_workers=len(layout.services), thread_name_prefix="lab-health") as pool:
        return list(pool.map(lambda service: check(layout, host, service, dial), layout.services))


def check(layout: LabLayout, host: Host, service: Service, dial: Dial = dial_here) -> RoleStatus:
    """One role. Never raises."""
    pid = living_pid(layout, host, service)
    if pid is None:
        return RoleStatus(service.name, service.role, service.address, False, "its process is gone", None)
    try:
        healthy, says = _ASK[service.role](layout, service, dial)
    except NoAnswerError as error:
        healthy, says = False, str(error)
    return RoleStatus(service.name, service.role, service.address, healthy, says, pid)


def living_pid(layout: LabLayout, host: Host, service: Service) -> int | None:
    """The pid of a service's process, if it lives."""
    try:
        named = read_pidfile(host, layout.pidfile(service))
    except MachineError:
        return None
    return named.process.pid if named is not None and host.process(named.process) is not None else None


def http_get(address: str, port: int, path: str, timeout_s: float = TIMEOUT_S, dial: Dial = dial_here) -> bytes:
    """The body of a 200. NoAnswerError for anything else."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        connection.sock = dial(address, port, timeout_s)
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        response = connection.getresponse()
        body = response.read(ANSWER_BYTES_MAX)
        if response.length:  # what is still to come, although the connection ended or the answer is too long
            raise NoAnswerError("its answer breaks off")
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(f"does not answer: {_why(error)}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise NoAnswerError(f"answers {response.status} {response.reason}")
    return body


def answers(service: Service, timeout_s: float = TIMEOUT_S, dial: Dial = dial_here) -> bool:
    """Whether a role's health URL answers 200. Never raises."""
    port = service.metrics_port if service.role == "balancer" else service.port
    path = "/" + service.health_url.split("/", 3)[3]
    try:
        http_get(service.address, port, path, timeout_s, dial)
    except NoAnswerError:
        return False
    return True


def leader(layout: LabLayout, master: Service, dial: Dial = dial_here) -> str | None:
    """Who this master holds for the leader, by name; None while it knows none."""
    status = _json(http_get(master.address, master.port, "/cluster/status", dial=dial))
    named = f"{status.get('Leader') or ''}."  # ADDRESS:PORT.GRPC_PORT
    return next((peer.name for peer in layout.role("master") if named.startswith(f"{peer.endpoint}.")), None)


def registered_volumes(master: Service, dial: Dial = dial_here) -> set[str]:
    """The endpoints of the volume servers that the cluster knows, as this master tells."""
    topology = _json(http_get(master.address, master.port, "/dir/status", dial=dial)).get("Topology", {})
    return {
        str(node["Url"])
        for center in topology.get("DataCenters") or []
        for rack in center.get("Racks") or []
        for node in rack.get("DataNodes") or []
    }


def parse_stats(text: str) -> dict[tuple[str, str], str]:
    """Status by (proxy, server) of HAProxy's `show stat`, which is CSV with a `# ` before its first column
    name.

    >>> parse_stats("# pxname,svname,status\\ngateways,g1,UP\\n")
    {('gateways', 'g1'): 'UP'}
    """
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ")))
    return {(row["pxname"], row["svname"]): row["status"] for row in rows if row.get("status")}


def balancer_servers(layout: LabLayout, balancer: Service) -> dict[str, str]:
    """A balancer's own opinion of each gateway: name → UP, DOWN, …"""
    stats = parse_stats(ask_haproxy(layout, balancer, "show stat"))
    names = {gateway.name for gateway in layout.role("gateway")}
    return {server: status for (proxy, server), status in stats.items() if proxy == "gateways" and server in names}


def ask_haproxy(layout: LabLayout, balancer: Service, command: str) -> str:
    """One command to HAProxy's admin socket."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as admin:
        admin.settimeout(TIMEOUT_S)
        answer = bytearray()
        try:
            admin.connect(str(layout.admin_socket(balancer)))
            admin.sendall(command.encode() + b"\n")
            while len(answer) < ANSWER_BYTES_MAX and (part := admin.recv(65536)):
                answer += part
        except OSError as error:
            raise NoAnswerError(f"its admin socket does not answer: {_why(error)}") from error
    return answer.decode(errors="replace")


def _ask_master(layout: LabLayout, service: Service, dial: Dial) -> tuple[bool, str]:
    name = leader(layout, service, dial)
    if name is None:
        return False, "knows no leader"
    return True, "leads" if name == service.name else f"follows {name}"


def _ask_volume(_: LabLayout, service: Service, dial: Dial) -> tuple[bool, str]:
    status = _json(http_get(service.address, service.port, "/status", dial=dial))
    volumes = status.get("Volumes") or []
    read_only = sum(bool(volume.get("ReadOnly")) for volume in volumes)
    return True, f"{len(volumes)} volumes" + (f", {read_only} read-only" if read_only else "")


def _ask_plain(_: LabLayout, service: Service, dial: Dial) -> tuple[bool, str]:
    http_get(service.address, service.port, "/healthz", dial=dial)
    return True, "answers"


def _ask_balancer(layout: LabLayout, balancer: Service, _dial: Dial) -> tuple[bool, str]:
    servers = balancer_servers(layout, balancer)
    up = sum(status.startswith("UP") for status in servers.values())
    return up > 0, f"{up} of {len(layout.role('gateway'))} gateways up"


_ASK: dict[str, Callable[[LabLayout, Service, Dial], tuple[bool, str]]] = {
    "master": _ask_master,
    "volume": _ask_volume,
    "filer": _ask_plain,
    "gateway": _ask_plain,
    "balancer": _ask_balancer,
}


def _json(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError as error:
        raise NoAnswerError("answers something that is not JSON") from error
    if not isinstance(data, dict):
        raise NoAnswerError("answers JSON of an unexpected shape")
    return data


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {TIMEOUT_S:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
