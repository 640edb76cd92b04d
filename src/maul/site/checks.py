"""Cross-checks of a site: names that must be known, names that must be unique, promises that can be kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from maul.campaign.problems import Problem
from maul.site.checks_network import NETWORK_CHECKS, repeated, unknown
from maul.site.checks_vantage import VANTAGE_CHECKS
from maul.site.model import Endpoint, Host, Redundancy, Service


def _names_are_unique(sections: Mapping[str, Any]) -> Iterator[Problem]:
    for index, name, first in repeated(list(sections.get("racks", ()))):
        yield Problem(("racks", index), f'"{name}" is already the name of racks[{first}]; rename one')
    for section in NAMED_SECTIONS:
        path = tuple(section.split("."))
        for index, name, first in repeated([item.name for item in sections.get(section, ())]):
            says = f'"{name}" is already the name of {section}[{first}]; rename one'
            yield Problem((*path, index, "name"), says)


def _hosts_stand_in_racks(hosts: Sequence[Host], racks: Sequence[str]) -> Iterator[Problem]:
    known = set(racks)
    for index, host in enumerate(hosts):
        if host.rack not in known:
            yield unknown(("hosts", index, "rack"), "rack", host.rack, racks)


def _services_stand_on_hosts(services: Sequence[Service], hosts: Sequence[Host]) -> Iterator[Problem]:
    names = {host.name for host in hosts}
    for index, service in enumerate(services):
        if service.host not in names:
            yield unknown(("services", index, "host"), "host", service.host, names)


def _endpoints_serve_services(endpoints: Sequence[Endpoint], services: Sequence[Service]) -> Iterator[Problem]:
    names = {service.name for service in services}
    for index, endpoint in enumerate(endpoints):
        for place, name in enumerate(endpoint.serves):
            if name not in names:
                yield unknown(("endpoints", index, "serves", place), "service", name, names)


def _tls_is_whole(endpoints: Sequence[Endpoint]) -> Iterator[Problem]:
    for index, endpoint in enumerate(endpoints):
        for key in ("ca", "server_name"):
            if getattr(endpoint, key) is not None and endpoint.url.startswith("http://"):
                yield Problem(("endpoints", index, key), "is of no use with http; use https, or drop it")


def _redundancy_is_possible(
    redundancy: Redundancy | None, services: Sequence[Service], hosts: Sequence[Host]
) -> Iterator[Problem]:
    if redundancy is None:
        return
    if redundancy.survives >= redundancy.copies:
        yield Problem(
            ("redundancy", "survives"),
            f"{redundancy.copies} copies cannot survive the loss of {redundancy.survives} domains; lower it",
        )
    racks = {host.name: host.rack for host in hosts}
    volumes = [service for service in services if service.role == "volume" and service.host in racks]
    domains = {racks[s.host] if redundancy.across == "rack" else s.host for s in volumes}
    if volumes and redundancy.survives >= len(domains):
        yield Problem(
            ("redundancy", "survives"),
            f"volume services stand in {len(domains)} {redundancy.across}s, so the loss of {redundancy.survives} "
            "cannot be survived; lower it",
        )


NAMED_SECTIONS = (
    "hosts",
    "services",
    "endpoints",
    "network.switches",
    "network.vips",
    "network.groups",
    "network.canaries",
    "vantage.lookouts",
    "vantage.feeds",
)
CROSS_CHECKS: tuple[tuple[Callable[..., Iterator[Problem]], tuple[str, ...]], ...] = (
    (_hosts_stand_in_racks, ("hosts", "racks")),
    (_services_stand_on_hosts, ("services", "hosts")),
    (_endpoints_serve_services, ("endpoints", "services")),
    (_tls_is_whole, ("endpoints",)),
    (_redundancy_is_possible, ("redundancy", "services", "hosts")),
    *NETWORK_CHECKS,
    *VANTAGE_CHECKS,
)


def cross_problems(sections: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong between the sections given; checks that need another section are left out. Sections of the network
    and of the vantage points have names such as `network.links`."""
    yield from _names_are_unique(sections)
    for check, needs in CROSS_CHECKS:
        if all(need in sections for need in needs):
            yield from check(*(sections[need] for need in needs))
