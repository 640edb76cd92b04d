"""Parties: who loads the target. Each tenant with what it says itself and what it takes from the campaign."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from maul.campaign.model_requests import Requests
from maul.campaign.model_target import Credentials, Target
from maul.campaign.model_tenants import Tenant
from maul.campaign.model_workload import Workload
from maul.campaign.yaml_source import KeyPath


@dataclass(frozen=True, slots=True)
class Party:
    """One customer, whole. `path`: its tenant's in the file, () for the only one of a campaign without tenants."""

    index: int
    name: str
    path: KeyPath
    workload: Workload
    workload_path: KeyPath
    requests: Requests
    requests_path: KeyPath
    bucket: str
    credentials: Credentials
    versioning: bool
    object_lock: bool
    share: float = 1.0
    rates_per_s: dict[str, float] = field(default_factory=dict)
    """Constant rates of its own, by phase."""


def parties_of(workload: Workload, requests: Requests, target: Target, tenants: Sequence[Tenant]) -> tuple[Party, ...]:
    """All parties, in the order of the file; the only one has no name."""
    own = Party(
        index=0,
        name="",
        path=(),
        workload=workload,
        workload_path=("workload",),
        requests=requests,
        requests_path=("requests",),
        bucket=target.bucket,
        credentials=target.credentials,
        versioning=target.versioning or target.object_lock,
        object_lock=target.object_lock,
    )
    return tuple(_party(own, tenant, index) for index, tenant in enumerate(tenants)) or (own,)


def _party(own: Party, tenant: Tenant, index: int) -> Party:
    path: KeyPath = ("tenants", index)
    object_lock = own.object_lock if tenant.object_lock is None else tenant.object_lock
    versioning = own.versioning if tenant.versioning is None else tenant.versioning
    return Party(
        index=index,
        name=tenant.name,
        path=path,
        workload=tenant.workload or own.workload,
        workload_path=(*path, "workload") if tenant.workload else own.workload_path,
        requests=tenant.requests or own.requests,
        requests_path=(*path, "requests") if tenant.requests else own.requests_path,
        bucket=tenant.bucket or own.bucket,
        credentials=tenant.credentials if tenant.credentials is not None else own.credentials,
        versioning=versioning or object_lock,
        object_lock=object_lock,
        share=tenant.share,
        rates_per_s=dict(tenant.rates),
    )
