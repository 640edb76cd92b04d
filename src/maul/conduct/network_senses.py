"""The senses of a run's network: pointed at the lab's own wires, at node exporters, or at a Prometheus."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from maul.conduct.link_guard import guarding
from maul.conduct.stage import Stage
from maul.core.clock import Clock
from maul.lab.net import LabNetwork
from maul.probes.contract import Fetch, Probe
from maul.probes.network_wiring import LabSenses, network_probes
from maul.site import Site


@contextlib.contextmanager
def watched(stage: Stage, site_path: Path, fetch: Fetch) -> Iterator[None]:
    """The links are watched and guarded while the block runs, where a fleet sends over a network of the site."""
    if stage.plan.fleet is None or not stage.plan.fleet.links:
        yield
        return
    with network_senses(stage.site, site_path, fetch, stage.clock) as probes, guarding(stage, probes) as guard:
        stage.link_guard = guard
        try:
            yield
        finally:
            stage.link_guard = None


@contextlib.contextmanager
def network_senses(site: Site, site_path: Path, fetch: Fetch, clock: Clock) -> Iterator[list[Probe]]:
    """The probes while the block runs; none where the site does not say what to read. `site_path`: of a lab's site, the
    file that lies beside its state. MachineError when a lab's network stands no more."""
    source = site.network.counters if site.network is not None else None
    if source is None or source.kind != "lab":
        yield network_probes(site, fetch, clock)
        return
    with LabNetwork.of_site(site_path) as wires:
        yield network_probes(site, fetch, clock, LabSenses(wires.ports, wires.canary_file))
