"""Cross-checks of tenants: names, rates, shares, buckets."""

from collections.abc import Iterator, Sequence

from maul.campaign.checks_phases import Phases, repeated_names
from maul.campaign.model_judgement import Objective
from maul.campaign.model_limits import Load
from maul.campaign.model_phases import TimedPhase
from maul.campaign.model_requests import Requests
from maul.campaign.model_target import Target
from maul.campaign.model_tenants import Tenant
from maul.campaign.model_workload import Workload
from maul.campaign.part import did_you_mean
from maul.campaign.parties import Party, parties_of
from maul.campaign.problems import Problem


def tenant_names_are_unique(tenants: Sequence[Tenant]) -> Iterator[Problem]:
    """Prefixes, reports and objectives tell tenants apart by name."""
    return repeated_names("tenants", tenants)


def tenants_fit_the_load(tenants: Sequence[Tenant], load: Load) -> Iterator[Problem]:
    """Each tenant needs a connection and a request in flight."""
    room = min(load.connections, load.in_flight)
    if len(tenants) > room:
        says = (
            f"{len(tenants)} tenants, and the load has {room} connections and requests in flight for them; raise them"
        )
        yield Problem(("tenants",), says)


def rates_fit_phases(tenants: Sequence[Tenant], phases: Phases) -> Iterator[Problem]:
    """A rate of its own is for a timed phase that exists, and leaves the phase's own profile to somebody."""
    kinds = {phase.name: phase.kind for phase in phases}
    timed = {phase.name: phase for phase in phases if isinstance(phase, TimedPhase)}
    for index, tenant in enumerate(tenants):
        for name in tenant.rates:
            path = ("tenants", index, "rates", name)
            if name not in kinds:
                yield Problem(path, f'no phase is named "{name}" ({did_you_mean(name, timed)})', at_key=True)
            elif name not in timed:
                says = f'"{name}" is of kind {kinds[name]}; rates are for load and warm-up'
                yield Problem(path, says, at_key=True)
            elif timed[name].trace is not None:
                yield Problem(
                    path, f'"{name}" replays a trace, which has each tenant\'s own arrivals; drop it', at_key=True
                )
    for phase_index, phase in enumerate(phases):
        if tenants and phase.name in timed and all(phase.name in tenant.rates for tenant in tenants):
            yield Problem(
                ("phases", phase_index),
                f'every tenant has a rate of its own in "{phase.name}", so nobody follows its profile; '
                "drop the rate of at least one",
            )


def buckets_agree(
    workload: Workload, requests: Requests, target: Target, tenants: Sequence[Tenant]
) -> Iterator[Problem]:
    """Tenants that share a bucket want it alike."""
    first: dict[str, Party] = {}
    for party in parties_of(workload, requests, target, tenants):
        other = first.setdefault(party.bucket, party)
        for key in ("versioning", "object_lock"):
            if getattr(party, key) != getattr(other, key):
                yield Problem(
                    (*party.path, key),
                    f'shares bucket "{party.bucket}" with tenant {other.name}, which wants {key} '
                    f"{str(getattr(other, key)).lower()}; say the same, or give it a bucket of its own",
                )


def objectives_fit_tenants(objectives: Sequence[Objective], tenants: Sequence[Tenant]) -> Iterator[Problem]:
    """An objective is asked of a tenant that exists."""
    names = [tenant.name for tenant in tenants]
    for index, objective in enumerate(objectives):
        if objective.tenant is not None and objective.tenant not in names:
            cure = did_you_mean(objective.tenant, names) if names else "the campaign has no tenants; drop it"
            yield Problem(("objectives", index, "tenant"), f'no tenant is named "{objective.tenant}" ({cure})')


def objectives_fit_mix(
    objectives: Sequence[Objective],
    workload: Workload,
    requests: Requests,
    target: Target,
    tenants: Sequence[Tenant],
) -> Iterator[Problem]:
    """An objective on an operation that never comes would never be answered."""
    parties = parties_of(workload, requests, target, tenants)
    for index, objective in enumerate(objectives):
        asked = [party for party in parties if objective.tenant in (None, party.name)]
        if objective.op is None or not asked or any(objective.op in party.workload.mix.by_op() for party in asked):
            continue
        where = "workload.mix" if objective.tenant is None else f"the mix of tenant {objective.tenant}"
        yield Problem(
            ("objectives", index, "op"),
            f'"{objective.op}" has no weight in {where}, so this would never be answered; give it a weight or drop op',
        )
