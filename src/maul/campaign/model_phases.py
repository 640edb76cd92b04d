"""When it is sent: phases in order.

Timed phases follow a profile whatever the target does; the others run once through.
"""

import math
from typing import Annotated, Literal

from pydantic import Field

from maul.campaign.model_profiles import LEVELS_MAX, Closed, Ramp, Sine, Spike, Steps, Stretch, TraceSource
from maul.campaign.model_requests import Connections, Slow
from maul.campaign.part import Part
from maul.campaign.quantities import Flag, Name, Rate, Ratio, Seconds, Whole


class Until(Part):
    """The steps end early when the target has given way."""

    achieved_below: Ratio
    """A level gave way when less than this part of its arrivals was answered well …"""
    levels: Whole = Field(default=1, ge=1, le=LEVELS_MAX)
    """… and so did this many levels in a row."""


class PreparePhase(Part):
    """Fill the base key space once: every object is put, one pass, fixed concurrency."""

    name: Name
    kind: Literal["prepare"]
    concurrency: Whole = Field(default=16, ge=1, le=65_535)
    """Requests in flight."""


class _Timed(Part):
    """A phase with exactly one profile: `rate` and `for`, or one of the others."""

    rate_per_s: Rate | None = Field(default=None, alias="rate")
    """A constant rate; needs `for`."""
    for_s: Seconds | None = Field(default=None, alias="for")
    """How long the constant rate lasts."""
    ramp: Ramp | None = None
    """An even rise or fall."""
    steps: Steps | None = None
    """Levels of constant rate: how the capacity is found."""
    spike: Spike | None = None
    """A sudden peak."""
    sine: Sine | None = None
    """A swinging rate."""
    closed: Closed | None = None
    """A closed loop, for comparison."""
    trace: TraceSource | None = None
    """The arrivals of an earlier run."""
    arrivals: Literal["even", "poisson"] = "even"
    """How arrivals lie around the rate: evenly, or as many independent clients make them."""
    connections: Connections | None = None
    """How connections are used; as in the workload when absent."""
    slow: Slow | None = None
    """Clients that are slow on purpose; as in the workload when absent."""

    def stretches(self) -> tuple[Stretch, ...]:
        """The rate over time; nothing for a closed loop or a trace."""
        shape = self.ramp or self.steps or self.spike or self.sine
        if shape is not None:
            return tuple(shape.stretches())
        if self.rate_per_s is None or self.for_s is None:
            return ()
        return (Stretch(self.rate_per_s, self.rate_per_s, self.for_s),)

    @property
    def seconds(self) -> float:
        """Planned length; 0 for a trace, whose rows tell it."""
        if self.closed is not None:
            return self.closed.for_s
        if self.steps is not None:
            return self.steps.count * self.steps.each_s
        return self.spike.total_s if self.spike is not None else sum(one.seconds for one in self.stretches())

    @property
    def peak_per_s(self) -> float:
        """Highest planned rate; 0 where nobody plans one."""
        return max((one.peak_per_s for one in self.stretches()), default=0.0)

    @property
    def planned_arrivals(self) -> float:
        """The integral of the rate; 0 where nobody plans one."""
        return math.fsum(one.arrivals for one in self.stretches())


class WarmUpPhase(_Timed):
    """Load that lets caches, connections and just-in-time things settle; judged only where an objective names it."""

    name: Name
    kind: Literal["warm-up"]


class LoadPhase(_Timed):
    """Load at exact rates, open loop: arrivals do not wait for answers."""

    name: Name
    kind: Literal["load"]
    until: Until | None = None
    """With `steps`: end early when the target has given way."""


class AuditPhase(Part):
    """Read every object back, through every endpoint named, and compare with what was acknowledged."""

    name: Name
    kind: Literal["audit"]
    through: tuple[Name, ...] = Field(default=(), max_length=64)
    """Endpoints to read through; every gateway of the site when empty."""
    concurrency: Whole = Field(default=16, ge=1, le=65_535)
    """Requests in flight."""
    listing: Flag = Field(default=True, alias="list")
    """Whether listings are compared too."""


class CleanUpPhase(Part):
    """Delete what this run wrote, and prove that it is gone."""

    name: Name
    kind: Literal["clean-up"]
    concurrency: Whole = Field(default=16, ge=1, le=65_535)
    """Requests in flight."""


TimedPhase = WarmUpPhase | LoadPhase
OncePhase = PreparePhase | AuditPhase | CleanUpPhase
Phase = Annotated[PreparePhase | WarmUpPhase | LoadPhase | AuditPhase | CleanUpPhase, Field(discriminator="kind")]
