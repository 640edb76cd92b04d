"""Build: campaign and site become a plan, or everything that speaks against it."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from maul.campaign import Campaign
from maul.campaign.cross_checks import cross_problems
from maul.campaign.model_judgement import AvailabilityObjective, Objective
from maul.campaign.model_phases import TimedPhase
from maul.campaign.model_target import Credentials, EnvironmentCredentials, FileCredentials
from maul.campaign.parties import Party, parties_of
from maul.campaign.problems import CampaignProblemsError, Problem, from_pydantic
from maul.core.calibration import Calibration
from maul.core.ids import run_number
from maul.plan.budget import over_budget
from maul.plan.ceiling import above_ceiling, ceiling_of
from maul.plan.costs import mean_cost
from maul.plan.fleet_model import FleetPlan
from maul.plan.ground import Ground, TraceKey, apportion
from maul.plan.harm import fault_plans
from maul.plan.holding import held_to
from maul.plan.limiting import (
    LimitWish,
    limit_objectives,
    limit_peak,
    limit_phases,
    limit_problems,
)
from maul.plan.model import (
    Amount,
    CredentialsPlan,
    EndpointPlan,
    LimitsPlan,
    ObjectivePlan,
    PhasePlan,
    Plan,
    TenantPlan,
)
from maul.plan.notes import limit_notes, notes
from maul.plan.passes import phase_plans
from maul.plan.placement import demand_of, place
from maul.plan.places import door_problems, endpoint_problems, target_endpoints
from maul.plan.protecting import mitigation_plan, protection_notes, watching_problems
from maul.plan.replays import NO_TRACES, trace_problems
from maul.plan.shards import Demand, choose_shards
from maul.plan.trace import Trace
from maul.plan.trickling import unguarded_problems, unwatched_problems, watch_notes, with_trickle
from maul.site import Site


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line may change; None leaves the campaign's own."""

    seed: int | None = None
    shards: int | None = None
    bucket: str | None = None
    endpoints: tuple[str, ...] | None = None
    limit: LimitWish | None = None
    """Search the limit instead of running the campaign's phases."""


LIMIT_CHECKS = ("limit", "durability", "reads-true", "map-true", "links-kept", "traffic-kept", "cleaned")
"""What `maul limit` asks; all but the first where the campaign asks them."""


def build(
    campaign: Campaign,
    site: Site,
    run_id: str,
    cores: int,
    *,
    overrides: Overrides | None = None,
    fault_kinds: Collection[str] = (),
    calibration: Calibration | None = None,
    traces: Mapping[TraceKey, Trace] = NO_TRACES,
) -> Plan:
    """The plan. Pure. `fault_kinds`: the faults that maul knows, if they are to be checked; `calibration`: of this
    machine, if there is one: then what its generator cannot make is refused. `traces`: what phases replay, by phase and
    tenant.

    Raises CampaignError with every problem, its line, and the arithmetic where a total exceeds a limit.
    """
    source = campaign.source
    overrides = overrides or Overrides()
    campaign = _overridden(campaign, overrides)
    searched = overrides.limit is not None
    parties = parties_of(campaign.workload, campaign.requests, campaign.target, campaign.tenants)
    problems = [
        *cross_problems(dict(campaign)),
        *endpoint_problems(campaign, site),
        *door_problems(campaign, site, parties),
        *trace_problems(campaign, parties, traces),
        *unwatched_problems(campaign, site),
        *unguarded_problems(campaign, site),
        *watching_problems(campaign, site),
    ]
    if searched and not problems:
        problems = list(limit_problems(campaign))
    if problems:
        raise CampaignProblemsError(problems, source)
    root = f"maul/{run_id}/"
    heaviest = [limit_peak(campaign)] if searched else _heaviest(campaign, parties)
    run = _Run(run_number(run_id), root, _shards(campaign, heaviest, cores), traces)
    grounds = _grounds(campaign, site, parties, run)
    phases = limit_phases(grounds[0]) if searched else phase_plans(grounds)
    fleet, fleet_problems = _fleet(campaign, site, grounds[0], phases)
    if fleet is not None and fleet.unpaced is not None:
        phases = held_to(phases, fleet.unpaced)
    if fleet is not None:
        phases = _trickled(campaign, site, phases, fleet)
    faults, fault_problems = ((), []) if searched else fault_plans(campaign, site, phases, fault_kinds)
    ceiling = None
    # of several tenants each has a load of its own, and a fleet's machines are not this one
    if calibration is not None and len(parties) == 1 and campaign.fleet is None:
        ceiling = ceiling_of(calibration, campaign.workload, grounds[0].endpoints, grounds[0].shards, cores)
    problems = [*fault_problems, *fleet_problems, *over_budget(campaign, phases, parties)]
    if not searched:  # a search ends by itself where the generator is the limit
        problems += above_ceiling(campaign, ceiling)
    if problems:
        raise CampaignProblemsError(problems, source)
    used = {name for phase in phases for name in phase.endpoints}
    first = grounds[0]
    buckets = ", ".join(dict.fromkeys(party.bucket for party in parties))
    return Plan(
        run_id=run_id,
        run=first.run,
        campaign=campaign.name,
        site=site.name,
        target=", ".join(f"{endpoint.url}/{buckets}" for endpoint in first.endpoints),
        seed=campaign.seed,
        cores=cores,
        shards=sum(ground.shards for ground in grounds),
        tenants=tuple(_tenant(ground, site) for ground in grounds),
        prefix=root,
        region=first.region,
        endpoints=tuple(door for door in first.doors.values() if door.name in used),
        consistency=site.consistency.profile,
        list_lag_ms=site.consistency.list_lag_ms,
        restart_gap_ms=site.consistency.restart_gap_ms,
        phases=phases,
        faults=faults,
        objectives=tuple(_limit_objectives(campaign) if searched else _objectives(campaign, parties)),
        checks=_limit_checks(campaign, phases) if searched else tuple(str(check) for check in campaign.checks),
        limits=_limits(campaign),
        mitigation=mitigation_plan(campaign, site),
        expected=sum((phase.expected for phase in phases), Amount()),
        seconds=_seconds(phases),
        ceiling=ceiling,
        fleet=fleet,
        notes=(
            *(limit_notes(campaign, site, phases, parties) if searched else notes(campaign, site, phases, parties)),
            *(watch_notes(site, fleet) if fleet is not None else ()),
            *protection_notes(campaign, site, phases, fleet),
        ),
    )


def _fleet(
    campaign: Campaign, site: Site, ground: Ground, phases: tuple[PhasePlan, ...]
) -> tuple[FleetPlan | None, tuple[Problem, ...]]:
    """Who sends which part, and what speaks against it."""
    if campaign.fleet is None:
        return None, ()
    demand = demand_of(phases, [(one.name, one.url) for one in ground.endpoints], ground.traces)
    try:
        made = place(site, campaign.fleet, demand)
    except CampaignProblemsError as error:
        return None, error.problems
    told = {"trickle_error": campaign.fleet.trickle_error, "guard_acts": campaign.fleet.guard == "act"}
    return made.model_copy(update=told), ()


def _trickled(campaign: Campaign, site: Site, phases: tuple[PhasePlan, ...], fleet: FleetPlan) -> tuple[PhasePlan, ...]:
    """With the trickle, where a network is there to be proven and counters to prove it by."""
    counters = site.network.counters if site.network is not None else None
    if campaign.fleet is None or counters is None:
        return phases
    return with_trickle(phases, fleet, campaign.fleet.trickle, counters.every_s)


@dataclass(frozen=True, slots=True)
class _Run:
    number: int
    root: str
    shards: tuple[int, ...]
    """Of each party."""
    traces: Mapping[TraceKey, Trace]


def _overridden(campaign: Campaign, overrides: Overrides) -> Campaign:
    """The campaign with the command line's wishes in it, checked as if they stood in the file."""
    wishes: dict[str, dict[str, Any]] = {
        "target": _given(bucket=overrides.bucket, endpoints=overrides.endpoints),
        "load": _given(shards=overrides.shards),
        "limit": overrides.limit.changes(campaign) if overrides.limit else {},
        "": _given(seed=overrides.seed),
    }
    if not any(wishes.values()):
        return campaign
    data = campaign.model_dump(mode="json", by_alias=True)
    for section, wish in wishes.items():
        _merge(data[section] if section else data, wish)
    try:
        changed = Campaign.model_validate(data)
    except ValidationError as error:
        raise CampaignProblemsError(from_pydantic(error, data), None) from error
    changed._source = campaign.source
    return changed


def _merge(data: dict[str, Any], wish: Mapping[str, Any]) -> None:
    for key, value in wish.items():
        if isinstance(value, Mapping):
            data[key].update(value)
        else:
            data[key] = value


def _limit_objectives(campaign: Campaign) -> Iterator[ObjectivePlan]:
    """Those that decide an axis, asked of the phase in which it is searched."""
    asked = limit_objectives(campaign)
    for objective in campaign.objectives:
        if objective.name in asked:
            yield _objective(objective, ()).model_copy(update={"phases": asked[objective.name]})


def _limit_checks(campaign: Campaign, phases: Sequence[PhasePlan]) -> tuple[str, ...]:
    wanted = {str(check) for check in campaign.checks} | {"limit"}
    if not any(phase.kind == "audit" for phase in phases):
        wanted.discard("durability")
    return tuple(check for check in LIMIT_CHECKS if check in wanted)


def _given(**wishes: object) -> dict[str, Any]:
    return {key: wish for key, wish in wishes.items() if wish is not None}


def _grounds(campaign: Campaign, site: Site, parties: Sequence[Party], run: _Run) -> list[Ground]:
    doors: dict[str, EndpointPlan] = {
        endpoint.name: EndpointPlan(
            name=endpoint.name, url=endpoint.url, ca=endpoint.ca, server_name=endpoint.server_name
        )
        for endpoint in site.endpoints
    }
    endpoints = target_endpoints(campaign, doors)
    gateways = tuple(doors[endpoint.name] for endpoint in site.gateways())
    return [
        Ground(
            campaign=campaign,
            party=party,
            run=run.number,
            prefix=f"{run.root}{party.name}/" if party.name else run.root,
            region=campaign.target.region or site.region,
            shards=shards,
            endpoints=endpoints,
            doors=doors,
            audited=gateways or endpoints,
            traces=run.traces,
        )
        for party, shards in zip(parties, run.shards, strict=True)
    ]


def _heaviest(campaign: Campaign, parties: Sequence[Party]) -> list[tuple[float, float]]:
    """The heaviest moment of each party: (operations, bytes) per second."""
    phases = [phase for phase in campaign.phases if isinstance(phase, TimedPhase)]
    peaks = [max((_peak(phase, party, parties) for phase in phases), default=0.0) for party in parties]
    return [
        (peak, max(peak, 1.0) * mean_cost(party.workload.mix.by_op(), party.workload).bytes)
        for peak, party in zip(peaks, parties, strict=True)
    ]


def _shards(campaign: Campaign, heaviest: Sequence[tuple[float, float]], cores: int) -> tuple[int, ...]:
    """Of each party: together as many as one load of all of them would get, and at least one each."""
    peaks, moved = [peak for peak, _ in heaviest], [size for _, size in heaviest]
    in_flight = min(campaign.load.in_flight, campaign.load.connections)
    asked = campaign.load.shards
    demand = Demand(math.fsum(peaks), math.fsum(moved), in_flight)
    total = choose_shards(demand, cores, None if asked == "auto" else asked)
    return tuple(apportion(max(total, len(heaviest)), [max(peak, 1e-9) for peak in peaks]))


def _peak(phase: TimedPhase, party: Party, parties: Sequence[Party]) -> float:
    if phase.name in party.rates_per_s:
        return party.rates_per_s[phase.name]
    return phase.peak_per_s * party.share / math.fsum(p.share for p in parties if phase.name not in p.rates_per_s)


def _tenant(ground: Ground, site: Site) -> TenantPlan:
    party = ground.party
    return TenantPlan(
        name=party.name,
        bucket=party.bucket,
        prefix=ground.prefix,
        credentials=_credentials(party.credentials, ground.campaign, site),
        versioning=party.versioning,
        object_lock=party.object_lock,
    )


def _credentials(wanted: Credentials, campaign: Campaign, site: Site) -> CredentialsPlan:
    if isinstance(wanted, EnvironmentCredentials):
        return CredentialsPlan(
            kind="environment",
            access_key_env=wanted.access_key_env,
            secret_key_env=wanted.secret_key_env,
            session_token_env=wanted.session_token_env,
        )
    if isinstance(wanted, FileCredentials):
        beside = campaign.source.beside(wanted.file) if campaign.source else wanted.file
        return CredentialsPlan(kind="file", file=beside)
    if wanted == "anonymous" or site.credentials is None:
        return CredentialsPlan(kind="anonymous")
    return CredentialsPlan(kind="file", file=site.credentials.file)


def _objectives(campaign: Campaign, parties: Sequence[Party]) -> Iterator[ObjectivePlan]:
    return (_objective(objective, parties) for objective in campaign.objectives)


def _objective(objective: Objective, parties: Sequence[Party]) -> ObjectivePlan:
    tenant = next((party.index for party in parties if objective.tenant == party.name), None)
    if isinstance(objective, AvailabilityObjective):
        return ObjectivePlan(
            name=objective.name,
            phases=objective.phases,
            op=objective.op,
            tenant=tenant,
            errors_below=objective.errors_below,
        )
    return ObjectivePlan(
        name=objective.name,
        phases=objective.phases,
        op=objective.op,
        tenant=tenant,
        percentile=objective.percentile,
        latency_below_ms=round(objective.latency_below_s * 1000, 6),
    )


def _limits(campaign: Campaign) -> LimitsPlan:
    limits = campaign.limits
    return LimitsPlan(
        rate_per_s=limits.rate_per_s,
        bytes_per_s=limits.bandwidth_bytes_per_s,
        in_flight=limits.in_flight,
        requests=limits.requests,
        bytes=limits.total_bytes,
        seconds=limits.duration_s,
        error_ratio=limits.error_ratio,
        error_window_s=limits.error_window_s,
        disk_free_bytes=limits.disk_free_bytes,
    )


def _seconds(phases: tuple[PhasePlan, ...]) -> float:
    return round(math.fsum(phase.seconds for phase in phases), 3)
