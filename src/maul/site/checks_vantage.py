"""Cross-checks of a site's vantage points, and what a place without some of them can never be told.

Each check takes the sections that it names in `VANTAGE_CHECKS` and yields a Problem for each thing that is wrong.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence

from maul.campaign.problems import Problem
from maul.core.addresses import is_loopback
from maul.site.checks_network import repeated, unknown
from maul.site.model import Endpoint, Host, Service, Site
from maul.site.model_vantage import BalancerCounters, Feed, Lookout

_ASKS: Mapping[str, tuple[str, ...]] = {
    "external": ("balancer", "gateway"),
    "control": ("control",),
    "inside": ("private",),
}
_CONTROL_CURE = "name another public address of the balancers, in another prefix"


def _lookouts_ask_what_fits(lookouts: Sequence[Lookout], endpoints: Sequence[Endpoint]) -> Iterator[Problem]:
    known = {endpoint.name: endpoint for endpoint in endpoints}
    for index, one in enumerate(lookouts):
        path = ("vantage", "lookouts", index, "endpoint")
        found = known.get(one.endpoint)
        if found is None:
            yield unknown(path, "endpoint", one.endpoint, known)
        elif found.kind not in _ASKS[one.role]:
            fits = " or ".join(_ASKS[one.role])
            yield Problem(path, f'"{one.endpoint}" is a {found.kind}; a lookout of role {one.role} asks a {fits}')


def _controls_have_addresses_of_their_own(endpoints: Sequence[Endpoint]) -> Iterator[Problem]:
    loaded = {endpoint.host: endpoint.name for endpoint in endpoints if endpoint.kind in {"balancer", "gateway"}}
    for index, one in enumerate(endpoints):
        if one.kind == "control" and one.host in loaded:
            says = f'is on the address of "{loaded[one.host]}", which is loaded; it would die with it; {_CONTROL_CURE}'
            yield Problem(("endpoints", index, "url"), says)


def _lookouts_stand_somewhere(lookouts: Sequence[Lookout], hosts: Sequence[Host], kind: str) -> Iterator[Problem]:
    known = {host.name: host for host in hosts}
    for index, one in enumerate(lookouts):
        path = ("vantage", "lookouts", index, "from")
        if one.source is None:
            continue
        host = known.get(one.source)
        if host is None:
            yield unknown(path, "host", one.source, known)
        elif host.borrow is not None:
            says = f'"{one.source}" may be borrowed, so what it feels is what we do to it; name another host'
            yield Problem(path, says)
        elif kind == "real" and host.ssh is None and not is_loopback(host.address):
            yield Problem(path, f'nobody said how "{one.source}" is reached; give that host `ssh`')


def _balancers_can_be_read(balancers: Sequence[BalancerCounters], services: Sequence[Service]) -> Iterator[Problem]:
    known = {service.name: service for service in services}
    for index, name, first in repeated([one.service for one in balancers]):
        says = f'"{name}" is read already, by vantage.balancers[{first}]; drop one'
        yield Problem(("vantage", "balancers", index, "service"), says)
    for index, one in enumerate(balancers):
        path = ("vantage", "balancers", index)
        found = known.get(one.service)
        if found is None:
            yield unknown((*path, "service"), "service", one.service, known)
        elif found.role != "balancer":
            yield Problem((*path, "service"), f'"{one.service}" is a {found.role}, not a balancer; name one')
        elif found.metrics is None and found.admin is None and not one.host:
            says = f'nothing tells of "{one.service}"; give the service `metrics` or `admin`, or set host: true'
            yield Problem((*path, "service"), says)
        elif one.table is not None and not one.host:
            yield Problem((*path, "table"), "is of no use unless the machine is read; set host: true, or drop it")


def _feeds_listen_apart(feeds: Sequence[Feed]) -> Iterator[Problem]:
    heard: dict[tuple[str, str], int] = {}
    for index, one in enumerate(feeds):
        if one.listen is None:
            continue
        path = ("vantage", "feeds", index, "listen")
        first = heard.setdefault((one.kind, one.listen), index)
        if first != index:
            yield Problem(path, f"vantage.feeds[{first}] listens there already; choose another port")
        if not 0 < int(one.listen.rpartition(":")[2]) < 65_536:
            yield Problem(path, "there is no such port; choose one from 1 to 65535")


VANTAGE_CHECKS: tuple[tuple[Callable[..., Iterator[Problem]], tuple[str, ...]], ...] = (
    (_lookouts_ask_what_fits, ("vantage.lookouts", "endpoints")),
    (_controls_have_addresses_of_their_own, ("endpoints",)),
    (_lookouts_stand_somewhere, ("vantage.lookouts", "hosts", "kind")),
    (_balancers_can_be_read, ("vantage.balancers", "services")),
    (_feeds_listen_apart, ("vantage.feeds",)),
)


def blind_spots(site: Site) -> list[str]:
    """What could not be told apart if traffic stopped suddenly, for want of somebody who looks. A sentence for each."""
    roles = {one.role for one in site.vantage.lookouts}
    found = []
    if "control" not in roles:
        found.append(
            "without a control VIP a black hole of the address cannot be told from one of its prefix, nor from a link "
            "or balancer that is down"
        )
    if "external" not in roles:
        found.append("without an external lookout a ban of the generators cannot be told from a black hole of the VIP")
    if "inside" not in roles:
        found.append("without a lookout inside a dead balancer cannot be told from a path to it that is cut")
    if not site.vantage.balancers:
        found.append(
            "without the balancers' counters nobody knows whether packets still arrive there, nor which way the loss is"
        )
    elif all(one.table is None for one in site.vantage.balancers):
        found.append(
            "without a counter of the VIP's packets (vantage.balancers.table) a policer cannot be seen at work"
        )
    if not site.vantage.feeds:
        found.append(
            "without a feed the network's own word for it (dropped, limited, diverted, free again) is not heard"
        )
    return found + [
        f'the control VIP "{one.name}" shares {prefix} with "{other.name}": what drops that prefix takes both'
        for one, other, prefix in _neighbours(site)
    ]


def _neighbours(site: Site) -> Iterator[tuple[Endpoint, Endpoint, str]]:
    """Control endpoints that lookouts ask, beside a loaded one in the prefix that is announced at least."""
    asked = {one.endpoint for one in site.vantage.lookouts if one.role == "control"}
    for one in site.endpoints:
        for other in site.endpoints:
            prefix = _prefix(one.host)
            if one.name in asked and other.kind == "balancer" and prefix and prefix == _prefix(other.host):
                yield one, other, prefix


def _prefix(host: str) -> str:
    """The smallest prefix that is routed between networks; empty for a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))
