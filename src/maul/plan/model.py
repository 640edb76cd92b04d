"""Plan: a campaign on a site, worked out. Frozen, hashed, printable; holds no secret and needs no I/O."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from maul.campaign.model_mix import OpName
from maul.campaign.model_search import AxisName
from maul.plan.engine_plan import EnginePlan, Frozen, RegionName
from maul.plan.fleet_model import FleetPlan
from maul.plan.search import Goal

# What may differ between two runs of the same plan: who ran it, where this machine keeps its files, what it can do.
_NOT_HASHED = frozenset({"run_id", "run", "prefix", "ca", "file", "ceiling", "permit"})


class EndpointPlan(Frozen):
    """One endpoint of the site. `ca` is a path, read at the door."""

    name: str
    url: str
    ca: str | None
    server_name: str | None


class CredentialsPlan(Frozen):
    """Where the door finds the credentials; never the credentials."""

    kind: Literal["anonymous", "file", "environment"]
    file: str | None = None
    access_key_env: str | None = None
    secret_key_env: str | None = None
    session_token_env: str | None = None


class TenantPlan(Frozen):
    """One customer of the target: its bucket, its keys, its credentials. The only one has no name."""

    name: str
    bucket: str
    prefix: str
    """What all of its keys begin with."""
    credentials: CredentialsPlan
    versioning: bool = False
    """The bucket must keep versions."""
    object_lock: bool = False
    """The bucket must be able to lock versions."""


class LevelPlan(Frozen):
    """One step of a rising load, in seconds from the beginning of its phase."""

    start_s: float
    end_s: float
    rate_per_s: float


class UntilPlan(Frozen):
    """Steps end early when `levels` in a row answered well less than this part of their arrivals."""

    achieved_below: float
    levels: int


class SearchPlan(Frozen):
    """A search of the highest rate that holds; rates in operations per second. See `search.Goal`."""

    axis: AxisName
    bytes_per_operation: float | None
    """Of body, on the axis of bytes; None on the others."""
    from_per_s: float
    to_per_s: float
    trial_s: float
    confirm_s: float
    soak_s: float
    width: float
    cool_down_s: float
    seconds_max: float

    @classmethod
    def of(cls, axis: AxisName, goal: Goal, bytes_per_operation: float | None) -> "SearchPlan":
        """As a plan keeps it."""
        fields = {name: getattr(goal, name) for name in cls.model_fields if hasattr(goal, name)}
        return cls(axis=axis, bytes_per_operation=bytes_per_operation, **fields)

    @property
    def goal(self) -> Goal:
        """As the search wants it."""
        return Goal(**self.model_dump(exclude={"axis", "bytes_per_operation"}))


class Amount(Frozen):
    """What is expected to be sent at most. Bytes are on the wire: bodies and about 1 kB of headers a request."""

    operations: int = 0
    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def bytes(self) -> int:
        """Both directions."""
        return self.bytes_sent + self.bytes_received

    def __add__(self, other: "Amount") -> "Amount":
        """The sum."""
        return Amount(
            operations=self.operations + other.operations,
            requests=self.requests + other.requests,
            bytes_sent=self.bytes_sent + other.bytes_sent,
            bytes_received=self.bytes_received + other.bytes_received,
        )


class PassPlan(Frozen):
    """One engine instance. Most phases have one for each tenant; an audit has one per tenant, region and endpoint, a
    clean-up one per tenant and region.

    `engine` is a template: epoch, first ephemeral key and remaining ceilings are set by `engine_plan_for`.
    `endpoint_offset` is the place of the engine's first endpoint in the phase's `endpoints`: whoever records the
    engine's operations adds it to their `endpoint`.
    """

    label: str
    region: RegionName
    tenant: int = 0
    """Index into the plan's tenants."""
    endpoint_offset: int = 0
    expected: Amount
    seconds: float
    """Planned length of a timed pass; an estimate of the others."""
    ephemeral_end: int = 0
    """The first ephemeral index behind those that a trace names."""
    requests_part: float = 1.0
    """Its part of the requests that the run has left, where passes run side by side."""
    bytes_part: float = 1.0
    """Its part of the bytes that the run has left."""
    engine: EnginePlan


class PhasePlan(Frozen):
    """One phase. The passes of a timed one run side by side, one for each tenant; others one after the other."""

    name: str
    kind: Literal["prepare", "trickle", "warm-up", "load", "limit", "audit", "clean-up"]
    timed: bool
    seconds: float
    """Planned length of a timed phase; an estimate of the others."""
    expected: Amount
    endpoints: tuple[str, ...]
    passes: tuple[PassPlan, ...]
    levels: tuple[LevelPlan, ...] = ()
    until: UntilPlan | None = None
    listing: bool = False
    """Audit only: listings are compared too."""
    search: SearchPlan | None = None
    """Limit only. Its one pass is the template of every trial; `expected` and `seconds` are the most it may take."""


class FaultPlan(Frozen):
    """One harm, its service found in the site. `at_s` is the estimated moment in the run."""

    name: str
    fault: str
    service: str
    role: str
    phase: str
    after_s: float
    hold_s: float
    at_s: float
    beyond_redundancy: bool


class ObjectivePlan(Frozen):
    """One objective: either `errors_below`, or `percentile` and `latency_below_ms`."""

    name: str
    phases: tuple[str, ...]
    op: OpName | None
    tenant: int | None = None
    """Index into the plan's tenants; None: all together."""
    errors_below: float | None = None
    percentile: float | None = None
    latency_below_ms: float | None = None


class LimitsPlan(Frozen):
    """Hard ceilings of the whole run."""

    rate_per_s: float
    bytes_per_s: int
    in_flight: int
    requests: int
    bytes: int
    seconds: float
    error_ratio: float
    error_window_s: float
    disk_free_bytes: int


class CeilingPlan(Frozen):
    """What this generator can do at most with this mix, by its calibration."""

    per_s: float
    cpu_us: float
    """CPU of the mean operation of the mix."""
    cores: int
    """As many shards as can run at once."""
    terms: tuple[str, ...]
    """The arithmetic, one operation of the mix each."""
    calibrated_ns: int


class MitigationPlan(Frozen):
    """What is done when traffic suddenly stops. Of records from before there was such a thing: watched."""

    act: Literal["freeze", "watch"] = "watch"
    sentinels: bool = False
    probe_s: float = 20.0
    hold_max_s: float = 1800.0
    recovered_after_s: float = 60.0
    resume: float = 0.0
    resume_s: float = 30.0


class PermitPlan(Frozen):
    """The permit that the plan is held to; its caps are in the ceilings already."""

    name: str
    hash: str
    approved_by: tuple[str, ...]
    not_after: str


class Plan(Frozen):
    """What every generator will send, when, under which ceilings; what is hurt; what is asked."""

    version: Literal[2] = 2
    run_id: str
    run: int
    """The run's 64-bit number, in every block of every body."""
    campaign: str
    site: str
    target: str
    """For people: where and which bucket."""
    seed: int
    cores: int
    shards: int
    """Of all tenants together."""
    tenants: tuple[TenantPlan, ...]
    """At least one."""
    prefix: str
    """What every key of the run begins with."""
    region: str
    endpoints: tuple[EndpointPlan, ...]
    """Every endpoint that any phase uses."""
    consistency: Literal["strong", "lww", "eventual"]
    list_lag_ms: int
    restart_gap_ms: int
    phases: tuple[PhasePlan, ...]
    faults: tuple[FaultPlan, ...]
    objectives: tuple[ObjectivePlan, ...]
    checks: tuple[str, ...]
    limits: LimitsPlan
    expected: Amount
    seconds: float
    """Estimated length of all phases."""
    ceiling: CeilingPlan | None = None
    """None where this machine is not calibrated."""
    fleet: FleetPlan | None = None
    """None: this process alone makes the load."""
    mitigation: MitigationPlan = MitigationPlan()
    permit: PermitPlan | None = None
    """None: loopback and the lab need none."""
    notes: tuple[str, ...] = ()
    """What the author should know and may have meant."""

    @property
    def hash(self) -> str:
        """SHA-256 of everything but who runs it when, and where: two runs with the same hash sent the same."""
        canonical = json.dumps(_hashed(self.model_dump(mode="json")), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def phase(self, name: str) -> PhasePlan:
        """The phase of that name; KeyError."""
        return {phase.name: phase for phase in self.phases}[name]

    def endpoint(self, name: str) -> EndpointPlan:
        """The endpoint of that name; KeyError."""
        return {endpoint.name: endpoint for endpoint in self.endpoints}[name]

    @property
    def tenant_names(self) -> tuple[str, ...]:
        """The names of the tenants; empty when there is only the one without a name."""
        return tuple(tenant.name for tenant in self.tenants if tenant.name)

    def faults_of(self, phase: str) -> tuple[FaultPlan, ...]:
        """The faults of a phase, in the order of the campaign."""
        return tuple(fault for fault in self.faults if fault.phase == phase)


def to_json(plan: Plan) -> str:
    """The plan as `plan.json`; `Plan.model_validate_json` reads it back to an equal value."""
    return plan.model_dump_json(indent=2) + "\n"


def _hashed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hashed(item) for key, item in value.items() if key not in _NOT_HASHED}
    return [_hashed(item) for item in value] if isinstance(value, list) else value
