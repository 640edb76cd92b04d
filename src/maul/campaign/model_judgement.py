"""What is asked of the run: objectives (SLOs) and checks."""

from enum import StrEnum
from typing import Annotated

from pydantic import Discriminator, Field, Tag

from maul.campaign.model_mix import OpName
from maul.campaign.part import Part
from maul.campaign.quantities import Name, Ratio, Real, Seconds


class CheckName(StrEnum):
    """Questions that a run can be asked."""

    OBJECTIVES = "objectives"
    LIMIT_FOUND = "limit-found"
    DURABILITY = "durability"
    READS_TRUE = "reads-true"
    CONDITIONS_KEPT = "conditions-kept"
    FAULTS_PROVEN = "faults-proven"
    HEALED = "healed"
    MAP_TRUE = "map-true"
    LINKS_KEPT = "links-kept"
    TRAFFIC_KEPT = "traffic-kept"
    GENERATOR_HONEST = "generator-honest"
    CLEANED = "cleaned"


class AvailabilityObjective(Part):
    """Fewer than this part of the arrivals of the phases may fail, stay unknown or be dropped."""

    name: Name
    phases: tuple[Name, ...] = Field(min_length=1)
    """Timed phases that it is asked of."""
    op: OpName | None = None
    """Only this operation; all together when absent."""
    tenant: Name | None = None
    """Only this tenant; all together when absent."""
    errors_below: Ratio
    """The part of all arrivals that may not be answered well."""


class LatencyObjective(Part):
    """A percentile of the latency, from the due time. On a phase with steps it decides the capacity."""

    name: Name
    phases: tuple[Name, ...] = Field(min_length=1)
    """Timed phases that it is asked of."""
    op: OpName | None = None
    """Only this operation; all together when absent."""
    tenant: Name | None = None
    """Only this tenant; all together when absent."""
    percentile: Real = Field(gt=0, lt=100)
    """Which percentile, such as 99 or 99.9."""
    latency_below_s: Seconds = Field(alias="latency_below")
    """What it must stay below."""


def _objective_kind(value: object) -> str | None:
    if isinstance(value, dict):
        availability, latency = "errors_below" in value, "latency_below" in value or "percentile" in value
        if availability == latency:
            return None
        return "availability" if availability else "latency"
    return "availability" if isinstance(value, AvailabilityObjective) else "latency"


Objective = Annotated[
    Annotated[AvailabilityObjective, Tag("availability")] | Annotated[LatencyObjective, Tag("latency")],
    Discriminator(
        _objective_kind,
        custom_error_type="which_one",
        custom_error_message="an objective has either errors_below, or percentile and latency_below",
    ),
]
