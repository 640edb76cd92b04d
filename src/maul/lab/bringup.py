"""Bring-up, step by step: write the files, start the roles in the order that they need, wait for each to be
well.
"""

import resource
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from maul.core.clock import Clock
from maul.core.errors import MachineError
from maul.core.units import show_size
from maul.hosts.host import Host
from maul.lab import files
from maul.lab.certs import make_certificates
from maul.lab.ground import Ground
from maul.lab.health import (
    NoAnswerError,
    answers,
    balancer_servers,
    leader,
    living_pid,
    registered_volumes,
)
from maul.lab.layout import LOGS, MADE, LabLayout, Service
from maul.lab.state import SOCKETS_MARKER, make_private

OnStep = Callable[[str], None]

POLL_S = 0.05
STEP_LIMIT_S = 30.0
FREE_BYTES_MIN = 512 * 2**20
LOG_TAIL_LINES = 6
STARTS_MAX = 3


def write_files(layout: LabLayout, host: Host) -> None:
    """Directories, certificates, credentials, configuration.

    Secrets are 0600 in a directory that is 0700.
    """
    if layout.logs.is_dir():
        shutil.rmtree(layout.logs)  # of the lab before this one
    for name in (LOGS, *MADE):
        if "." not in name:
            (layout.directory / name).mkdir(mode=0o700)
    if layout.sockets != layout.run:
        make_private(layout.sockets.parent)
        host.write_bytes(layout.sockets.parent / SOCKETS_MARKER, b"")
        make_private(layout.sockets)
    for service in layout.services:
        (layout.home(service) / "tmp").mkdir(parents=True, mode=0o700)
        if data := layout.data(service):
            data.mkdir(mode=0o700)
    certificates = make_certificates(*files.balancer_addresses(layout))
    admin, reader = _keys(), _keys()
    for name, content in {
        "ca.pem": certificates.ca,
        "ca.key": certificates.ca_key,
        "lab.pem": certificates.server,
        "s3.json": files.s3_config(admin, reader).encode(),
        "credentials.json": files.credentials_file(admin).encode(),
        "credentials-reader.json": files.credentials_file(reader).encode(),
        "throttle.map": files.THROTTLE_MAP.encode(),
        **{
            layout.balancer_config(balancer).name: files.haproxy_config(layout, balancer, connections_max()).encode()
            for balancer in layout.balancers
        },
    }.items():
        host.write_bytes(layout.conf / name, content, mode=0o600)
    for master in layout.role("master"):
        host.write_bytes(layout.home(master) / "master.toml", files.MASTER_TOML.encode())
    host.write_bytes(layout.site_path, files.site_yaml(layout).encode())


def check_room(directory: Path) -> None:
    """MachineError when the disk is too full for volume servers to take writes."""
    free = shutil.disk_usage(directory).free
    if free < FREE_BYTES_MIN:
        raise MachineError(
            f"{show_size(free)} free; a lab needs {show_size(FREE_BYTES_MIN)}",
            str(directory),
            "make room, or set MAUL_STATE to another disk",
        )


def check_config(layout: LabLayout, host: Host) -> None:
    """HAProxy reads its configuration: an error names the line, and a missing library shows up here."""
    for balancer in layout.balancers:
        argv = layout.argv(balancer)
        checked = host.run((argv[0], "-c", *argv[2:]), timeout_s=10.0)
        if checked.code != 0:
            says = (checked.stderr or checked.stdout).decode(errors="replace").strip()
            raise MachineError(f"HAProxy does not accept its configuration: {says[-800:]}", str(layout.conf))


@dataclass(frozen=True)
class Bringup:
    """One bring-up. Whoever calls holds the slot and has the undo in the journal already."""

    layout: LabLayout
    ground: Ground
    clock: Clock
    on_step: OnStep

    @property
    def host(self) -> Host:
        """The machine: it sees every process and file of the lab."""
        return self.ground.machine

    def start_roles(self) -> None:
        """Masters and volume servers, then the filers one after the other, then the gateways, then the
        balancer.
        """
        layout = self.layout
        masters, volumes = layout.role("master"), layout.role("volume")
        self.on_step(f"starting {len(masters)} masters")
        self._spawn(masters)
        self._wait("the masters to elect a leader", masters, self._has_leader)
        # Not before there is a leader: a volume server that finds none waits for several seconds.
        self.on_step(f"starting {len(volumes)} volume servers")
        self._spawn(volumes)
        for filer in layout.role("filer"):
            # A filer that finds another one registered but not listening yet gives up: one at a time.
            self.on_step(f"starting {filer.name}")
            self._start_until_it_stays(filer)
        self.on_step("starting gateways and balancer")
        self._spawn((*layout.role("gateway"), *layout.balancers))
        self._wait("the gateways to answer", layout.role("gateway"), self._all_answer(layout.role("gateway")))
        self._wait("the volume servers to register", (*masters, *volumes), self._all_registered)
        self._wait("the balancer to see the gateways", layout.balancers, self._all_balanced)

    def _spawn(self, services: tuple[Service, ...]) -> None:
        for service in services:
            self.ground.host_of(service).spawn(self.layout.spawn_spec(service))

    def _start_until_it_stays(self, service: Service) -> None:
        for attempt in range(1, STARTS_MAX + 1):
            self.ground.host_of(service).spawn(self.layout.spawn_spec(service))
            try:
                self._wait(f"{service.name} to answer", (service,), self._all_answer((service,)))
            except DiedError:
                if attempt == STARTS_MAX:
                    raise
            else:
                return

    def _wait(self, what: str, needs: tuple[Service, ...], seen: Callable[[], bool]) -> None:
        """Until `seen`; DiedError as soon as one of `needs` is gone; MachineError after the limit."""
        began_ns = self.clock.now_ns()
        while self.clock.now_ns() - began_ns < STEP_LIMIT_S * 1e9:
            for service in needs:
                if living_pid(self.layout, self.host, service) is None:
                    raise DiedError(f"{service.name} ended while we waited for {what}{self._tail(service)}")
            try:
                if seen():
                    return
            except NoAnswerError:
                pass  # not listening yet
            self.clock.wait(POLL_S)
        raise MachineError(
            f"waited {STEP_LIMIT_S:g} s for {what}{self._tail(needs[0])}",
            str(self.layout.logs),
            "is the machine very busy? Look into the logs",
        )

    def _tail(self, service: Service) -> str:
        text = self.host.read_bytes(self.layout.logs / f"{service.name}.log") or b""
        lines = text.decode(errors="replace").strip().splitlines()[-LOG_TAIL_LINES:]
        return "".join(f"\n    {line[:300]}" for line in lines)

    def _has_leader(self) -> bool:
        leaders = {leader(self.layout, master, self.ground.dial) for master in self.layout.role("master")}
        return len(leaders) == 1 and None not in leaders

    def _all_answer(self, services: tuple[Service, ...]) -> Callable[[], bool]:
        return lambda: all(answers(service, dial=self.ground.dial) for service in services)

    def _all_registered(self) -> bool:
        master = self.layout.role("master")[0]
        named = leader(self.layout, master, self.ground.dial)
        wanted = {volume.endpoint for volume in self.layout.role("volume")}
        return named is not None and wanted <= registered_volumes(self.layout.service(named), self.ground.dial)

    def _all_balanced(self) -> bool:
        wanted = {gateway.name for gateway in self.layout.role("gateway")}
        return all(
            {name for name, status in balancer_servers(self.layout, balancer).items() if status == "UP"} >= wanted
            for balancer in self.layout.balancers
        )


class DiedError(MachineError):
    """A role ended by itself while the lab came up."""


def connections_max() -> int:
    """How many connections HAProxy may take: each needs two descriptors, and some are needed besides."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4000 if hard == resource.RLIM_INFINITY else max(100, min(4000, (hard - 200) // 2))


def _keys() -> tuple[str, str]:
    return secrets.token_hex(10).upper(), secrets.token_urlsafe(30)
