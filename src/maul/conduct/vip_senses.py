"""The sense of the balancers' own counters, pointed where the site says.

    with vip_senses(site, site_path, fetch, clock) as probes:          # [] or one VipProbe
        thread = SamplerThread(Sampler(probes), clock, sink, "vip")    # one second; a thread of its own

Samples have probe `vip`, the balancer's name as subject, and the fields of `BalancerSecond` as metrics. A reading takes
less than a second whatever hangs, so the thread may be shared with nothing slower than that.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from maul.conduct.machines import machines
from maul.core.clock import Clock
from maul.hosts.host import Host
from maul.probes.contract import Fetch, MetricsTarget, Probe
from maul.probes.vip import VipProbe, VipTarget
from maul.site import Site
from maul.site.model import Endpoint
from maul.site.model_vantage import BalancerCounters


@contextlib.contextmanager
def vip_senses(
    site: Site, site_path: Path, fetch: Fetch, clock: Clock, endpoint: str | None = None
) -> Iterator[list[Probe]]:
    """The probe while the block runs; none where the site names no balancer to read.

    `endpoint`: the one that is loaded; None: the site's first balancer. MachineError for a machine that cannot be had.
    """
    wanted = site.vantage.balancers
    if not wanted:
        yield []
        return
    hosts = [site.service(one.service).host for one in wanted if one.host]
    with machines(site, site_path, hosts) as reached:
        vip = _vip(site, endpoint)
        with VipProbe([_target(site, one, vip, reached.get) for one in wanted], fetch, clock) as probe:
            yield [probe]


def _vip(site: Site, name: str | None) -> Endpoint:
    if name is not None:
        return site.endpoint(name)
    return next((one for one in site.endpoints if one.kind == "balancer"), site.endpoints[0])


def _target(site: Site, wanted: BalancerCounters, vip: Endpoint, reached: Callable[[str], Host | None]) -> VipTarget:
    service = site.service(wanted.service)
    url = service.metrics
    return VipTarget(
        service.name,
        vip.host,
        vip.port,
        page=MetricsTarget(service.name, service.role, url, service.host) if url is not None else None,
        host=reached(service.host) if wanted.host else None,
        table=wanted.table if wanted.host else None,
        host_name=service.host,
    )
