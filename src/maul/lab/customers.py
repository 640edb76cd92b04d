"""Customers of a lab with a network: their programs, started, waited for, and asked how they are."""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maul.core.clock import Clock
from maul.core.errors import MachineError
from maul.hosts.host import Host, SpawnSpec
from maul.hosts.namespace import NamespaceHost
from maul.hosts.pidfile import read_pidfile
from maul.lab.customer import Orders
from maul.lab.health import RoleStatus
from maul.lab.layout import LabLayout
from maul.lab.net import canary_file
from maul.lab.net_preflight import PATH
from maul.lab.wiring import NetHost, Wiring, canary_name

START_LIMIT_S, POLL_S = 15.0, 0.05
STALE_S = 3.0


def orders(layout: LabLayout, wiring: Wiring, host: NetHost) -> Orders:
    """What one customer does. Pure."""
    to = {source.name: target for source, target in wiring.pairs}[host.name]
    name = canary_name(host, to)
    return Orders(
        address=host.address,
        canaries=((name, to.address, str(canary_file(layout, name))),),
        bulk_to=to.address if wiring.customers_bps else None,
        bulk_bps=wiring.customers_bps,
        report=str(report_file(layout, host.name)),
    )


def report_file(layout: LabLayout, name: str) -> Path:
    """Where a customer host writes, each second, what its streams achieve: at_ns, sent_bps, received_bps."""
    return layout.canaries / f"streams-{name}.json"


def start_customers(layout: LabLayout, hosts: Mapping[str, NamespaceHost], machine: Host, clock: Clock) -> None:
    """Start each, and wait until it has measured. MachineError when one does not."""
    assert layout.wiring is not None
    customers = layout.wiring.hosts_of("customer")
    layout.canaries.mkdir(mode=0o700)
    for host in customers:
        home = layout.directory / "home" / host.name
        home.mkdir(mode=0o700)
        given = orders(layout, layout.wiring, host)
        machine.write_bytes(home / "orders.json", json.dumps(asdict(given)).encode())
        log = layout.logs / f"{host.name}.log"
        spec = module_spec("maul.lab.customer", home / "orders.json", home, log, _pidfile(layout, host))
        hosts[host.name].spawn(spec)
    for _ in range(round(START_LIMIT_S / POLL_S)):
        states = customers_status(layout, machine)
        if all(status.healthy for status in states):
            return
        dead = [status.name for status in states if status.pid is None]
        if dead:
            raise MachineError(f"customer {dead[0]} ended at once", str(layout.logs / f"{dead[0]}.log"))
        clock.wait(POLL_S)
    raise MachineError(f"the customers do not reach each other within {START_LIMIT_S:g} s", str(layout.logs))


def customers_status(layout: LabLayout, machine: Host) -> list[RoleStatus]:
    """Each customer host, by what it measured last."""
    assert layout.wiring is not None
    return [_status(layout, machine, source, target) for source, target in layout.wiring.pairs]


def _status(layout: LabLayout, machine: Host, source: NetHost, target: NetHost) -> RoleStatus:
    named = read_pidfile(machine, _pidfile(layout, source))
    pid = named.process.pid if named is not None and machine.process(named.process) is not None else None
    said = machine.read_bytes(canary_file(layout, canary_name(source, target)))
    healthy, says = judge(json.loads(said) if said else None, time.time_ns())
    return RoleStatus(source.name, "customer", source.address, healthy and pid is not None, says, pid)


def judge(told: dict[str, Any] | None, now_ns: int) -> tuple[bool, str]:
    """Whether a customer is served, and a line for people. Pure."""
    if told is None:
        return False, "has not measured yet"
    if now_ns - told["at_ns"] > STALE_S * 1e9:
        return False, "measures no more"
    if told["rtt_p50_ms"] is None:
        return False, "nothing comes back"
    says = f"round trip {told['rtt_p50_ms']:.2f} ms, 99th percentile {told['rtt_p99_ms']:.2f} ms"
    return True, f"{says}, {told['loss_ratio']:.1%} lost"


def _pidfile(layout: LabLayout, host: NetHost) -> Path:
    return layout.run / f"customer-{host.name}.json"


def module_spec(module: str, orders: Path, home: Path, log: Path, pidfile: Path) -> SpawnSpec:
    """How to start a module of ours, with a file of orders, in a host of the lab."""
    argv = (sys.executable, "-m", module, str(orders))
    return SpawnSpec(argv=argv, cwd=home, log=log, env=_environment(home), pidfile=pidfile)


def _environment(home: Path) -> dict[str, str]:
    """What Python needs to find us, and nothing of the user's."""
    kept = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PATH": PATH, "HOME": str(home), "LC_ALL": "C.UTF-8"}
