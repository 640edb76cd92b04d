"""Places: the endpoints that a campaign names, looked up in the site."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from maul.campaign import Campaign
from maul.campaign.model_phases import AuditPhase
from maul.campaign.part import did_you_mean
from maul.campaign.parties import Party
from maul.campaign.problems import Problem
from maul.campaign.yaml_source import KeyPath
from maul.plan.model import EndpointPlan
from maul.site import Site
from maul.site.model import Endpoint


def endpoint_problems(campaign: Campaign, site: Site) -> Iterator[Problem]:
    """Endpoints that the site does not have, that are only looked at, or that are named twice."""
    known = {endpoint.name: endpoint.kind for endpoint in site.endpoints}
    places: list[tuple[KeyPath, tuple[str, ...]]] = [(("target", "endpoints"), campaign.target.endpoints)]
    for index, phase in enumerate(campaign.phases):
        if isinstance(phase, AuditPhase):
            places.append((("phases", index, "through"), phase.through))
    for path, names in places:
        for place, name in enumerate(names):
            if name not in known:
                yield Problem(
                    (*path, place), f'site {site.name} has no endpoint "{name}" ({did_you_mean(name, known)})'
                )
            elif known[name] in {"control", "private"}:
                says = f'"{name}" is a {known[name]} endpoint of the site, which is only looked at; name another'
                yield Problem((*path, place), says)
            elif name in names[:place]:
                yield Problem((*path, place), f'"{name}" stands here twice; drop one')


def door_problems(campaign: Campaign, site: Site, parties: Sequence[Party]) -> Iterator[Problem]:
    """What the endpoints must be for the way in which requests are made."""
    loaded = [one for one in site.endpoints if one.name in campaign.target.endpoints]
    for party in parties:
        path = party.requests_path
        if party.requests.encryption == "sse-c":
            for door, what in _read_through(campaign, site, loaded):
                if not door.url.startswith("https:"):
                    yield Problem(
                        (*path, "encryption"),
                        f"sse-c sends its key with every request, and {what} goes to {door.name} over plain http "
                        f"({door.url}); use https endpoints only",
                    )
        if party.requests.addressing == "virtual":
            for door in loaded:
                if _is_address(door.host):
                    yield Problem(
                        (*path, "addressing"),
                        f"virtual puts the bucket before the host, and {door.name} is an address ({door.host}); "
                        "give the endpoint a host name in the site, or use path",
                    )


def _read_through(campaign: Campaign, site: Site, loaded: Sequence[Endpoint]) -> Iterator[tuple[Endpoint, str]]:
    yield from ((door, "the load") for door in loaded)
    for phase in campaign.phases:
        if isinstance(phase, AuditPhase):
            named = [door for door in site.endpoints if door.name in phase.through]
            yield from ((door, phase.name) for door in named or site.gateways() or loaded)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def target_endpoints(campaign: Campaign, doors: Mapping[str, EndpointPlan]) -> tuple[EndpointPlan, ...]:
    """Where load goes."""
    return tuple(doors[name] for name in campaign.target.endpoints)
