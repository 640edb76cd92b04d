"""Placement: which load server sends which part of the load, so that no link fills beyond its cap, whatever fails.

Takes: a Site with its network, a Fleet (the campaign's wishes), a Demand (the campaign's heaviest moment).
Gives: `place`, a FleetPlan: generators with whole shares, what every link carries, the most that is possible, what
blocks more; or CampaignProblemsError with the arithmetic.
Never: does I/O; trusts the solver: shares are checked again after rounding.
Start reading at: `placing.py` (the way through), `rows.py` (the caps), `flows.py` (ECMP and failures), `program.py`.
Add one by: a limit of a server = a Ceiling in `servers.py`; a kind of failure = a Failure in `failures.py`.
"""

from maul.campaign.model_fleet import Fleet
from maul.campaign.problems import CampaignProblemsError, Problem
from maul.plan.fleet_model import FleetPlan
from maul.plan.placement.demand import Demand, demand_of
from maul.plan.placement.named import local, named
from maul.plan.placement.placing import best
from maul.site import Site

__all__ = ["Demand", "demand_of", "place"]


def place(site: Site, fleet: Fleet, demand: Demand) -> FleetPlan:
    """The placement of a demand. Pure. Raises CampaignProblemsError, its paths those of the campaign."""
    if isinstance(fleet.agents, int):
        return local(fleet, fleet.agents, demand)
    if fleet.agents != "auto":
        return named(site, fleet, fleet.agents, demand)
    if site.network is None:
        says = (
            f"site {site.name} has no network, so nobody can say which servers fill which links; add the network to "
            "the site, or name the load servers (agents: [host, …]) or a number of local processes"
        )
        raise CampaignProblemsError([Problem(("fleet", "agents"), says)], None)
    return best(site, site.network, fleet, demand)
