"""Which probes watch one machine and its services."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from maul.core.clock import Clock
from maul.probes.balancer import BalancerProbe
from maul.probes.contract import Fetch, MetricsTarget, Probe, ProcessTarget
from maul.probes.cpu import CpuProbe
from maul.probes.disk import DiskProbe, devices_under
from maul.probes.memory import MemoryProbe
from maul.probes.network import NetworkProbe
from maul.probes.pressure import PressureProbe
from maul.probes.process import ProcessProbe, own_process
from maul.probes.store import StoreProbe


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch: `paths` whose disks matter, processes by name, services that answer over HTTP."""

    paths: Sequence[Path] = ()
    processes: Sequence[ProcessTarget] = ()
    metrics: Sequence[MetricsTarget] = ()
    host: str = "local"


def local_probes(watch: Watch) -> list[Probe]:
    """Everything that is read from this machine's kernel: a few milliseconds for all of it. Once a second.

    maul's own process is among the watched. A path on no block device brings no disk (see `devices_under`).
    """
    probes: list[Probe] = [
        CpuProbe(host=watch.host),
        MemoryProbe(host=watch.host),
        PressureProbe(host=watch.host),
        NetworkProbe(host=watch.host),
        ProcessProbe([own_process(), *watch.processes], host=watch.host),
    ]
    devices, _ = devices_under(watch.paths)
    if devices:
        probes.append(DiskProbe(devices, host=watch.host))
    return probes


def remote_probes(watch: Watch, fetch: Fetch, clock: Clock) -> list[Probe]:
    """Everything that is fetched from services, which may hang: give it a sampler thread of its own."""
    balancers = [target for target in watch.metrics if target.role == "balancer"]
    stores = [target for target in watch.metrics if target.role != "balancer"]
    probes: list[Probe] = []
    if balancers:
        probes.append(BalancerProbe(balancers, fetch, clock))
    if stores:
        probes.append(StoreProbe(stores, fetch, clock))
    return probes
