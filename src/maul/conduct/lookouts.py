"""The lookouts of a site, opened: who asks the target beside the load, from this machine, a host, or by Prometheus.

    watched = Watched(admitted, permission, fetch, for_s)
    with site_lookouts(site, site_path, watched, clock) as lookouts:  # by name, each a `Lookout`

They ask only addresses that the guard has seen: those of the endpoints that are loaded, and what `target.asked_of`
names of a site's vantage points.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from maul.conduct.machines import machines
from maul.conduct.target import Admitted
from maul.core.clock import Clock
from maul.core.vantage import Lookout, Question, Vantage
from maul.guard.permit import Permission
from maul.hosts.host import Host
from maul.probes.blackbox_lookout import BlackboxLookout
from maul.probes.contract import Fetch
from maul.probes.host_lookout import HostLookout, Job
from maul.s3.endpoint import Endpoint
from maul.s3.fetch import origin
from maul.s3.knock import Rounds, gate
from maul.s3.tcp_line import Gate
from maul.site import Site
from maul.site.model_vantage import Lookout as SiteLookout


@dataclass(frozen=True, slots=True)
class Watched:
    """What lookouts may ask, and how long at most."""

    admitted: Admitted
    permission: Permission
    fetch: Fetch
    for_s: float


def gates_of(site: Site, admitted: Admitted, permission: Permission) -> dict[str, Gate]:
    """By the endpoint's name, every one of the site that the guard has seen. CampaignError for a bad CA."""
    found = {}
    for one in site.endpoints:
        seen = admitted.endpoints.get(one.name)
        address = seen[0] if seen else admitted.pages.get(origin(one.url))
        if address is not None:
            endpoint = Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name)
            found[one.name] = gate(endpoint, address, ports=ports_of(permission, address))
    return found


def ports_of(permission: Permission, address: str) -> frozenset[int] | None:
    """The ports of an address that may be tried beside its endpoint's: those that the permit names; None: any."""
    if permission.permit is None:
        return None
    permit = permission.permit.permit
    named = [(one.port, one.addresses) for one in permit.targets] + [(one.port, one.addresses) for one in permit.pages]
    return frozenset(port for port, addresses in named if address in addresses)


@contextlib.contextmanager
def site_lookouts(site: Site, site_path: Path, watched: Watched, clock: Clock) -> Iterator[dict[str, Lookout]]:
    """By name, while the block runs; empty where the site names none. MachineError for a host that cannot be had."""
    gates = gates_of(site, watched.admitted, watched.permission)
    wanted = site.vantage.lookouts
    sources = [one.source for one in wanted if one.source is not None]
    with machines(site, site_path, sources) as reached, contextlib.ExitStack() as closing:
        found: dict[str, Lookout] = {}
        for one in wanted:
            found[one.name] = _opened(one, gates, reached, watched, clock)
            closing.callback(found[one.name].close)
        yield found


def _opened(
    one: SiteLookout, gates: Mapping[str, Gate], reached: Mapping[str, Host], watched: Watched, clock: Clock
) -> Lookout:
    routine = Question(Vantage(one.role), one.name, one.endpoint)
    if one.prometheus is not None:
        return BlackboxLookout(routine, one, watched.fetch, clock)
    if one.source is not None:
        return HostLookout(Job(routine, gates, one.every_s, watched.for_s), reached[one.source], clock)
    return Rounds(routine, gates, one.every_s, clock=clock)
