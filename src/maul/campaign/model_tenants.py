"""Tenants: several customers at once, each with its own credentials, bucket, workload and part of the load."""

from pydantic import Field

from maul.campaign.model_requests import Requests
from maul.campaign.model_target import Credentials
from maul.campaign.model_workload import Workload
from maul.campaign.part import Part
from maul.campaign.quantities import BucketName, Flag, Name, Rate, Real


class Tenant(Part):
    """One customer. What it does not say is that of the campaign."""

    name: Name
    """What reports and objectives call it; its keys lie under it."""
    share: Real = Field(default=1.0, gt=0, le=1_000_000)
    """Its part of every phase's rate, relative to the other tenants' shares."""
    rates: dict[Name, Rate] = Field(default={}, max_length=100)
    """A constant rate of its own in these phases, by name; the other tenants divide the phase's rate among them."""
    credentials: Credentials | None = None
    """As in `target`; the target's own when absent."""
    bucket: BucketName | None = None
    """The target's own when absent: tenants may share one, under prefixes of their own."""
    versioning: Flag | None = None
    """As in `target`; the target's own when absent."""
    object_lock: Flag | None = None
    """As in `target`; the target's own when absent."""
    workload: Workload | None = None
    """Its own, whole; the campaign's when absent."""
    requests: Requests | None = None
    """Its own, whole; the campaign's when absent."""
