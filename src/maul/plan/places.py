"""Places: the endpoints that a campaign names, looked up in the site."""

from collections.abc import Iterator, Mapping

from maul.campaign import Campaign
from maul.campaign.model_phases import AuditPhase
from maul.campaign.part import did_you_mean
from maul.campaign.problems import Problem
from maul.campaign.yaml_source import KeyPath
from maul.plan.model import EndpointPlan
from maul.site import Site


def endpoint_problems(campaign: Campaign, site: Site) -> Iterator[Problem]:
    """Endpoints that the site does not have, or that are named twice."""
    known = [endpoint.name for endpoint in site.endpoints]
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
            elif name in names[:place]:
                yield Problem((*path, place), f'"{name}" stands here twice; drop one')


def target_endpoints(campaign: Campaign, doors: Mapping[str, EndpointPlan]) -> tuple[EndpointPlan, ...]:
    """Where load goes."""
    return tuple(doors[name] for name in campaign.target.endpoints)
